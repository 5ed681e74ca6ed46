"""Default steps that are lost in the noise of a loss, lengthened by what a few entries of a block show.

Values on both sides of an entry have a middle, ``f(x) + h^2 f''/2`` but for noise, which is nearly the
same for all entries. Where middles differ by much of what a step changes, f is noisy, or it bends over
the step: over a longer one noise stays what it is, and what a bend does grows with the square. These
entries come first and their values are kept: where all is well nothing else is evaluated.
"""

import math
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.numerics.stencils import CENTRAL

BENDS = 64.0
"""An entry whose middle is off by so many times the noise is differenced at its default step after all,
and by as many times as its step is longer: what bends unseen does less than noise did."""
SIDES = CENTRAL[2].unit_offsets
"""The places of both values of an entry, in steps."""
PLACES = 0.25, 0.6180339887498949, 0.8541019662496845
"""Parts of the length of a block of one unit at which entries are asked for noise: its first and last
are often dead."""
NOISY = 2.0**-13
"""Middles of values on both sides that differ by this part of what a step changes: noise then leaves
four digits of a difference, or f bends on a scale of 1/60 of its unit."""
SAME_NOISE = 4.0
"""Over a longer step middles differ by so many times as much at most if that is noise, and slopes from
those of the default by so many times their noise."""
LONGEST_EXPONENT = 27
"""``log2(3 / (16 * 2^-17)^2)``: steps of 2^-8 at most."""


class Lengthened(NamedTuple):
    """The middles of entries whose steps were lengthened."""

    middle: Floats
    """That of the block, shape (n,); NaN for entries of others."""
    allowed: Floats
    """How much the middle of an entry may differ from it, shape (n,)."""

    def bent(self, part: Indices | slice, values: Floats) -> Indices:
        """Which of some entries are not to be differenced over their longer steps."""
        with np.errstate(invalid="ignore", over="ignore"):
            off = np.abs(_middles(values) - self.middle[part])
        return np.flatnonzero(off > self.allowed[part])


class Asked(NamedTuple):
    """What entries of blocks of one unit show of the steps of their blocks."""

    which: Indices
    """Entries whose values stand, shape (p,)."""
    values: Floats
    """f above and below them, shape (p, 2)."""
    steps: Floats
    """The steps of all entries, shape (n,)."""
    left: Indices | None
    """The entries that are left to be differenced; None for all."""
    longer: Lengthened | None = None
    """Those whose steps were lengthened; None without any."""


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
    which = _asked_in(stops, one_unit)
    if free is not None:
        which = which[free[which].all(axis=1)]
    if which.size == 0:
        everyone = None if free is None else np.flatnonzero(free)
        return Asked(which.ravel(), np.zeros((0, 2)), steps, everyone)
    offsets = steps[which].reshape(-1, 1) * SIDES
    values = run.coordinates(which.ravel(), offsets).reshape(*which.shape, 2)
    good = np.isfinite(values).all(axis=(1, 2))
    which, values = which[good], values[good]
    factor = np.array([_lengthening(each) for each in values])
    longer = None
    if (factor > 1.0).any():
        steps, longer = _lengthened(run, stops, (which, values), factor, steps)
    left = np.ones(steps.size, np.bool_) if free is None else free.copy()
    left[which] = False
    return Asked(which.ravel(), values.reshape(-1, 2), steps, np.flatnonzero(left), longer)


def _lengthened(
    run: Evaluator, stops: Indices, seen: tuple[Indices, Floats], factor: Floats, steps: Floats
) -> tuple[Floats, Lengthened | None]:
    """Steps made longer by the factors of blocks, shape (b,), where what is seen there is noise.

    The values there take the place of those that are ``seen`` of its entries.
    """
    which, values = seen
    rows = np.flatnonzero(factor > 1.0)
    h = steps[which[rows]]
    wide = factor[rows, None] * h
    found = run.coordinates(which[rows].ravel(), wide.reshape(-1, 1) * SIDES).reshape(*h.shape, 2)
    holds = [_is_noise(*each) for each in zip(values[rows], found, h, wide, strict=True)]
    if not any(holds):
        return steps, None
    steps = steps.copy()
    middle, allowed = np.full((2, steps.size), np.nan)
    for row, more in zip(rows[holds].tolist(), found[holds], strict=True):
        b = int(np.searchsorted(stops, which[row, 0], side="right"))
        part = slice(stops[b - 1] if b else 0, stops[b])
        steps[part] *= factor[row]
        middle[part] = np.median(_middles(more))
        allowed[part] = min(BENDS, factor[row]) * np.ptp(_middles(values[row]))
        values[row] = more
    return steps, Lengthened(middle, allowed)


def _asked_in(stops: Indices, one_unit: Mask) -> Indices:
    """The entries of every block of one unit that are asked for noise, shape (b, p).

    Examples
    --------
    >>> _asked_in(np.array([2, 10, 110]), np.array([False, True, True])).tolist()
    [[4, 6, 8], [35, 71, 95]]
    """
    starts = np.append(0, stops[:-1])[one_unit]
    sizes = stops[one_unit] - starts
    return np.asarray(starts[:, None] + (sizes[:, None] * np.array(PLACES)).astype(np.int64))


def _middles(values: Floats) -> Floats:
    """The middles of f above and below entries, along the last axis."""
    return np.asarray(values[..., 0] / 2 + values[..., 1] / 2)


def _lengthening(values: Floats) -> float:
    """How much longer a step is to be if the middles of entries differ by noise; 1 if they hardly do.

    Where noise and the truncation of what varies on 1/16 of a unit are alike: the cube root of
    ``3 r / (16 h)^2``, r the noise by the largest change.

    Parameters
    ----------
    values : ndarray, shape (p, 2)
        f above and below.
    """
    middle = _middles(values)
    apart = float(middle.max() - middle.min())
    change = float(np.abs(values[:, 0] - values[:, 1]).max())
    if not NOISY * change < apart < math.inf:
        return 1.0
    exponent = math.frexp(apart / change)[1] - 1 if change > 0.0 else 0
    return math.ldexp(1.0, (min(exponent, 0) + LONGEST_EXPONENT) // 3)


def _is_noise(values: Floats, found: Floats, h: Floats, wide: Floats) -> bool:
    """Whether what middles differ by is as much over longer steps, and slopes are the same but for it.

    Parameters
    ----------
    values, found : ndarray, shape (p, 2)
        f above and below entries, over the default steps and over longer ones.
    h, wide : ndarray, shape (p,)
        These.
    """
    if not np.isfinite(found).all():
        return False
    before, after = _middles(values), _middles(found)
    apart = float(before.max() - before.min())
    with np.errstate(over="ignore", invalid="ignore"):
        slope = (values[:, 0] - values[:, 1]) / (2 * h)
        other = (found[:, 0] - found[:, 1]) / (2 * wide)
        same = bool(np.all(np.abs(other - slope) <= SAME_NOISE * apart / h))
    return same and bool(after.max() - after.min() <= SAME_NOISE * apart)
