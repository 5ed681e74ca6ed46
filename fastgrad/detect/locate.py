"""Which entries are wrong, in a few evaluations each.

With fixed weights w, ``y_k(S) = sum_{i in S} w_i p_i^k (a - g)_i`` costs two evaluations, and is
additive: of two halves one is measured, the other is the rest. ``y_0 y_2 = y_1^2`` certifies a
single culprit, at p = y_1 / y_0: it is then measured for within the interval that the bars leave,
and checked exactly, entry by entry. What is no single culprit is halved. p is the position in the
block; with the row or the column instead, the certificate says that one line holds all errors.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastgrad.detect.differences import Indices
from fastgrad.detect.directions import Directions
from fastgrad.detect.screen import Lines, Reading
from fastgrad.detect.sweep import Judged
from fastgrad.numerics.bars import Verdict
from fastgrad.params import Block, Floats

SMALL = 4
"""Blocks and intervals of so few entries are checked one by one."""
FIRST_SAMPLE = 3
"""Entries looked at before a search for several culprits: a block that is wrong throughout shows."""
TRIES = 100
"""Draws an entry sampled, of which constants and known entries are left out."""
SAMPLE = 16
"""Entries on which a law can be told (a law was told from 16 in 179 of 180 blocks)."""
LINE_SAMPLE = 12
LEAST_DENSE = 1 / 8
"""Fraction of wrong entries from which a search for single ones is given up."""
FEW_IN_LINE = 3
"""Culprits after which a common line is looked at."""
MOST_CULPRITS = 64
"""A search that finds more in one block stops, and estimates how many there are."""
ROUNDS = 4
"""Refinements of one position."""


class OutOfBudgetError(Exception):
    """The time allowed is over."""


@dataclass
class Finding:
    """What was found in one block."""

    kind: str = "nothing"
    """"nothing", "entries", "row", "column", "whole", "dense", "many", or "tolerable"."""
    line: int = -1
    fraction: float = 0.0
    """Fraction of wrong entries in a random sample, for "whole", "dense" and "many"."""
    checked: dict[int, Verdict] = field(default_factory=dict)
    """Verdicts of entries checked one by one, by position in theta."""

    @property
    def blames(self) -> bool:
        """Whether it says that something is wrong."""
        return self.kind not in ("nothing", "tolerable")


@dataclass
class _Interval:
    """Positions ``start:stop`` of theta, and their readings y_0, y_1, y_2."""

    start: int
    stop: int
    y: list[Reading]
    searched: bool = False
    """Whether a single culprit was sought and not found."""

    @property
    def active(self) -> bool:
        return any(reading.alarms for reading in self.y)

    @property
    def single(self) -> bool:
        """Whether the readings are those of a single place."""
        return _certifies(self.y)


class Locator:
    """Searches one block.

    Parameters
    ----------
    lines : Lines
    directions : Directions
    judge : callable
        ``judge(positions)`` checks entries one by one, exactly.
    going_on : callable
        False once the time is over.
    """

    def __init__(
        self,
        lines: Lines,
        directions: Directions,
        judge: Callable[[Indices], Judged],
        going_on: Callable[[], bool],
    ):
        self.lines = lines
        self.directions = directions
        self.judge = judge
        self.going_on = going_on
        self.rng = np.random.default_rng(directions.seed)

    def search(
        self, block: Block, stream: int, finding: Finding, known: Reading | None = None
    ) -> None:
        """Find what is wrong in a block; fills ``finding`` as it goes.

        Parameters
        ----------
        stream : int
            Of the direction that gives the weights.
        known : Reading, optional
            What was measured along that direction before.
        """
        self.block, self.finding = block, finding
        self.tried: set[tuple[str, int]] = set()
        inside = slice(block.start, block.stop)
        self.w = self.directions.draw(stream, block.start, block.stop)[inside]
        self.count = int(np.count_nonzero(self.w))
        if self.count <= 2 * SMALL:
            self._check(block.start + np.flatnonzero(self.w))
            self.finding.kind = "entries" if self._wrong() else "nothing"
            return
        self.p = np.linspace(-1.0, 1.0, block.size)
        y0 = known or self._measure(block.start, block.stop)
        self._bisect(_Interval(block.start, block.stop, [y0, *self._higher(inside, self.p)]))

    def _bisect(self, whole: _Interval) -> None:
        if not whole.single and self._is_everywhere(whole):
            return
        waiting, looked_for_column = [whole], False
        while waiting:
            interval = waiting.pop()
            if not interval.active:
                continue
            if interval.stop - interval.start <= SMALL:
                self._check(np.arange(interval.start, interval.stop))
                if self._line_of_found():
                    return
                continue
            if interval.single and not interval.searched and self._pinpoint(interval):
                # What is left at the same place is what lies beside it: a row.
                if self._line_of_found(beside=interval.active and interval.single):
                    return
                waiting.append(interval)
                continue
            halves = [half for half in self._halves(interval) if half.active]
            waiting += halves
            several = len(halves) == 2 and not all(half.single for half in halves)
            if several and not looked_for_column:
                looked_for_column = True
                if self._is_column(whole):
                    return
            if len(waiting) + len(self._wrong()) > MOST_CULPRITS:
                self.finding.kind = "many"
                self.finding.fraction = len(self._sample(SAMPLE)) / SAMPLE
                return
        self.finding.kind = "entries" if self._wrong() else "nothing"

    def _halves(self, interval: _Interval) -> tuple[_Interval, _Interval]:
        """Both parts of an interval, cut where culprits of one sign balance, or in the middle."""
        start, stop = interval.start, interval.stop
        middle = (start + stop) // 2
        y0, y1, _ = interval.y
        if y0.alarms and not interval.searched:
            at = np.searchsorted(self.p, y1.y / y0.y) + self.block.start
            if start + (stop - start) // 8 < at < stop - (stop - start) // 8:
                middle = int(at)
        left = self._measure(start, middle)
        if left.alarms:
            higher = self._higher(slice(start, middle), self.p)
        else:  # then all of it is to the right, unless errors cancel: fresh directions will tell
            higher = [Reading(0.0, left.bar), Reading(0.0, left.bar)]
        parts = [left, *higher]
        rest = [a.minus(b) for a, b in zip(interval.y, parts, strict=True)]
        if not rest[0].alarms:
            parts, rest = list(interval.y), [Reading(0.0, r.bar) for r in rest]
        return _Interval(start, middle, parts), _Interval(middle, stop, rest)

    def _higher(self, where: slice, p: Floats) -> list[Reading]:
        """y_1 and y_2 of ``where``."""
        inside = slice(where.start - self.block.start, where.stop - self.block.start)
        return [self._measure(where.start, where.stop, p[inside], k) for k in (1, 2)]

    def _measure(self, start: int, stop: int, p: Floats | None = None, power: int = 1) -> Reading:
        """Along ``w p^power``, at ``start:stop``; ``p``, shape (stop - start,), is 1 if not given."""
        if not self.going_on():
            raise OutOfBudgetError
        v = np.zeros(self.lines.a.size)
        inside = slice(start - self.block.start, stop - self.block.start)
        v[start:stop] = self.w[inside]
        if p is not None:
            for _ in range(power):  # in place: a block may be all of theta
                v[start:stop] *= p
        return self.lines.measure(v, self.lines.step_for(stop - start))

    def _pinpoint(self, interval: _Interval) -> bool:
        """Seek the single culprit; True if it was found, and taken out of the readings."""
        interval.searched = True
        y0 = interval.y[0]
        start, stop = interval.start, interval.stop
        flat = self.p[start - self.block.start : stop - self.block.start]
        start, stop = self._narrowed(start, stop, flat, y0, interval.y[1])
        for _ in range(ROUNDS):
            if stop - start <= 1:
                break
            local = np.linspace(-1.0, 1.0, stop - start)
            before = stop - start
            y1 = self._measure(start, stop, local)
            start, stop = self._narrowed(start, stop, local, y0, y1)
            if stop - start >= before:
                break
        if not 1 <= stop - start <= SMALL:
            return False
        found = self._check(np.arange(start, stop))
        self._take_out(interval, found)
        interval.searched = not found
        return bool(found)

    def _take_out(self, interval: _Interval, found: dict[int, tuple[float, float]]) -> None:
        for position, (r, bar) in found.items():
            k = position - self.block.start
            for j, reading in enumerate(interval.y):
                weight = self.w[k] * self.p[k] ** j
                interval.y[j] = reading.minus(Reading(weight * r, abs(weight) * bar))

    def _narrowed(
        self, start: int, stop: int, p: Floats, y0: Reading, y1: Reading
    ) -> tuple[int, int]:
        """The positions in ``start:stop`` that ``p = y_1 / y_0`` allows, within its bars."""
        if not y0.alarms:
            return start, stop
        at = y1.y / y0.y
        slack = (y1.bar + abs(at) * y0.bar) / max(abs(y0.y) - y0.bar, 1e-300)
        low = start + int(np.searchsorted(p, at - slack - 1e-12))
        high = start + int(np.searchsorted(p, at + slack + 1e-12, side="right"))
        if high <= low:  # between two positions: the nearer one
            low = min(max(low - 1, start), stop - 1)
            high = min(low + 2, stop)
        return low, high

    def _is_column(self, whole: _Interval) -> bool:
        """Are all errors in one column? (A row lies together, and is met as one place.)"""
        if not self._is_matrix():
            return False
        columns = self._rows_and_columns()[1]
        last = self.block.shape[1] - 1
        inside = slice(self.block.start, self.block.stop)
        y = [whole.y[0], *self._higher(inside, 2.0 * columns / last - 1.0)]
        if not (y[0].alarms and _certifies(y)):
            return False
        return self._line_is_wrong("column", columns, round((y[1].y / y[0].y + 1) / 2 * last))

    def _line_of_found(self, beside: bool = False) -> bool:
        """Do the culprits found so far share a row or a column, that is wrong throughout?"""
        wrong = np.array(self._wrong(), np.intp) - self.block.start
        if wrong.size < (1 if beside else FEW_IN_LINE) or not self._is_matrix():
            return False
        for kind, line in zip(("row", "column"), self._rows_and_columns(), strict=True):
            own, counts = np.unique(line[wrong], return_counts=True)
            number = int(own[counts.argmax()])
            enough = 1 if beside and kind == "row" else FEW_IN_LINE
            if counts.max() >= enough and (kind, number) not in self.tried:
                self.tried.add((kind, number))
                if self._line_is_wrong(kind, line, number):
                    return True
        return False

    def _is_matrix(self) -> bool:
        return len(self.block.shape) == 2 and min(self.block.shape) >= 2

    def _rows_and_columns(self) -> tuple[Indices, Indices]:
        position = np.arange(self.block.size)
        return position // self.block.shape[1], position % self.block.shape[1]

    def _line_is_wrong(self, kind: str, line: Indices, number: int) -> bool:
        """Check a sample of one line; name it if most of it is wrong."""
        members = np.flatnonzero((line == number) & (self.w != 0)) + self.block.start
        sample = self._pick(np.setdiff1d(members, list(self.finding.checked)), LINE_SAMPLE)
        self._check(sample)
        wrong = np.intersect1d(members, self._wrong())
        if sample.size == 0 or wrong.size <= members.size // 2 < LINE_SAMPLE // 2:
            return False
        if np.intersect1d(sample, wrong).size <= sample.size // 2:
            return False
        self.finding.kind, self.finding.line = kind, number
        return True

    def _is_everywhere(self, whole: _Interval) -> bool:
        """Is a good part of the block wrong? A few entries tell whether to look at more."""
        found = self._sample(FIRST_SAMPLE)
        if not found and self._is_tolerable(whole):
            self.finding.kind = "tolerable"
            return True
        if found:
            found |= self._sample(SAMPLE - FIRST_SAMPLE)
            self.finding.fraction = len(found) / SAMPLE
            if self.finding.fraction > LEAST_DENSE:
                self.finding.kind = "whole" if len(found) == SAMPLE else "dense"
                return True
            self._take_out(whole, found)
        return False

    def _is_tolerable(self, whole: _Interval) -> bool:
        """Do errors below rtol, spread over the block, explain what was measured?"""
        if not self._explains(whole, np.hypot(self.residuals, self.bars)):
            return False
        residuals, bars = self.residuals, self.bars
        if self._sample(SAMPLE - FIRST_SAMPLE):
            return False
        residuals = np.append(residuals, self.residuals)
        visible = np.abs(residuals) > np.append(bars, self.bars)
        return bool(visible.mean() >= LEAST_DENSE) and self._explains(whole, residuals)

    def _explains(self, whole: _Interval, errors: Floats) -> bool:
        return abs(whole.y[0].y) <= 6 * float(np.sqrt(np.mean(errors**2) * self.count))

    def _sample(self, count: int) -> dict[int, tuple[float, float]]:
        """Check random entries."""
        chosen: set[int] = set()
        for k in map(int, self.rng.integers(self.block.size, size=TRIES * count)):
            position = self.block.start + k
            if len(chosen) < count and self.w[k] != 0 and position not in self.finding.checked:
                chosen.add(position)
        return self._check(np.array(sorted(chosen), np.intp))

    def _pick(self, positions: Indices, count: int) -> Indices:
        count = min(max(count, 0), positions.size)
        return np.sort(self.rng.choice(positions, count, replace=False))

    def _check(self, positions: Indices) -> dict[int, tuple[float, float]]:
        """Check entries; those that disagree, with a - D and its bar, are taken out of a."""
        fresh = (i for i in map(int, positions) if i not in self.finding.checked)
        positions = np.array([i for i in fresh if self.w[i - self.block.start] != 0], np.intp)
        if positions.size == 0:
            return {}
        if not self.going_on():
            raise OutOfBudgetError
        judged = self.judge(positions)
        self.residuals, self.bars = judged.analytic - judged.numeric, judged.bar
        found = {}
        for k, position in enumerate(map(int, positions)):
            self.finding.checked[position] = Verdict(judged.verdict[k])
            if judged.verdict[k] == Verdict.DISAGREES:
                bar = float(judged.bar[k])
                found[position] = (float(judged.analytic[k] - judged.numeric[k]), bar)
                self.lines.replace(position, float(judged.numeric[k]), bar)
        return found

    def _wrong(self) -> list[int]:
        return [i for i, v in self.finding.checked.items() if v == Verdict.DISAGREES]


def _certifies(y: list[Reading]) -> bool:
    """``y_0 y_2 = y_1^2`` within the bars."""
    (y0, b0), (y1, b1), (y2, b2) = ((reading.y, reading.bar) for reading in y)
    slack = abs(y0) * b2 + abs(y2) * b0 + 2 * abs(y1) * b1 + b0 * b2 + b1 * b1
    return abs(y0 * y2 - y1 * y1) <= slack
