"""One check of a monitor: a line along the gradient, and what its residual says of each block.

Along ``v = sum over blocks of w_b sign(a_b)``, with signs ``w_b`` drawn anew at every check, the slope
of a gradient of which block b is off by a part c differs from the truth by ``c w_b |a_b|``: times
``w_b`` the residual has the same sign at every check for the block that is wrong, and any sign for the
others. One line of four evaluations is evidence about every block at once
(`fastgrad.numerics.evidence`).
"""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.monitoring.moment import RTOL, Moment
from fastgrad.monitoring.records import Alarm, Record
from fastgrad.monitoring.steps import Ladder
from fastgrad.numerics.evidence import Evidence
from fastgrad.numerics.norms import norm
from fastgrad.numerics.steps import power_of_two
from fastgrad.parameters.layout import Layout

RHO = RTOL
"""Relative errors of a block up to here are none: truncation and kinks leave as much."""
UNSURE = 0.1
"""Part of the truncation taken out that may still be there."""
LARGEST_BOOST = 16.0
"""A block that does little to the loss moves so many times further than its size."""
RANDOM_EVERY = 4
"""One line in so many is random within blocks: it sees what a line along the gradient cannot."""
GROSS_NOISE = 20.0
GROSS_PART = 0.1
"""A residual beyond so many noises and this part of the slope's terms is looked at again at once."""
LOOKS_AGAIN = 2
"""Fresh lines on which it must be there too: with four evaluations each, eight."""
NOISE_OF_APART = 1.8
"""sd of the extrapolated difference over the median of |D(h) - D(2h)|: 1.344 / (0.674 * 1.118)."""
SMALLEST_SIZE = 2.0**-6
"""The size of a block of smaller numbers, in the rms of all: biases begin at zero."""
UNSEEN = (0.0, float("nan"), float("nan"), 0.0)


@dataclass(frozen=True)
class Line:
    """A direction, and what each block of the gradient contributes to its slope."""

    v: Floats
    weights: Floats
    """The sign of each block, shape (blocks,)."""
    slope: float
    parts: Floats
    """The 1-norm of ``v a`` in each block, shape (blocks,)."""
    size: float
    """What its slope is a part of: the 1-norm of ``v a``, or its 2-norm where signs are random."""
    matched: bool


@dataclass(frozen=True)
class Difference:
    """The slope of the loss along a line, truncation taken out."""

    D: float
    apart: float
    """D(h) - D(2h)."""
    h: float
    exponent: int


