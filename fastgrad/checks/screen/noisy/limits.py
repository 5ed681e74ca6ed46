"""What errors lines through a rough loss would have missed.

An error c a of a block shows as c times the sum of all ``|v a|`` along its signs: it is missed below
three bars. An error of any shape and of norm E is missed by a
random direction with probability at most ``p = 1.472 B / E`` (`fastgrad.checks.screen.limits`), by all k
with ``p^k``; where one alarms, it is missed if fewer than two of six fresh ones do.
"""

from collections.abc import Sequence

import numpy as np

from fastgrad.checks.screen.limits import BISECTIONS, SMALL_BALL
from fastgrad.checks.screen.noisy.again import FRESH

BARS = 3.0
"""Bars beyond which an error along the gradient is seen, and stands when it is looked at again: one for
each of these, and one for how rough the parts are."""
MISSED_SHAPE = 0.01
"""Probability that goes with `shape_limit`."""
HALVED = 4.0
"""Lines that make limits half as wide, for each that there was."""


def shape_limit(bars: Sequence[float]) -> float:
    """The norm of an error that random directions with these bars miss with `MISSED_SHAPE`, at most.

    Examples
    --------
    >>> round(shape_limit([1.0] * 6), 1), shape_limit([])
    (5.1, inf)
    """
    known = np.array([bar for bar in bars if np.isfinite(bar)])
    if not known.size:
        return float("inf")
    if not known.min():
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        p = (low + high) / 2
        low, high = (p, high) if _missed(p, known.size) <= MISSED_SHAPE else (low, p)
    return float(SMALL_BALL * np.exp(np.mean(np.log(known))) / low)


def _missed(p: float, count: int) -> float:
    """The probability that all directions miss it, or one alarms and fresh ones do not bear it out."""
    first = p**count
    return first + (1 - first) * (p**FRESH + FRESH * p ** (FRESH - 1) * (1 - p))
