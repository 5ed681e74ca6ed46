"""Norms that neither overflow nor vanish: a loss of 1e-200 has squares of 1e-400."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.numerics.steps import power_of_two

TINY, HUGE = 2.0**-900, 2.0**900
"""Sums of squares between these have lost nothing."""
FEW_ENTRIES = 4096
"""BLAS takes a tenth of the time for so many, and starts threads, which add in any order, for 10,000."""


def norm(x: Floats) -> float:
    """The Euclidean norm of all entries; infinite or NaN where one is.

    Examples
    --------
    >>> norm(np.array([3e-200, 4e-200]))
    5e-200
    """
    few = x.ndim == 1 and x.size <= FEW_ENTRIES
    with np.errstate(over="ignore", under="ignore"):
        squares = float(x.dot(x) if few else np.sum(np.square(x)))
    if TINY < squares < HUGE:
        return float(np.sqrt(squares))
    unit = size_of(x)
    return unit * float(np.sqrt(np.sum(np.square(x / unit))))


def rms(x: Floats) -> float:
    """The root mean square of all entries, 0 of none.

    Examples
    --------
    >>> rms(np.array([1e200, -1e200]))
    1e+200
    """
    return norm(x) / float(np.sqrt(x.size)) if x.size else 0.0


def size_of(x: Floats) -> float:
    """A power of two near the largest entry: what may be divided by without rounding."""
    largest = float(np.abs(x).max(initial=0.0))
    return float(power_of_two(largest)) if 0.0 < largest < np.inf else 1.0
