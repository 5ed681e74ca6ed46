"""Four collections of wrong gradients, and what `report.suggest` makes of every bug of them."""

import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from bench.museum import exhibits

SECONDS = 60.0
"""Of a search at most: far more than it takes on idle cores, so that edits decide and not the load."""
ONE_OF = 12
"""The quick mode takes one bug of so many."""
COLLECTIONS = ("single edits", "several edits", "courses", "museum")
"""Planted in gradients of nets by one edit and by several; of courses and textbooks; of projects."""
Row = dict[str, object]


def bugs_of(collection: str) -> Iterator[Callable[[Path, float], tuple[object, ...]]]:
    """Every bug of a collection, as a function of a folder and the seconds that a search may take."""
    from tests.checks.bugs import BUGS
    from tests.repair.course_bugs import COURSE_BUGS
    from tests.repair.mending import NOT_WRONG, mended_bug, mended_course_bug, mended_exhibit

    if collection == "museum":
        yield from (partial(mended_exhibit, e) for e in exhibits() if e.is_bug)
    elif collection == "courses":
        yield from (partial(mended_course_bug, bug) for bug in COURSE_BUGS)
    else:
        several = collection == "several edits"
        of_this_kind = [
            b for b in BUGS if (len(b.edits) > 1) == several and b.name not in NOT_WRONG
        ]
        yield from (partial(mended_bug, bug) for bug in of_this_kind)


@cache
def mended_of(collection: str, quick: bool) -> list[Row]:
    """What became of every bug of a collection; asked once in a run."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = list(bugs_of(collection))[:: ONE_OF if quick else 1]
        return [ask(Path(folder), SECONDS)._asdict() for ask in chosen]
