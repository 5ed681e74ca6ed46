"""The entries of one block that are checked one by one, and what is remembered of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.differences import Indices
from fastgrad.detect.judged import Judged
from fastgrad.detect.screen import Lines
from fastgrad.numerics.bars import Verdict
from fastgrad.params import Block

CHUNK = 1 << 16
WRONG = 4
"""Evaluations that a wrong entry takes where the loss is smooth."""


class OutOfBudgetError(Exception):
    """The time allowed is over."""


@dataclass(frozen=True)
class Checked:
    """One entry: ``a - D`` as it was when checked, and the bar of D."""

    verdict: Verdict
    residual: float
    bar: float

    @property
    def shows(self) -> bool:
        """Whether a direction through the entry may see its residual, tolerable or not."""
        wrong = self.verdict == Verdict.DISAGREES
        return bool(np.isfinite(self.residual)) and (wrong or abs(self.residual) > self.bar)


@dataclass
class Finding:
    """What was found in one block."""

    kind: str = "nothing"
    """"nothing", "entries", "row", "column", "whole", "dense", "many", or "tolerable"."""
    line: int = -1
    fraction: float = 0.0
    """Fraction of wrong entries in a random sample, for "whole", "dense" and "many"."""
    hidden: float = 0.0
    """Size of a single error that "tolerable" ones beside it may hide."""
    checked: dict[int, Checked] = field(default_factory=dict)
    """Entries checked one by one, by position in theta."""

    @property
    def blames(self) -> bool:
        """Whether it says that something is wrong."""
        return self.kind not in ("nothing", "tolerable")

    @property
    def wrong(self) -> list[int]:
        """Positions of the entries that disagree."""
        return [i for i, entry in self.checked.items() if entry.verdict == Verdict.DISAGREES]


class Suspects:
    """Checks entries of one block; those whose error shows are replaced in the gradient.

    Parameters
    ----------
    lines : Lines
    judge : callable
        ``judge(positions)`` checks entries one by one, exactly.
    going_on : callable
        ``going_on(evaluations)``: whether the time allows so many more.
    block : Block
    free : ndarray of bool, shape (block.size,)
        Which of its entries may be perturbed.
    finding : Finding
        Filled.
    rng : Generator
    """

    def __init__(
        self,
        lines: Lines,
        judge: Callable[[Indices], Judged],
        going_on: Callable[..., bool],
        block: Block,
        free: NDArray[np.bool_],
        finding: Finding,
        rng: np.random.Generator,
    ):
        self.lines, self.judge, self.going_on = lines, judge, going_on
        self.block, self.finding, self.rng = block, finding, rng
        self.free = free
        self.count = int(np.count_nonzero(free))
        """Entries that may be perturbed."""
        self._replaced: list[tuple[int, Checked]] = []
        self._unknown = free.copy()
        self._unknown[np.array(list(finding.checked), np.intp) - block.start] = False

    @property
    def unknown(self) -> int:
        """How many entries were not checked yet."""
        return int(np.count_nonzero(self._unknown))

    def check(self, positions: Indices) -> bool:
        """Check entries not yet known; True if the error of any shows."""
        positions = positions[self._unknown[positions - self.block.start]]
        if positions.size == 0:
            return False
        if not self.going_on(WRONG * positions.size):
            return self._check_in_turn(positions)
        judged = self.judge(positions)
        residuals = judged.analytic - judged.numeric
        before = len(self._replaced)
        for k, position in enumerate(map(int, positions)):
            entry = Checked(Verdict(judged.verdict[k]), float(residuals[k]), float(judged.bar[k]))
            self.finding.checked[position] = entry
            self._unknown[position - self.block.start] = False
            if entry.shows:
                self._replaced.append((position, entry))
                self.lines.replace(position, float(judged.numeric[k]), entry.bar)
        return len(self._replaced) > before

    def _check_in_turn(self, positions: Indices) -> bool:
        if positions.size == 1:
            raise OutOfBudgetError
        half = positions.size // 2
        found = self.check(positions[:half])
        return self.check(positions[half:]) or found

    def taken_out(self) -> list[tuple[int, Checked]]:
        """What was replaced in the gradient since the last call."""
        taken, self._replaced = self._replaced, []
        return taken

    def check_all(self) -> None:
        """Check every entry."""
        self.check(self.block.start + np.flatnonzero(self._unknown))

    def sample(self, count: int) -> list[Checked]:
        """Check so many random entries more, or all there are."""
        ranks = np.sort(self.rng.choice(self.unknown, min(count, self.unknown), replace=False))
        starts = np.arange(0, self._unknown.size, CHUNK)
        before = np.cumsum(np.add.reduceat(self._unknown, starts, dtype=np.intp))
        chosen = []
        for rank in ranks:  # chunk by chunk, for all their positions would fill another theta
            chunk = int(np.searchsorted(before, rank, side="right"))
            there = np.flatnonzero(self._unknown[starts[chunk] : starts[chunk] + CHUNK])
            chosen.append(starts[chunk] + there[rank - before[chunk] + there.size])
        positions = self.block.start + np.array(chosen, np.intp)
        self.check(positions)
        return [self.finding.checked[i] for i in map(int, positions)]

    def sample_of(self, positions: Indices, count: int) -> list[Checked]:
        """Check random ones of these that are not known yet."""
        positions = positions[self._unknown[positions - self.block.start]]
        chosen = self.rng.choice(positions, min(count, positions.size), replace=False)
        self.check(np.sort(chosen))
        return [self.finding.checked[i] for i in map(int, chosen)]


def count_wrong(sample: list[Checked]) -> int:
    """How many disagree."""
    return sum(entry.verdict == Verdict.DISAGREES for entry in sample)
