"""`report.suggest`: the share of bugs that it mends, how many edits it tries, and how long it takes."""

import pytest

from bench.repair import COLLECTIONS, mended_of


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_mended(collection: str, benchmark, quick):
    found = []
    benchmark.pedantic(lambda: found.extend(mended_of(collection, quick)), rounds=1)
    benchmark.extra_info.update(table="repair", collection=collection, mended=found)
    assert not [row["name"] for row in found if row["outcome"] == "wrong"]
