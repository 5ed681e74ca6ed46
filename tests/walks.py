"""How far a reader walks: functions, files and returns to a file, of a gradient and of checks.

    python -m tests.walks
    python -m tests.walks "screen, one entry wrong"    # the way itself; "<-": a file come back to

Counted with `sys.setprofile` on a Python loss of 12 entries, once everything was imported and ran.
A *return* is a step into a file that was left before by another file's function.
"""

import sys
from collections import Counter
from collections.abc import Callable
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

import fastgrad as fg

PACKAGE = str(Path(fg.__file__).parent)
THETA = np.linspace(0.3, 1.7, 12)


class Walk(NamedTuple):
    """What was passed on the way through the package."""

    functions: int
    files: int
    returns: int


def way(call: Callable[[], Any]) -> list[tuple[str, str]]:
    """The functions of a call with their files, in the order in which they are first entered."""
    order: list[tuple[str, str]] = []
    seen = set()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE) and code.co_name[0] != "<":
            function = (code.co_filename, code.co_qualname)
            if function not in seen:
                seen.add(function)
                order.append(function)

    call()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return order


def walk(call: Callable[[], Any]) -> Walk:
    """The walk of a call: each function counts where it is first entered."""
    order = way(call)
    files = [file for file, _ in order]
    changes = [b for a, b in pairwise(files) if a != b]
    return Walk(len(order), len(set(files)), len(changes) + 1 - len(set(files)))


def loss(x: np.ndarray) -> float:
    return float((x**3).sum())


def check(strategy: str, wrong: bool) -> Callable[[], Any]:
    """A check of a right gradient, or of one with a wrong entry."""
    gradient = 3 * THETA**2
    if wrong:
        gradient[5] *= 1.1
    options = {"strategy": strategy, "backend": "python", "budget": None}
    return lambda: fg.check_grad(loss, gradient, THETA, **options)


WALKS = {
    "grad": lambda: fg.grad(loss, backend="python")(THETA),
    **{
        f"{strategy}, {'one entry wrong' if wrong else 'right'}": check(strategy, wrong)
        for strategy in ("sweep", "screen")
        for wrong in (False, True)
    },
}


def show(order: list[tuple[str, str]]) -> None:
    """Print a way, and the files that are come back to most often."""
    left: Counter[str] = Counter()
    for file, functions in groupby(order, key=itemgetter(0)):
        name = file.removeprefix(PACKAGE)[1:]
        print(f"{'<-' if left[name] else '  '} {name}: {', '.join(f for _, f in functions)}")
        left[name] += 1
    print()
    for name, visits in left.most_common():
        if visits > 1:
            print(f"{visits - 1:4} {name}")


def main(names: list[str]) -> None:
    """Print the table, or the ways of the walks that are named."""
    for name in names:
        show(way(WALKS[name]))
    if names:
        return
    print(f"{'':26}functions  files  returns")
    for name, call in WALKS.items():
        print(f"{name:26}{walk(call).functions:9}{walk(call).files:7}{walk(call).returns:9}")


if __name__ == "__main__":
    main(sys.argv[1:])
