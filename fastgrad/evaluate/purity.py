"""Is a loss a function? Its values at one point are finite, and repeats of them alike.

Every backend asks here, and whoever calls other functions of the user's.
"""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.errors import NondeterministicLossError, NonFiniteLossError

REORDERING = 1e-12
"""A spread below this part of |f| is sums added in another order: noise, not randomness."""
SCATTER = 1e-6
"""A spread below this part of |f| is noise too: a solver that starts from its last answer, threads
that add in any order. Differences of the loss can still tell something of its gradient."""


def require_deterministic(values: Floats, most: float = REORDERING) -> float:
    """The spread of repeated values of the loss at one point, as an sd.

    Parameters
    ----------
    most : float
        The part of |f| up to which it is noise.

    Raises
    ------
    NondeterministicLossError
        They differ by more: as random numbers do, by default, and not as reordered sums.
    """
    if np.isnan(values).all():
        return 0.0
    low, high = float(values.min()), float(values.max())
    if low == high:
        return 0.0
    if high - low <= most * max(abs(low), abs(high)):
        return high - low
    shown = ", ".join(f"{v:.17g}" for v in values[:3])
    raise NondeterministicLossError(
        f"the loss gave different values at the same parameters ({shown}): expected a function of "
        "theta. Switch dropout and other noise off, or seed it inside the loss "
        "(np.random.seed(0) in an njit loss draws the same numbers every time)"
    )


def require_finite(value: float) -> float:
    """Raise `NonFiniteLossError` unless the loss at theta is finite."""
    if not np.isfinite(value):
        raise NonFiniteLossError(
            f"the loss is {value} at the given parameters: expected a finite number to start from; "
            "look for log(0), a division by 0 or an overflow in it, or give other parameters"
        )
    return value
