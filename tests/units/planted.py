"""Planted errors: how often a right gradient is called wrong, and a wrong one right.

Every entry that matters is, one at a time, given the wrong sign, made zero and made 1% too large.
``python -m tests.units.planted [--seeds 3] [--strategy sweep] [--rtol 1e-5] [--hard]`` prints the
counts by model and their totals.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, NamedTuple, Protocol

import numpy as np

import fastgrad as fg
from fastgrad.results import GradientCheck
from tests.units.models import HARD_UNITS, MODELS, Case, Floats, matters

FACTORS = {"sign": -1.0, "zero": 0.0, "1%": 1.01}
"""Planted errors, by what an entry is multiplied with."""

AWAY = 0.01
"""Where the gradient is zero, the planted error, in parts of what it is away from there."""


class Source(Protocol):
    """Where cases come from: `Model` and `HardUnit`."""

    @property
    def name(self) -> str: ...

    def case(self, seed: int) -> Case: ...


class Planted(NamedTuple):
    """A gradient with an error in one entry."""

    error: str
    entry: int
    gradient: Floats


def planted_errors(case: Case) -> Iterator[Planted]:
    """Every error in every entry that matters."""
    right = case.grad(case.theta, *case.args)
    for i in np.flatnonzero(matters(case)):
        if case.typical is not None:
            yield Planted("plus 1%", int(i), _with(right, i, right[i] + AWAY * case.typical[i]))
            continue
        for error, factor in FACTORS.items():
            yield Planted(error, int(i), _with(right, i, factor * right[i]))


def _with(gradient: Floats, i: int, value: float) -> Floats:
    changed = gradient.copy()
    changed[i] = value
    return changed


@dataclass(frozen=True)
class Counts:
    """What `check_grad` made of right gradients, and of planted errors."""

    right: int = 0
    called_wrong: int = 0
    """Right gradients whose verdict is "disagrees"."""
    left_open: int = 0
    """Right gradients whose verdict is neither "agrees" nor "disagrees"."""
    found: int = 0
    """Planted errors where the report disagrees, and at that entry."""
    passed: int = 0
    """Planted errors that are missed, with the verdict "agrees": the worst of `missed`."""
    missed: int = 0
    neighbours_blamed: int = 0
    """Right entries that disagree beside a planted error."""
    evaluations: tuple[int, ...] = ()
    """Of every right gradient."""
    too_many: int = 0
    """Right gradients that took more than 2 n + 60 evaluations."""
    missed_errors: tuple[str, ...] = field(default=(), repr=False)
    """Which planted errors were missed."""

    @property
    def planted(self) -> int:
        return self.found + self.missed

    @property
    def evaluations_median(self) -> float:
        return float(median(self.evaluations)) if self.evaluations else float("nan")

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f) + getattr(other, f) for f in Counts.__dataclass_fields__))


def measure(
    problems: Iterable[Source], seeds: Iterable[int], *, strategy: str = "auto", **options: Any
) -> Counts:
    """The counts over problems and seeds; options are those of `check_grad`, as ``rtol``."""
    seeds = list(seeds)
    total = Counts()
    for problem in problems:
        for seed in seeds:
            total += measure_case(problem.case(seed), f" seed {seed}", strategy, **options)
    return total


def measure_case(case: Case, label: str = "", strategy: str = "auto", **options: Any) -> Counts:
    """The counts of one right gradient, and of every error planted in it."""

    def check(gradient: Floats) -> GradientCheck:
        return fg.check_grad(
            case.loss, gradient, case.theta, *case.args, strategy=strategy, **options
        )

    report = check(case.grad(case.theta, *case.args))
    counts = Counts(
        right=1,
        called_wrong=int(report.verdict == "disagrees"),
        left_open=int(report.verdict not in ("agrees", "disagrees")),
        evaluations=(report.evaluations,),
        too_many=int(report.evaluations > 2 * case.theta.size + 60),
    )
    for planted in planted_errors(case):
        counts += judged(check(planted.gradient), planted, f"{case.name}{label}")
    return counts


def judged(report: GradientCheck, planted: Planted, label: str) -> Counts:
    """The counts of one planted error."""
    blamed = {entry.index[0] for entry in report.entries if entry.verdict == "disagrees"}
    neighbours = len(blamed - {planted.entry})
    if report.verdict == "disagrees" and planted.entry in blamed:
        return Counts(found=1, neighbours_blamed=neighbours)
    return Counts(
        missed=1,
        passed=int(report.verdict == "agrees"),
        neighbours_blamed=neighbours,
        missed_errors=(f"{label} theta[{planted.entry}] {planted.error}: {report.verdict}",),
    )


COLUMNS = ("wrong", "open", "missed", "passed", "blamed", "evals", "> 2n+60")
HEADER = "{:32s} {:>7} {:>7} {:>9} {:>7} {:>7} {:>6} {:>8}".format("", *COLUMNS)


def row(name: str, counts: Counts) -> str:
    """A line of the table."""
    return (
        f"{name:32s} {counts.called_wrong:>3}/{counts.right:<3} {counts.left_open:>3}/{counts.right:<3} "
        f"{counts.missed:>4}/{counts.planted:<4} {counts.passed:>7} {counts.neighbours_blamed:>7} "
        f"{counts.evaluations_median:>6.0f} {counts.too_many:>4}/{counts.right:<3}"
    )


def print_table(
    problems: Sequence[Source], seeds: range, show_missed: bool, **options: Any
) -> None:
    """The counts by problem, then their totals."""
    print(HEADER)
    total = Counts()
    for problem in problems:
        try:
            counts = measure([problem], seeds, **options)
        except Exception as error:  # the table goes on
            print(f"{problem.name:32s} {type(error).__name__}: {error}")
            continue
        print(row(problem.name, replace(counts, missed_errors=())), flush=True)
        if show_missed:
            print("\n".join(f"    {error}" for error in counts.missed_errors))
        total += counts
    print(row("total", total))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--rtol", type=float, default=1e-5)
    parser.add_argument("--hard", action="store_true", help="the hard units, not the models")
    parser.add_argument("--only", default="", help="problems with this in their name")
    parser.add_argument("--missed", action="store_true", help="print every error that is missed")
    asked = parser.parse_args()
    problems = HARD_UNITS if asked.hard else MODELS
    print_table(
        [problem for problem in problems if asked.only in problem.name],
        range(asked.seeds),
        asked.missed,
        strategy=asked.strategy,
        rtol=asked.rtol,
    )


if __name__ == "__main__":
    main()
