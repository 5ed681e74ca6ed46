"""``python -m bench.museum``: what is in the museum, and what fastgrad says of each."""

import sys

from bench.museum import exhibits
from bench.museum.checkers import fastgrad_says, judged
from bench.museum.visit import Visit


def main(names: list[str]) -> None:
    """A line each; those whose names contain one of the words given."""
    for exhibit in exhibits():
        if names and not any(name in exhibit.name for name in names):
            continue
        visit = judged(exhibit, fastgrad_says)
        print(f"{exhibit.name:28} {described(visit)}  [{exhibit.module.SOURCE}]")


def described(visit: Visit) -> str:
    """What was said, beside what should have been."""
    said = "cannot tell" if visit.passes is None else "right" if visit.passes else "wrong"
    laws = f" ({', '.join(visit.laws)})" if visit.laws else ""
    verdict = {True: "", False: "  << not so", None: "  << open"}[visit.is_well]
    return f"{'bug' if visit.is_bug else 'right'}: called {said}{laws}{verdict}"


if __name__ == "__main__":
    main(sys.argv[1:])
