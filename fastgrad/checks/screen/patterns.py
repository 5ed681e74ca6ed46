"""What the wrong entries of a block have in common, told from a few of them.

Is a good part of the block wrong, or are its errors small and everywhere? Do the culprits found so
far share a row or a column that is wrong throughout?
"""

import numpy as np

from fastgrad.arrays import Indices
from fastgrad.checks.rules import Verdict
from fastgrad.checks.screen.found import Checked
from fastgrad.checks.screen.residuals import Reading
from fastgrad.checks.screen.spot_checks import Suspects
from fastgrad.numerics.norms import rms

FIRST_SAMPLE = 3
"""Entries looked at before a search for several culprits: a block that is wrong throughout shows."""
LAW_SAMPLE = 16
"""Entries on which a law can be told (a law was told from 16 in 179 of 180 blocks)."""
SHAPE_SAMPLE = 32
"""More entries of a matrix of which a part is wrong: they show blocks on its diagonal."""
LINE_SAMPLE = 12
DENSE_FRACTION = 1 / 8
"""Fraction of wrong entries from which a search for single ones is given up."""
FEW_IN_LINE = 3
"""Culprits after which a common line is looked at."""
SPREAD_SDS = 6.0
"""A direction through many small errors shows their norm, and six times that next to never."""


class Patterns:
    """Looks at more entries of one block, and names the pattern in its finding.

    Parameters
    ----------
    suspects : Suspects
        Of the block.
    """

    def __init__(self, suspects: Suspects):
        self.suspects = suspects
        self.block, self.finding = suspects.block, suspects.finding
        self.is_matrix = len(self.block.shape) == 2 and min(self.block.shape) >= 2
        self.tried: set[tuple[str, int]] = set()
        self.found: list[tuple[str, int]] = []
        """Lines that were found to be wrong since they were asked for the last time."""

    def is_everywhere(self, whole: Reading) -> bool:
        """Is a good part of the block wrong, or nothing by more than rtol?"""
        sample = self.suspects.sample(FIRST_SAMPLE)
        if not any(entry.shows for entry in sample) and not self._is_explained(whole, sample):
            return False
        sample += self.suspects.sample(LAW_SAMPLE - len(sample))
        wrong = _count_wrong(sample)
        if DENSE_FRACTION * len(sample) < wrong < len(sample) and self.is_matrix:
            sample += self.suspects.sample(SHAPE_SAMPLE)
            wrong = _count_wrong(sample)
        if wrong > DENSE_FRACTION * len(sample):
            if wrong < len(sample) and self._lines_explain():
                return False
            self.finding.fraction = wrong / len(sample)
            self.finding.kind = "whole" if wrong == len(sample) else "dense"
            return True
        return wrong == 0 and self._is_tolerable(whole, sample)

    def _lines_explain(self) -> bool:
        """Whether few entries are wrong beside lines that are: these are said by themselves."""
        while self.is_matrix and self.line_of_found():
            pass
        if not self.finding.lines:
            return False
        struck = self.finding.in_lines(self.block.shape)
        beside = sum(not struck[i - self.block.start] for i in self.finding.checked)
        return len(self.finding.single(self.block)) <= DENSE_FRACTION * beside

    def many(self) -> None:
        """Give up: estimate how many are wrong."""
        sample = self.suspects.sample(LAW_SAMPLE)
        self.finding.kind = "many"
        self.finding.fraction = _count_wrong(sample) / max(len(sample), 1)

    def rows_and_columns(self) -> tuple[Indices, Indices]:
        """The row and the column of each entry of the block, shape (block.size,)."""
        position = np.arange(self.block.size)
        return position // self.block.shape[1], position % self.block.shape[1]

    def culprits(self) -> int:
        """How many were found: lines, and single entries in none of them."""
        return len(self.finding.lines) + len(self.finding.single(self.block))

    def new_lines(self) -> list[Indices]:
        """Positions in the block of each line found since the last call, increasing."""
        if not self.found:
            return []
        along = dict(zip(("row", "column"), self.rows_and_columns(), strict=True))
        found, self.found = self.found, []
        return [np.flatnonzero(along[kind] == number) for kind, number in found]

    def line_of_found(self, beside: bool = False) -> bool:
        """Do culprits of a matrix found so far share a row or a column, that is wrong throughout?"""
        wrong = np.array(self.finding.single(self.block), np.intp) - self.block.start
        if wrong.size < (1 if beside else FEW_IN_LINE):
            return False
        for kind, line in zip(("row", "column"), self.rows_and_columns(), strict=True):
            own, counts = np.unique(line[wrong], return_counts=True)
            number = int(own[counts.argmax()])
            enough = 1 if beside and kind == "row" else FEW_IN_LINE
            if counts.max() >= enough and (kind, number) not in self.tried:
                self.tried.add((kind, number))
                if self.line_is_wrong(kind, line, number):
                    return True
        return False

    def line_is_wrong(self, kind: str, line: Indices, number: int) -> bool:
        """Check a sample of one line; name it if most of it is wrong."""
        members = np.flatnonzero((line == number) & self.suspects.free) + self.block.start
        sample = self.suspects.sample_of(members, LINE_SAMPLE)
        wrong = np.intersect1d(members, self.finding.wrong)
        if wrong.size <= members.size // 2 and (not sample or members.size < LINE_SAMPLE):
            return False
        if sample and _count_wrong(sample) <= len(sample) // 2:
            return False
        self.finding.blame_line(kind, number)
        self.found.append((kind, number))
        return True

    def _is_tolerable(self, whole: Reading, sample: list[Checked]) -> bool:
        """Do errors below rtol, spread over the block, explain what was measured?"""
        visible = sum(abs(entry.residual) > entry.bar for entry in sample)
        errors = [entry.effect for entry in sample]
        if visible < DENSE_FRACTION * len(sample) or not self._explain(whole, errors):
            return False
        self.finding.kind = "tolerable"
        self.finding.hidden = abs(whole.y) + self._spread(errors)
        return True

    def _is_explained(self, whole: Reading, sample: list[Checked]) -> bool:
        return self._explain(whole, [np.hypot(entry.effect, entry.limit) for entry in sample])

    def _explain(self, whole: Reading, errors: list[float]) -> bool:
        return abs(whole.y) <= self._spread(errors)

    def _spread(self, errors: list[float]) -> float:
        """What a direction through the block shows at most of errors like these, throughout."""
        return SPREAD_SDS * rms(np.array(errors)) * float(np.sqrt(self.suspects.count))


def _count_wrong(sample: list[Checked]) -> int:
    """How many disagree."""
    return sum(entry.verdict == Verdict.DISAGREES for entry in sample)
