"""Real bugs and right gradients that were called wrong: what each checker says of them."""

import pytest

from bench.museum import exhibits
from bench.museum.checkers import VISITORS, judged
from bench.repair import mended_of
from bench.rivals import version

EVERY = 8
"""The quick mode takes one exhibit of so many."""


def chosen(quick: bool):
    return exhibits()[:: EVERY if quick else 1]


@pytest.mark.parametrize("name", VISITORS)
def test_visits(name: str, benchmark, quick):
    package, says = VISITORS[name]
    if version(package) is None:
        pytest.skip(f"{package} is not installed")
    visits = []
    benchmark.pedantic(lambda: visits.extend(judged(e, says) for e in chosen(quick)), rounds=1)
    rows = [visit.row() for visit in visits]
    benchmark.extra_info.update(table="museum", tool=name, visits=rows)
    assert name != "fastgrad" or not any(v.passes is False and not v.is_bug for v in visits)


def test_mended(benchmark, quick):
    """Which bugs `report.suggest` mends, by small edits of the gradient's own source."""
    found = []
    benchmark.pedantic(lambda: found.extend(mended_of("museum", quick)), rounds=1)
    mended = {row["name"]: row["outcome"] == "right" for row in found}
    benchmark.extra_info.update(table="museum mended", mended=mended)
    assert mended
