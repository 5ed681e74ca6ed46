"""Norms that neither overflow nor vanish: a loss of 1e-200 has squares of 1e-400."""

import math

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.numerics.steps import power_of_two

TINY, HUGE = 2.0**-900, 2.0**900
"""Sums of squares between these have lost nothing."""
FEW_ENTRIES = 4096
"""BLAS takes a tenth of the time, and starts threads, which add in any order, for 10,000 at once."""


def norm(x: Floats, y: Floats | None = None) -> float:
    """The Euclidean norm of all entries; infinite or NaN where one is.

    Parameters
    ----------
    y : ndarray, shape (n,), optional
        What a vector x is multiplied with, entry by entry: no product of them all is kept.

    Examples
    --------
    >>> norm(np.array([3e-200, 4e-200]))
    5e-200
    >>> norm(np.array([3.0, 2.0]), np.array([1.0, 2.0]))
    5.0
    """
    with np.errstate(over="ignore", under="ignore"):
        squares = _squares(x, y) if x.ndim == 1 else float(np.sum(np.square(x)))
        if TINY < squares < HUGE:
            return float(np.sqrt(squares))
        x = x if y is None else x * y
        if squares == 0.0 and not x.any():
            return 0.0
        unit, flat = size_of(x), x.reshape(-1)
        parts = (flat[k : k + FEW_ENTRIES] / unit for k in range(0, flat.size, FEW_ENTRIES))
        return unit * float(np.sqrt(np.sum([np.sum(np.square(part)) for part in parts])))


def _squares(x: Floats, y: Floats | None) -> float:
    """The sum of the squares of all entries, `FEW_ENTRIES` at a time."""
    if x.size <= FEW_ENTRIES:
        product = x if y is None else x * y
        return float(product.dot(product))
    parts = [slice(k, k + FEW_ENTRIES) for k in range(0, x.size, FEW_ENTRIES)]
    products = (x[part] if y is None else x[part] * y[part] for part in parts)
    return math.fsum(product.dot(product) for product in products)


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
    largest = float(np.maximum(x.max(initial=0.0), -x.min(initial=0.0)))
    return float(power_of_two(largest)) if 0.0 < largest < np.inf else 1.0
