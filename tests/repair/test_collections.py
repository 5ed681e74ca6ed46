"""Counts over the collections: how many planted bugs are mended, and that no suggestion is wrong.

A suggestion is right if the mended gradient is the right one at ten further points with other data.
"""

from collections import Counter
from functools import cache

import pytest

import fastgrad as fg
from fastgrad.report.suggestion import Suggestion
from tests.checks import bugs
from tests.checks.bugs import BUGS
from tests.repair.course_bugs import COURSE_BUGS, CourseBug
from tests.repair.mending import (
    POINTS,
    course_source,
    gradient_of,
    module,
    patched,
    places_of,
    report_of,
    same_at_further_points,
    source_of,
)

SECONDS = 60.0
"""Of a search: six times what it may take on two idle cores, for machines that are busy."""
NOT_WRONG = {"half precision"}
"""A gradient in half precision is judged with its own rounding, and not blamed."""
SINGLE, MULTIPLE, OF_COURSES = 0.95, 0.80, 0.70
"""The parts that must be mended."""
QUICK = {
    "labels minus predictions",
    "sum over the wrong axis",
    "the one of the normaliser",
}


@cache
def worlds():
    return bugs.worlds()


def outcome(suggestions: list[Suggestion], check) -> str:
    if not suggestions:
        return "not mended"
    return "right" if all(map(check, suggestions)) else "wrong"


def mended_bug(bug: bugs.Bug, folder) -> str:
    world, text = worlds()[bug.world], source_of(bug, worlds()[bug.world])
    with module(folder / "net.py", text) as made:
        suggestions = report_of(bug, world, made).suggest(SECONDS)

    def is_right(suggestion: Suggestion) -> bool:
        with (
            module(folder / "mended.py", patched(text, suggestion.diff, folder)) as mended,
            module(folder / "right.py", source_of(bug, world, planted=False)) as right,
        ):
            gradients = (gradient_of(m, world) for m in (mended, right))
            return same_at_further_points(*gradients, places_of(world))

    return outcome(suggestions, is_right)


def mended_course_bug(bug: CourseBug, folder) -> str:
    text = course_source(bug)
    loss, grad, example = (f"{bug.problem}{name}" for name in ("loss", "grad", "example"))
    with module(folder / "course.py", text) as made:
        theta, args = getattr(made, example)(0)
        report = fg.check_grad(getattr(made, loss), getattr(made, grad), theta, *args)
        suggestions = report.suggest(SECONDS)

    def is_right(suggestion: Suggestion) -> bool:
        with (
            module(folder / "mended.py", patched(text, suggestion.diff, folder)) as mended,
            module(folder / "right.py", course_source(bug, planted=False)) as right,
        ):
            places = (getattr(right, example)(seed) for seed in range(1, POINTS + 1))
            return same_at_further_points(getattr(mended, grad), getattr(right, grad), places)

    return outcome(suggestions, is_right)


@pytest.mark.parametrize(
    "bug", [b for b in COURSE_BUGS if b.name in QUICK], ids=lambda b: f"{b.module}: {b.name}"
)
def test_bugs_of_courses_are_mended(bug, tmp_path):
    assert mended_course_bug(bug, tmp_path) == "right"


@pytest.mark.slow
@pytest.mark.parametrize("multiple", [False, True], ids=["single edits", "multiple edits"])
def test_planted_bugs_are_mended_and_no_suggestion_is_wrong(multiple, tmp_path):
    chosen = [b for b in BUGS if (len(b.edits) > 1) == multiple and b.name not in NOT_WRONG]
    counts = Counter(mended_bug(bug, tmp_path) for bug in chosen)
    assert counts["wrong"] == 0
    assert counts["right"] >= (MULTIPLE if multiple else SINGLE) * counts.total()


@pytest.mark.slow
def test_most_bugs_of_courses_are_mended_and_no_suggestion_is_wrong(tmp_path):
    assert len(COURSE_BUGS) >= 40
    counts = Counter(mended_course_bug(bug, tmp_path) for bug in COURSE_BUGS)
    assert counts["wrong"] == 0
    assert counts["right"] >= OF_COURSES * counts.total()
