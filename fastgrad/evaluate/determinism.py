"""Whether a loss is a function of its parameters."""

import numpy as np

from fastgrad.errors import NondeterministicLossError
from fastgrad.params import Floats

REORDERING = 1e-12
"""A spread below this part of |f| is sums added in another order: noise, not randomness."""


def require_deterministic(values: Floats) -> float:
    """The spread of repeated values of the loss at one point, as an sd.

    Raises
    ------
    NondeterministicLossError
        They differ by more than reordered sums do.
    """
    if np.isnan(values).all():
        return 0.0
    low, high = float(values.min()), float(values.max())
    if low == high:
        return 0.0
    if high - low <= REORDERING * max(abs(low), abs(high)):
        return high - low
    shown = ", ".join(f"{v:.17g}" for v in values[:3])
    raise NondeterministicLossError(
        f"the loss gave different values at the same parameters ({shown}): expected a function of "
        "theta. Switch dropout and other noise off, or seed it inside the loss "
        "(np.random.seed(0) in an njit loss draws the same numbers every time)"
    )
