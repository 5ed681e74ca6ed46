"""Random directions through everything and through each block: is anything wrong?"""

import math
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from fastgrad.arrays import Floats, chunks
from fastgrad.checks.screen.first_look import LARGEST_SHARE
from fastgrad.checks.screen.residuals import FINER, Reading, Residuals
from fastgrad.differences.directions import Directions, Part
from fastgrad.numerics.norms import norm
from fastgrad.numerics.steps import power_of_two

GLOBAL = 4
"""Directions through all entries: an error of 140 bars is missed with P = 1e-6 (`limits`)."""
SCREEN_GROUPS = 6
"""Each block has a direction of its own, which attenuates no entry below 0.48: a second one would make
the limit for a single entry 8% smaller. More blocks are screened in so many groups, which are halved
where they alarm: a block's limits are by the bars of its group, which hardly grow with it."""


@dataclass(frozen=True)
class Screen:
    """What the directions said."""

    readings: tuple[Reading, ...]
    """The readings of directions through everything."""
    blocks: tuple[tuple[Reading, ...], ...]
    """The reading of each block's own direction; none for constants."""
    failing: tuple[int, ...] = ()
    """Blocks of which a direction alarms."""
    alarms: bool = False
    """Whether any direction does."""
    scattered: bool = False
    """Whether all do, as along nearly every slope of a staircase."""


def look(residuals: Residuals, directions: Directions, counts: list[int], sizes: Floats) -> Screen:
    """Measure along random directions, through everything and through each block, or groups of them.

    Groups are halved where they alarm: all know their limits.

    Parameters
    ----------
    counts : list of int
        Entries of each block that may be perturbed.
    sizes : ndarray, shape (blocks,)
        Of each block's gradient: blocks of about one size are grouped.

    Raises
    ------
    OutOfBudgetError
        There is no time for all of them.
    """
    moving = [b for b in np.argsort(sizes, kind="stable").tolist() if counts[b]]
    if not moving:
        return Screen((), ((),) * len(counts))
    directions = replace(directions)  # what one keeps for its lines is let go with it
    blocks, shares = residuals.lines.loss.layout.blocks, _shares(residuals, directions, counts)
    parts = [
        Part(block_stream(b), block.start, block.stop, float(share))
        for b, (block, share) in enumerate(zip(blocks, shares, strict=True))
    ]
    readings = _through_everything(residuals, directions, sum(counts))
    own: list[tuple[Reading, ...]] = [()] * len(counts)
    groups = np.array_split(np.array(moving, np.intp), min(len(moving), SCREEN_GROUPS))
    waiting = [group.tolist() for group in reversed(groups)]
    while waiting:
        group = waiting.pop()
        v = directions.through([parts[b] for b in sorted(group)])
        step = residuals.lines.step_for(sum(counts[b] for b in group))
        reading = residuals.confirmed(v, FINER * step)
        if reading.alarms and len(group) > 1:
            half = len(group) // 2
            waiting += [group[half:], group[:half]]
            continue
        for b in group:
            share = float(shares[b])
            own[b] = (replace(reading, y=reading.y / share, bar=reading.bar / share),)
    failing = tuple(b for b in range(len(own)) if any(r.alarms for r in own[b]))
    alarming = [r.alarms for r in (*readings, *chain(*own))]
    return Screen(readings, tuple(own), failing, any(alarming), all(alarming))


def _through_everything(
    residuals: Residuals, directions: Directions, count: int
) -> tuple[Reading, ...]:
    """The readings of directions through everything."""
    lines, v = residuals.lines, directions.along(0)
    seen = lines.probe_step(v, count)
    readings = [residuals.confirmed(v, FINER * lines.step, seen)]
    for k in range(1, GLOBAL):
        bends = any(reading.bends for reading in readings)
        first = lines.step if bends else FINER * lines.step
        v = directions.along(k)  # the one before is let go
        readings.append(residuals.confirmed(v, first))
    return tuple(readings)


def _shares(residuals: Residuals, directions: Directions, counts: list[int]) -> Floats:
    """Factors, powers of two, by which blocks move: small units as far as larger ones, if they do as
    little.

    A bias near zero has a small unit, and its gradient as small an effect in it: along with
    others it would be heard in their noise. None moves further than entries of the largest unit
    do.
    """
    if len(counts) == 1:
        return np.ones(1)
    units, effects = [], []
    a, own = residuals.claim.values, directions.units
    for block, count in zip(residuals.lines.loss.layout.blocks, counts, strict=True):
        units.append(float(own[block.start : block.stop].max(initial=0.0)))
        parts = (a[part] * own[part] for part in chunks(block.start, block.stop))
        effects.append(math.hypot(*map(norm, parts)) if count else 0.0)
    unit, effect = np.array(units), np.array(effects)
    with np.errstate(divide="ignore", invalid="ignore"):
        further = np.minimum(unit.max() / unit, effect.max() / effect)
    further = np.where(np.isfinite(further), further, 1.0)
    return np.asarray(power_of_two(np.clip(further, 1.0, LARGEST_SHARE)))


def block_stream(block: int, k: int = 0) -> int:
    """The number of a block's own k-th direction."""
    return (1 << 20) + block * (1 << 10) + k
