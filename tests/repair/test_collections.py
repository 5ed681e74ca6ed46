"""Counts over the collections: how many planted bugs are mended, and that no suggestion is wrong.

A suggestion is right if the mended gradient is the right one at ten further points with other data.
"""

from collections import Counter

import pytest

from bench.museum import exhibits
from tests.checks.bugs import BUGS
from tests.repair.course_bugs import COURSE_BUGS
from tests.repair.mending import NOT_WRONG, mended_bug, mended_course_bug, mended_exhibit

SECONDS = 60.0
"""Of a search: six times what it may take on two idle cores, for machines that are busy."""
SINGLE, MULTIPLE, OF_COURSES, OF_THE_MUSEUM = 0.95, 0.80, 0.70, 0.70
"""The parts that must be mended."""
QUICK = {
    "labels minus predictions",
    "sum over the wrong axis",
    "the one of the normaliser",
}


@pytest.mark.parametrize(
    "bug", [b for b in COURSE_BUGS if b.name in QUICK], ids=lambda b: f"{b.module}: {b.name}"
)
def test_bugs_of_courses_are_mended(bug, tmp_path):
    assert mended_course_bug(bug, tmp_path, SECONDS).outcome == "right"


@pytest.mark.slow
@pytest.mark.parametrize("multiple", [False, True], ids=["single edits", "multiple edits"])
def test_planted_bugs_are_mended_and_no_suggestion_is_wrong(multiple, tmp_path):
    chosen = [b for b in BUGS if (len(b.edits) > 1) == multiple and b.name not in NOT_WRONG]
    counts = Counter(mended_bug(bug, tmp_path, SECONDS).outcome for bug in chosen)
    assert counts["wrong"] == 0
    assert counts["right"] >= (MULTIPLE if multiple else SINGLE) * counts.total()


@pytest.mark.slow
def test_most_bugs_of_courses_are_mended_and_no_suggestion_is_wrong(tmp_path):
    assert len(COURSE_BUGS) >= 40
    counts = Counter(mended_course_bug(bug, tmp_path, SECONDS).outcome for bug in COURSE_BUGS)
    assert counts["wrong"] == 0
    assert counts["right"] >= OF_COURSES * counts.total()


@pytest.mark.slow
def test_most_bugs_of_the_museum_are_mended_and_no_suggestion_is_wrong(tmp_path):
    """Real bugs; some need another algorithm, such as a product without the entry that is zero."""
    found = [e for e in exhibits() if e.is_bug]
    counts = Counter(mended_exhibit(exhibit, tmp_path, SECONDS).outcome for exhibit in found)
    assert counts["wrong"] == 0
    assert counts["right"] >= OF_THE_MUSEUM * counts.total()
