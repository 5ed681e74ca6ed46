"""The museum of real bugs, and how it judges its visitors."""

from pathlib import Path

import numpy as np
import pytest

from bench.museum import Answer, Exhibit, exhibits, vector
from bench.museum.checkers import close, fastgrad_says, judged
from bench.museum.visit import where_of
from bench.rivals import textbook_loop

EXHIBITS = exhibits()
BUGS = [e for e in EXHIBITS if e.is_bug]
ALARMS = [e for e in EXHIBITS if not e.is_bug]


@pytest.fixture(scope="module")
def visits():
    return [judged(exhibit, fastgrad_says) for exhibit in EXHIBITS]


STATEFUL = {"forces_of_last_energy", "backward_accumulates"}
"""Right as long as they are fresh."""


def test_there_are_enough_of_enough_kinds():
    assert len(BUGS) >= 60
    assert len(ALARMS) >= 40
    assert len({e.kind for e in BUGS}) >= 12


def test_fastgrad_finds_every_bug_and_calls_no_right_gradient_wrong(visits):
    assert [v.name for v in visits if v.is_bug and v.passes is not False] == []
    assert [v.name for v in visits if not v.is_bug and v.passes is False] == []


def test_no_entry_is_blamed_that_is_right(visits):
    assert [v.name for v in visits if v.where == "others"] == []


def test_no_law_is_named_that_is_not_so_and_most_causes_are(visits):
    assert [(v.name, v.laws) for v in visits if v.names_another] == []
    assert sum(v.names_cause for v in visits) >= 0.9 * len(BUGS)


@pytest.mark.parametrize("exhibit", BUGS, ids=lambda e: e.name)
def test_right_gradients_are_right_and_wrong_ones_are_not(exhibit):
    """By the plain loop; where the loss has a kink at theta, its own test is the one by fastgrad."""
    module = exhibit.module
    loss, _, x = exhibit.flat()
    with np.errstate(all="ignore"):
        numeric = textbook_loop(loss, x, 1e-5)
    right = vector(module.right(module.theta))
    if exhibit.name != "max_of_ties":
        np.testing.assert_allclose(right, numeric, rtol=1e-5, atol=1e-6 * np.abs(right).max())
    assert exhibit.off() or exhibit.name in STATEFUL


def test_a_source_has_a_repository_a_place_and_a_day():
    class Nameless:
        SOURCE = "somebody once"

    with pytest.raises(ValueError, match="owner/name#1"):
        _ = Exhibit("x", Nameless, True).project


def test_a_visitor_may_say_no_more_than_yes_or_no_or_fail():
    exhibit = next(e for e in BUGS if e.name == "huber_upstream")
    assert judged(exhibit, lambda e: close(textbook_loop, e)).is_well is True
    assert judged(exhibit, lambda e: True).is_well is False
    assert judged(exhibit, lambda e: None).is_well is None
    assert judged(exhibit, lambda e: 1 / 0).is_well is None
    said = judged(exhibit, lambda e: Answer(False, frozenset({0, 1}), ("sign",)))
    assert (said.where, said.names_cause, said.names_another) == ("some", False, True)


def test_where_compares_what_is_blamed_with_what_is_wrong():
    off = frozenset({1, 2})
    assert where_of(None, off) == ""
    assert where_of(off, off) == "all"
    assert where_of(frozenset({1}), off) == "some"
    assert where_of(frozenset({1, 3}), off) == "others"


def test_a_plain_checker_of_ten_lines_can_be_sent_through():
    """The README's own function."""
    text = (Path(__file__).parents[1] / "bench" / "museum" / "README.md").read_text("utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) <= 10
    names = {"np": np}
    exec(code, names)
    seen = [judged(e, names["my_checker"]) for e in BUGS[:20]]
    assert sum(v.is_well is True for v in seen) >= 18


def test_the_tables_count_what_was_said():
    """Two checkers before three exhibits: found, missed, open, called wrong; where, why, mended."""
    from bench.museum.tables import amiss, by_checker, by_kind
    from bench.museum.visit import Visit

    def visits(sign, other, right):
        return [
            Visit("a", "wrong sign", True, *sign, ("sign",), 1.0).row(),
            Visit("b", "clipping", True, *other, ("zero",), 2.0).row(),
            Visit("c", "kinks", False, right, "", (), (), 3.0).row(),
        ]

    ours = visits((False, "all", ("sign",)), (None, "", ("theta",)), True)
    theirs = visits((True, "", ()), (False, "others", ()), False)
    rows = [{"tool": "fastgrad", "visits": ours}, {"tool": "other", "visits": theirs}]
    assert by_checker(rows, lambda s: f"{s:g} s") == [
        ["fastgrad", "1 of 2", "0 of 1", "1", "1", "1", "1", "2 s"],
        ["other", "1 of 2", "1 of 1", "0", "0, 1 wrongly", "0", "0", "2 s"],
    ]
    assert amiss(rows) == "- fastgrad: cannot tell b.\n- other: missed a; called wrong c."
    assert by_kind(rows, {"a": True}) == [
        ["clipping", "1", "0", "1", "0", "0"],
        ["wrong sign", "1", "1", "0", "1", "1"],
        ["all", "2", "1", "1", "1", "1"],
    ]
