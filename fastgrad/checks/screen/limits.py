"""What errors random directions would have missed, with what probability.

For e = a - g and a direction v of `fastgrad.differences.directions`, a difference along v shows
v . e within a bar B. An error of norm E is missed by one direction with probability at most
``1.472 B / E`` (Rudelson and Vershynin, Int. Math. Res. Not. 2015), by k with its k-th power; a
single entry is never attenuated below 0.48. The limits include that an alarm must be confirmed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.outcome import Judged
from fastgrad.checks.screen.found import Found
from fastgrad.checks.screen.residuals import CONFIRMED, Reading
from fastgrad.differences.directions import UNIT_VARIANCE, WEAKEST
from fastgrad.numerics.bars import NOISE_SDS
from fastgrad.numerics.norms import norm, rms
from fastgrad.parameters.layout import Layout

MISSED_NORM = 1e-6
"""Probability that goes with `missed_norm`."""
SMALL_BALL = 1.472
MISSED_ENTRY = 1e-3
"""Probability that goes with `missed_entry`."""
SIZES = UNIT_VARIANCE * (0.5 + (np.arange(32) + 0.5) / 32)
"""Quantiles of the entries of a direction."""
BISECTIONS = 20
USEFUL_LIMIT = 0.1
"""A screen that would miss a single error of more than this part of a block's rms is inconclusive."""
USEFUL_NORM = 0.01
"""So is one that would miss an error of this part of the whole gradient."""


class Sight(NamedTuple):
    """What directions see of the gradient."""

    missed: float
    """The norm of an error that those through everything would have missed."""
    norm: float
    """The norm of the gradient under test."""
    typical: float
    """The rms of the sizes of its blocks."""
    entries: dict[int, float]
    """The single error that all through a block would have missed, of blocks that were looked at."""


def sight_of(found: Found, judged: Judged | None, layout: Layout) -> Sight:
    """What the directions of a search see."""
    looked_at = set() if judged is None else set(judged.block.tolist())
    if found.screen is not None:
        looked_at |= {b for b, own in enumerate(found.screen.blocks) if own}
    entries = {b: missed_entry(found, b) for b in sorted(looked_at)}
    return Sight(missed_norm(found), norm_of(found, layout), rms(found.rms), entries)


def readings_through(found: Found, b: int | None = None) -> list[Reading]:
    """The readings of all directions through everything, or of all through a block."""
    if found.screen is None:
        return []
    own = () if b is None else found.screen.blocks[b]
    return [*own, *found.screen.readings, *found.fresh]


def missed_norm(found: Found) -> float:
    """An error of at least this norm is missed by clean directions with probability `MISSED_NORM`."""
    bars = [CONFIRMED * r.bar for r in readings_through(found) if not r.alarms]
    if not bars:
        return float("inf")
    with np.errstate(divide="ignore"):  # without any noise the limit is 0
        mean = np.exp(np.mean(np.log(bars)))
    return float(SMALL_BALL * mean * MISSED_NORM ** (-1 / len(bars)))


def size_in(found: Found, b: int) -> float:
    """What an error in a block is compared with: 0 where nothing is known."""
    return max(float(found.rms[b]), found.away.get(b, 0.0))


def norm_of(found: Found, layout: Layout) -> float:
    """The norm of the gradient under test, in units of theta."""
    sizes = np.array([size_in(found, b) for b in range(found.rms.size)])
    return norm(sizes * np.sqrt([block.size for block in layout.blocks]))


def missed_entry(found: Found, b: int) -> float:
    """What single error all clean directions through a block would have missed."""
    if found.screen is None:
        return float("inf")
    finding = found.findings.get(b)
    if finding is not None and len(finding.checked) >= found.counts[b]:  # entry by entry
        return max(entry.limit for entry in finding.checked.values())
    limit = _entry_limit(readings_through(found, b))
    return limit if finding is None else max(limit, finding.hidden / WEAKEST)


def _entry_limit(readings: Sequence[Reading]) -> float:
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
