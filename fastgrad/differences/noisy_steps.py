"""Default steps that are lost in the noise of a loss, lengthened by what a few entries of a block show.

Values on both sides of an entry have a middle, ``f(x) + h^2 f''/2`` but for noise, which is nearly the
same for all entries. Where middles differ by much of what a step changes, f is noisy, or it bends over
the step: over a longer one noise stays what it is, and what a bend does grows with the square. These
entries come first and their values are kept: where all is well nothing else is evaluated.
"""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.evaluate.in_numpy import asked_in, is_noise, lengthening, middles
from fastgrad.evaluate.protocol import Evaluator

BENDS = 64.0
"""An entry whose middle is off by so many times the noise is differenced at its default step after all,
and by as many times as its step is longer: what bends unseen does less than noise did."""


@dataclass(frozen=True)
class Asked:
    """What entries of blocks of one unit show of the steps of their blocks."""

    which: Indices
    """Entries whose values stand, shape (p,)."""
    values: Floats
    """f above and below them, shape (p, 2)."""
    steps: Floats
    """The steps of all entries, shape (n,)."""
    middle: Floats | None = None
    """The middles of blocks whose steps were lengthened, shape (n,), NaN of others; None without any."""
    allowed: Floats | None = None
    """How much the middle of an entry may differ from it, shape (n,)."""

    def bent(self, part: Indices | slice, values: Floats) -> Indices:
        """Which of some entries are not to be differenced over their longer steps."""
        if self.middle is None or self.allowed is None:
            return np.zeros(0, np.intp)
        with np.errstate(invalid="ignore", over="ignore"):
            off = np.abs(middles(values) - self.middle[part])
        return np.flatnonzero(off > self.allowed[part])

    def others(self, free: Mask | None) -> Indices | None:
        """The entries that are left to be differenced; None for all."""
        if self.which.size == 0:
            return None if free is None else np.flatnonzero(free)
        left = np.ones(self.steps.size, np.bool_) if free is None else free.copy()
        left[self.which] = False
        return np.flatnonzero(left)


def suited(
    run: Evaluator, stops: Indices, one_unit: Mask, free: Mask | None, steps: Floats
) -> Asked:
    """Default steps of central differences of order 2, with those lengthened that are lost in noise.

    Parameters
    ----------
    stops, one_unit : ndarray, shape (blocks,)
    free : ndarray of bool, shape (n,), optional
        What may be perturbed; a block of which not all that are asked may is left alone.
    steps : ndarray, shape (n,)
    """
    which = asked_in(stops, one_unit)
    if free is not None:
        which = which[free[which].all(axis=1)]
    if which.size == 0:
        return Asked(which.ravel(), np.zeros((0, 2)), steps)
    values = _around(run, which, steps[which])
    good = np.isfinite(values).all(axis=(1, 2))
    which, values = which[good], values[good]
    factor = np.array([lengthening(each) for each in values])
    rows = np.flatnonzero(factor > 1.0)
    h = steps[which[rows]]
    wide = factor[rows, None] * h
    found = _around(run, which[rows], wide) if rows.size else values[:0]
    holds = [is_noise(*each) for each in zip(values[rows], found, h, wide, strict=True)]
    if not any(holds):
        return Asked(which.ravel(), values.reshape(-1, 2), steps)
    steps = steps.copy()
    middle, allowed = np.full((2, steps.size), np.nan)
    for row, more in zip(rows[holds].tolist(), found[holds], strict=True):
        b = int(np.searchsorted(stops, which[row, 0], side="right"))
        part = slice(stops[b - 1] if b else 0, stops[b])
        steps[part] *= factor[row]
        middle[part] = np.median(middles(more))
        allowed[part] = min(BENDS, factor[row]) * np.ptp(middles(values[row]))
        values[row] = more
    return Asked(which.ravel(), values.reshape(-1, 2), steps, middle, allowed)


def _around(run: Evaluator, which: Indices, h: Floats) -> Floats:
    """f above and below entries, shape (b, p, 2)."""
    offsets = np.stack([h.ravel(), -h.ravel()], axis=1)
    return run.coordinates(which.ravel(), offsets).reshape(*which.shape, 2)
