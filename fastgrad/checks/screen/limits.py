"""What errors random directions would have missed, with what probability.

For e = a - g and a direction v of `fastgrad.differences.directions`, a difference along v shows
v . e within a bar B. An error of norm E is missed by one direction with probability at most
``1.472 B / E`` (Rudelson and Vershynin, Int. Math. Res. Not. 2015), by k with its k-th power; a
single entry is never attenuated below 0.48. The limits include that an alarm must be confirmed.
"""

from collections.abc import Sequence

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.residuals import CONFIRMED, Reading
from fastgrad.differences.directions import UNIT_VARIANCE
from fastgrad.numerics.bars import NOISE_SDS

MISSED_NORM = 1e-6
"""Probability that goes with `norm_limit`."""
SMALL_BALL = 1.472
MISSED_ENTRY = 1e-3
"""Probability that goes with `entry_limit`."""
SIZES = UNIT_VARIANCE * (0.5 + (np.arange(32) + 0.5) / 32)
"""Quantiles of the entries of a direction."""
BISECTIONS = 20
USEFUL_LIMIT = 0.1
"""A screen that would miss a single error of more than this part of a block's rms is inconclusive."""
USEFUL_NORM = 0.01
"""So is one that would miss an error of this part of the whole gradient."""


def norm_limit(readings: Sequence[Reading]) -> float:
    """An error of at least this norm is missed by clean directions with probability `MISSED_NORM`."""
    bars = [CONFIRMED * reading.bar for reading in readings if not reading.alarms]
    if not bars:
        return float("inf")
    with np.errstate(divide="ignore"):  # without any noise the limit is 0
        mean = np.exp(np.mean(np.log(bars)))
    return float(SMALL_BALL * mean * MISSED_NORM ** (-1 / len(bars)))


def entry_limit(readings: Sequence[Reading]) -> float:
    """Size of a single wrong entry that clean directions miss with probability `MISSED_ENTRY`."""
    bars = [CONFIRMED * r.bar for r in readings if not r.alarms and np.isfinite(r.bar)]
    if not bars or not min(bars):
        return 0.0 if bars else float("inf")
    low, high = min(bars) / 2, 4 * max(bars)
    for _ in range(BISECTIONS):
        error = float(np.sqrt(low) * np.sqrt(high))
        missed = np.prod(_missed(error / np.array(bars)))
        low, high = (low, error) if missed <= MISSED_ENTRY else (error, high)
    return high


def _missed(errors: Floats) -> Floats:
    """Probability that one direction misses an error of so many bars, of 6 sds of noise each."""
    from scipy.special import ndtr

    return np.asarray(ndtr(NOISE_SDS * (1 - errors[:, None] * SIZES)).mean(axis=1))
