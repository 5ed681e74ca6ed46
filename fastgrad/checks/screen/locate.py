"""Which entries are wrong, in a few evaluations each.

With fixed weights w, ``y_k(S) = sum_{i in S} w_i p_i^k (a - g)_i`` costs two evaluations, and is
additive: of two halves one is measured, the other is the rest. ``y_0 y_2 = y_1^2`` certifies a
single culprit, at p = y_1 / y_0: it is then measured for within the interval that the bars leave,
and checked exactly, entry by entry. What is no single culprit is halved. p is the position in the
block; with the row or the column instead, the certificate says that one line holds all errors.
"""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.screen.patterns import Patterns
from fastgrad.checks.screen.residuals import Reading
from fastgrad.differences.directions import Directions
from fastgrad.numerics.norms import size_of

SMALL_INTERVAL = 4
"""Blocks and intervals of so few entries are checked one by one."""
ALL_STAGES = 8
"""Evaluations of an entry that goes through all stages of a sweep."""
TOO_MANY_CULPRITS = 64
"""A search that finds more in one block stops, and estimates how many there are."""
ROUNDS = 4
"""Refinements of one position."""


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
    patterns : Patterns
        Of the suspects of the block.
    directions : Directions
    w : ndarray, shape (block.size,)
        The weights; written to.
    """

    def __init__(self, patterns: Patterns, directions: Directions, w: Floats):
        self.patterns, self.suspects = patterns, patterns.suspects
        self.block, self.residuals = self.suspects.block, self.suspects.spot.residuals
        self.lines, self.directions = self.residuals.lines, directions
        self.w, self.p = w, np.linspace(-1.0, 1.0, self.block.size)
        finding = self.suspects.finding
        if finding.lines:  # of a round before
            self.w[finding.in_lines(self.block.shape)] = 0.0

    def search(self, known: Reading | None = None, throughout: bool = False) -> None:
        """Find what is wrong, and fill in the finding as it goes.

        Parameters
        ----------
        known : Reading, optional
            What was measured along the weights before.
        throughout : bool
            Whether the block is likely wrong throughout, as directions told.
        """
        start, stop = self.block.start, self.block.stop
        y0 = known or self._measure(start, stop)
        if throughout:
            if self.patterns.is_everywhere(y0):
                return
            self._strike()
            y0 = self._measure(start, stop)  # without what was corrected since
        self._bisect(_Interval(start, stop, [y0, *self._higher(slice(start, stop), self.p)]))

    def _bisect(self, whole: _Interval) -> None:
        if not whole.single:
            if self.patterns.is_everywhere(whole.y[0]):
                return
            self._strike(whole)
        waiting, looked_for_column = [whole], False
        while waiting:
            self._take_out(whole, *waiting)
            interval = waiting.pop()
            if not interval.active:
                continue
            if interval.stop - interval.start <= SMALL_INTERVAL:
                self.suspects.check(np.arange(interval.start, interval.stop))
                if self.patterns.is_matrix and self.patterns.line_of_found():
                    self._strike(whole, *waiting)
                continue
            if interval.single and not interval.searched and self._pinpoint(interval):
                self._take_out(whole, *waiting, interval)
                if self.patterns.is_matrix:
                    # What is left at the same place is what lies beside it: a row.
                    beside = interval.active and interval.single
                    if self.patterns.line_of_found(beside):
                        self._strike(whole, *waiting, interval)
                waiting.append(interval)
                continue
            halves = [half for half in self._halves(interval) if half.active]
            waiting += halves
            several = len(halves) == 2 and not all(half.single for half in halves)
            if several and not looked_for_column:
                looked_for_column = True
                if self.patterns.is_matrix and self._is_column(whole):
                    return
            if len(waiting) + self.patterns.culprits() > TOO_MANY_CULPRITS:
                self.patterns.many()
                return

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
        rest = [_less(a, b) for a, b in zip(interval.y, parts, strict=True)]
        if not rest[0].alarms:
            parts, rest = list(interval.y), [Reading(0.0, r.bar) for r in rest]
        return _Interval(start, middle, parts), _Interval(middle, stop, rest)

    def _higher(self, where: slice, p: Floats) -> list[Reading]:
        """y_1 and y_2 of ``where``."""
        inside = slice(where.start - self.block.start, where.stop - self.block.start)
        return [self._measure(where.start, where.stop, p[inside], k) for k in (1, 2)]

    def _measure(self, start: int, stop: int, p: Floats | None = None, power: int = 1) -> Reading:
        """Along ``w p^power``, at ``start:stop``; ``p``, shape (stop - start,), is 1 if not given."""
        v = np.zeros(self.directions.units.size)
        inside = slice(start - self.block.start, stop - self.block.start)
        v[start:stop] = self.w[inside]
        if p is not None:
            for _ in range(power):  # in place: a block may be all of theta
                v[start:stop] *= p
        return self.residuals.measure(v, self.lines.step_for(stop - start))

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
        if not 1 <= stop - start <= SMALL_INTERVAL:
            return False
        found = self.suspects.check(np.arange(start, stop))
        interval.searched = not found
        return found

    def _take_out(self, *intervals: _Interval) -> None:
        """Subtract what was checked since the last time from the readings of its intervals."""
        distinct = {id(interval): interval for interval in intervals}.values()
        corrected, self.suspects.corrected = self.suspects.corrected, []
        for position, entry in corrected:
            k = position - self.block.start
            for interval in distinct:
                if interval.start <= position < interval.stop:
                    for j, reading in enumerate(interval.y):
                        weight = self.w[k] * self.p[k] ** j
                        y = reading.y - weight * entry.residual
                        interval.y[j] = Reading(y, reading.bar + abs(weight) * entry.bar)

    def _strike(self, *intervals: _Interval) -> None:
        """Leave lines that were found wrong out of the readings, and out of what is yet to be read."""
        self._take_out(*intervals)
        distinct = {id(interval): interval for interval in intervals}.values()
        for line in self.patterns.new_lines():
            positions = line + self.block.start
            known: dict[tuple[int, int], list[Reading]] = {}
            for interval in distinct:
                first, last = np.searchsorted(positions, (interval.start, interval.stop)).tolist()
                if first == last:
                    continue
                if (first, last) not in known:
                    known[first, last] = self._parts(line[first:last])
                parts = zip(interval.y, known[first, last], strict=True)
                interval.y = [_less(reading, part) for reading, part in parts]
            self.suspects.unknown[line] = False
            self.w[line] = 0.0

    def _parts(self, line: Indices) -> list[Reading]:
        """y_0, y_1 and y_2 of some entries of the block."""
        found = []
        for power in range(3):
            v = np.zeros(self.directions.units.size)
            v[self.block.start + line] = self.w[line] * self.p[line] ** power
            found.append(self.residuals.measure(v, self.lines.step_for(line.size)))
        return found

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
        """Are all errors of a matrix in one column? (A row lies together, and is met as one place.)"""
        columns = self.patterns.rows_and_columns()[1]
        last = self.block.shape[1] - 1
        inside = slice(self.block.start, self.block.stop)
        y = [whole.y[0], *self._higher(inside, 2.0 * columns / last - 1.0)]
        if not (y[0].alarms and _certifies(y)):
            return False
        number = round((y[1].y / y[0].y + 1) / 2 * last)
        return self.patterns.line_is_wrong("column", columns, number)


def _less(reading: Reading, part: Reading) -> Reading:
    """The reading of what is left without a part."""
    return Reading(reading.y - part.y, reading.bar + part.bar)


def _certifies(y: list[Reading]) -> bool:
    """``y_0 y_2 = y_1^2`` within the bars."""
    unit = size_of(np.array([reading.y for reading in y]))
    (y0, b0), (y1, b1), (y2, b2) = ((reading.y / unit, reading.bar / unit) for reading in y)
    slack = abs(y0) * b2 + abs(y2) * b0 + 2 * abs(y1) * b1 + b0 * b2 + b1 * b1
    return abs(y0 * y2 - y1 * y1) <= slack