class Watch:
    """The checks of one run.

    Parameters
    ----------
    alpha : float
        The probability of a false alarm in all of it.
    directions : int
        Lines a check.
    seed : int
    """

    def __init__(self, alpha: float, directions: int, seed: int):
        self.alpha, self.directions = alpha, directions
        self._rng = np.random.default_rng(seed)
        self._ladder = Ladder()
        self._evidence: Evidence | None = None
        self._lines = 0
        self._evaluations = 0

    def look(self, step: int, moment: Moment) -> Record:
        """One check: a gradient and four evaluations a line; the first looks for a step too."""
        before, a = self._evaluations, moment.gradient()
        blocks = moment.layout.blocks
        if self._evidence is None:
            self._evidence = Evidence([*(block.name for block in blocks), "all blocks"])
        bad = np.flatnonzero(~np.isfinite(a))
        if bad.size:
            name = moment.layout.block_at(int(bad[0])).name
            said = f"the gradient is not finite in {name} ({bad.size:,} entries in all)"
            return self._record(step, UNSEEN, before, Alarm("not finite", name, said))
        alarm, seen = None, UNSEEN
        for _ in range(self.directions):
            seen, gross = self._along_one_line(moment, a)
            alarm = alarm or gross
        if alarm is None and self._evidence.total >= -np.log10(self.alpha):
            alarm = self._evidence_alarm()
        return self._record(step, seen, before, alarm)

    def _along_one_line(
        self, moment: Moment, a: Floats
    ) -> tuple[tuple[float, float, float, float], Alarm | None]:
        """What was seen along one line, and an alarm if that is a gross error."""
        self._lines += 1
        line = self._line(moment, a, matched=self._lines % RANDOM_EVERY != 0)
        exponent = self._ladder.next() if self._ladder.exponent else 0
        found = self._difference(moment, line, exponent)
        tau = self._noise(line, found)
        seen = line.slope, found.D, tau, found.h
        if not np.isfinite(found.D):
            return seen, None
        if self._is_gross(line, found, tau) and self._is_there_again(
            moment, a, found.exponent, line.matched
        ):
            return seen, Alarm("gross", None, self._said_of(line, found, tau))
        if line.matched:
            self._learn(line, found, tau)
        return seen, None

    def _line(self, moment: Moment, a: Floats, matched: bool) -> Line:
        blocks = moment.layout.blocks
        sizes = block_sizes(moment.theta, moment.layout)
        w = self._rng.choice([-1.0, 1.0], len(blocks))
        v = np.sign(a) if matched else self._rng.choice([-1.0, 1.0], a.size)
        for b, block in enumerate(blocks):
            v[block.start : block.stop] *= sizes[b]
        parts = _by_block(np.abs(v * a), moment.layout)
        largest = parts.max(initial=0.0)
        boost = np.clip(largest / np.maximum(parts, largest / LARGEST_BOOST), 1.0, LARGEST_BOOST)
        boost = power_of_two(boost) * (w if matched else 1.0)
        for b, block in enumerate(blocks):
            v[block.start : block.stop] *= boost[b]
        parts = parts * np.abs(boost)
        size = float(parts.sum()) if matched else norm(v * a)
        return Line(v, w, float(np.sum(v * a)), parts, size, matched)

    def _difference(self, moment: Moment, line: Line, exponent: int) -> Difference:
        if not exponent:
            rungs = self._ladder.rungs()
            self._ladder.begin(self._slopes(moment, line.v, rungs), float(line.parts.sum()) or 1.0)
            exponent = self._ladder.exponent
        h = 2.0**exponent
        near, far = self._slopes(moment, line.v, np.array([h, 2 * h]))
        return Difference(float(near + (near - far) / 3.0), float(near - far), h, exponent)

    def _slopes(self, moment: Moment, v: Floats, steps: Floats) -> Floats:
        values = moment.along(v, np.concatenate([steps, -steps]))
        self._evaluations += values.size
        above, below = np.split(values, 2)
        return (above - below) / (2 * steps)

    def _noise(self, line: Line, found: Difference) -> float:
        """sd of a difference, from how D(h) and D(2h) differ now and in checks before."""
        size = float(line.parts.sum())  # what noise is told beside, for all lines
        if size == 0 or not np.isfinite(found.apart):
            return np.inf
        typical = self._ladder.typical(found.exponent, found.apart / size)
        if line.matched:
            self._ladder.saw(found.exponent, found.apart / size)
        return float(max(NOISE_OF_APART * typical * size, np.finfo(float).tiny))

    def _learn(self, line: Line, found: Difference, tau: float) -> None:
        assert self._evidence is not None
        r, slack = line.slope - found.D, UNSURE * abs(found.apart) / 3.0
        signs = np.append(line.weights, np.sign(line.slope))
        shifts = RHO * np.append(line.parts, abs(line.slope))
        scales = np.maximum(np.hypot(tau, shifts), np.finfo(float).tiny)
        self._evidence.add(r * signs, shifts + slack, scales)

    def _is_gross(self, line: Line, found: Difference, tau: float) -> bool:
        return abs(line.slope - found.D) > max(GROSS_NOISE * tau, GROSS_PART * line.size)

    def _is_there_again(self, moment: Moment, a: Floats, exponent: int, matched: bool) -> bool:
        """Whether fresh lines at other steps of the same batch show a gross error too."""
        for k in range(LOOKS_AGAIN):
            line = self._line(moment, a, matched)
            found = self._difference(moment, line, exponent - 1 - k)
            tau = NOISE_OF_APART * abs(found.apart)
            if not (np.isfinite(found.D) and self._is_gross(line, found, tau)):
                return False
        return True

    def _said_of(self, line: Line, found: Difference, tau: float) -> str:
        return (
            f"along a line the gradient says {line.slope:.6g}, the loss {found.D:.6g} +- {tau:.2g}; two "
            "fresh lines at other steps say so too"
        )

    def _evidence_alarm(self) -> Alarm:
        assert self._evidence is not None
        which = self._evidence.strongest
        name = self._evidence.names[which]
        said = (
            f"over {self._evidence.checks:,} lines the gradient of {name} differs from the loss's "
            f"slopes in the same direction, by more than {RHO:g} of it"
        )
        return Alarm("evidence", None if which == len(self._evidence.names) - 1 else name, said)

    def forget(self, alarm: Alarm) -> None:
        """Begin anew after an alarm, with the block that it named."""
        assert self._evidence is not None
        names = self._evidence.names
        self._evidence.forget(len(names) - 1 if alarm.block is None else names.index(alarm.block))

    def _record(
        self,
        step: int,
        seen: tuple[float, float, float, float],
        before: int,
        alarm: Alarm | None,
    ) -> Record:
        assert self._evidence is not None
        evidence = self._evidence
        suspect = evidence.names[evidence.strongest]
        made = self._evaluations - before
        return Record(step, *seen, evidence.total, suspect, made, alarm)


def block_sizes(theta: Floats, layout: Layout) -> Floats:
    """The rms of each block, a power of two; of blocks that are zero that of all, shape (blocks,).

    Blocks whose entries have units of their own, as coordinates of a rotation do, are of that size.
    """
    sums = _by_block(theta**2, layout)
    counts = np.array([max(block.size, 1) for block in layout.blocks])
    overall = np.sqrt(sums.sum() / max(counts.sum(), 1)) or 1.0
    sizes = np.maximum(np.sqrt(sums / counts), SMALLEST_SIZE * overall)
    if layout.own_units is not None:
        own = np.sqrt(_by_block(layout.own_units**2, layout) / counts)
        sizes = np.where(own > 0, own, sizes)
    return np.asarray(power_of_two(sizes))


def _by_block(values: Floats, layout: Layout) -> Floats:
    return np.array([values[block.start : block.stop].sum() for block in layout.blocks])
