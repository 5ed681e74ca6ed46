"""Random directions through everything and through each block: is anything wrong?"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.first_look import LARGEST_SHARE
from fastgrad.checks.screen.residuals import FINER, Reading, Residuals
from fastgrad.differences.directions import Directions, Part
from fastgrad.differences.glimpse import FEW_ENTRIES, LINE_EVALUATIONS
from fastgrad.differences.loss import Loss
from fastgrad.numerics.norms import norm
from fastgrad.numerics.steps import power_of_two

GLOBAL = 4
"""Directions through all entries: an error of 140 bars is missed with P = 1e-6 (`limits`)."""
SCREEN_GROUPS = 6
"""Each block has a direction of its own, which attenuates no entry below 0.48: a second one would make
the limit for a single entry 8% smaller. More blocks are screened in so many groups, which are halved
where they alarm: a block's limits are by the bars of its group, which hardly grow with it."""
SET_UP = 51
"""Evaluations before the directions of a screen: a glimpse of the noise, all of it, and a step, at which
the first direction is seen too."""


def screen_evaluations(loss: Loss) -> int:
    """What a screen that finds nothing takes."""
    own_lines = loss.count if loss.count <= FEW_ENTRIES else 0
    set_up = SET_UP + LINE_EVALUATIONS * own_lines
    groups = min(len(loss.layout.blocks), SCREEN_GROUPS)
    return set_up + 2 * (GLOBAL - 1 + groups)


@dataclass(frozen=True)
class Screen:
    """What the directions said."""

    readings: tuple[Reading, ...]
    """The readings of directions through everything."""
    blocks: tuple[tuple[Reading, ...], ...]
    """The reading of each block's own direction; none for constants."""

    failing: list[int] = field(init=False)
    """Blocks of which a direction alarms."""
    alarms: bool = field(init=False)
    """Whether any direction does."""

    def __post_init__(self) -> None:
        failing = [b for b, own in enumerate(self.blocks) if any(r.alarms for r in own)]
        alarms = bool(failing) or any(r.alarms for r in self.readings)
        vars(self).update(failing=failing, alarms=alarms)


def look(
    residuals: Residuals,
    directions: Directions,
    counts: list[int],
    sizes: Floats,
    allows: Callable[..., bool],
) -> Screen | None:
    """Measure along random directions, through everything and through each block, or groups of them.

    Parameters
    ----------
    counts : list of int
        Entries of each block that may be perturbed.
    sizes : ndarray, shape (blocks,)
        Of each block's gradient: blocks of about one size are grouped.
    allows : callable
        Whether the time allows so many more evaluations (two, if not said); asked before each
        direction, and None is returned once it says no.
    """
    directions = replace(directions)  # what one keeps for its lines is let go with it
    readings = _through_everything(residuals, directions, sum(counts), allows)
    if readings is None:
        return None
    found = _Groups(residuals, directions, counts, allows)
    moving = [b for b in np.argsort(sizes, kind="stable").tolist() if counts[b]]
    groups = np.array_split(np.array(moving, np.intp), max(1, min(len(moving), SCREEN_GROUPS)))
    if not all(found.read(tuple(group.tolist())) for group in groups if group.size):
        return None
    own = tuple((found.own[b],) if b in found.own else () for b in range(len(counts)))
    return Screen(readings, own)


def _through_everything(
    residuals: Residuals, directions: Directions, count: int, allows: Callable[..., bool]
) -> tuple[Reading, ...] | None:
    """The readings of directions through everything; None if time is out."""
    lines, v = residuals.lines, directions.along(0)
    seen = lines.probe_step(v, count)
    readings = [residuals.confirmed(v, FINER * lines.step, seen)]
    for k in range(1, GLOBAL):
        if not allows():
            return None
        bends = any(reading.bends for reading in readings)
        first = lines.step if bends else FINER * lines.step
        v = directions.along(k)  # the one before is let go
        readings.append(residuals.confirmed(v, first))
    return tuple(readings)


class _Groups:
    """Directions through groups of blocks, which are halved where they alarm: all know their limits."""

    def __init__(
        self,
        residuals: Residuals,
        directions: Directions,
        counts: list[int],
        allows: Callable[..., bool],
    ):
        self.residuals, self.directions, self.counts = residuals, directions, counts
        self.allows = allows
        self.shares = self._shares()
        self.own: dict[int, Reading] = {}
        """The reading of the direction through each block."""

    def read(self, group: tuple[int, ...]) -> bool:
        """Measure along the direction of a group; False if time does not allow it."""
        if not self.allows():
            return False
        reading = self._measured(group)
        if reading.alarms and len(group) > 1:
            half = len(group) // 2
            return self.read(group[:half]) and self.read(group[half:])
        for b in group:
            self.own[b] = replace(
                reading, y=reading.y / self.shares[b], bar=reading.bar / self.shares[b]
            )
        return True

    def _shares(self) -> Floats:
        """Factors, powers of two, by which blocks move: small units as far as larger ones, if they do as
        little.

        A bias near zero has a small unit, and its gradient as small an effect in it: along with
        others it would be heard in their noise. None moves further than entries of the largest unit
        do.
        """
        if len(self.counts) == 1:
            return np.ones(1)
        units, effects = [], []
        claim, own = self.residuals.claim, self.directions.units
        for block, count in zip(self.residuals.lines.loss.layout.blocks, self.counts, strict=True):
            units.append(float(own[block.start : block.stop].max(initial=0.0)))
            norms = [norm(part) for _, part in claim.effects(own, block)] if count else []
            effects.append(math.hypot(*norms))
        unit, effect = np.array(units), np.array(effects)
        with np.errstate(divide="ignore", invalid="ignore"):
            further = np.minimum(unit.max() / unit, effect.max() / effect)
        further = np.where(np.isfinite(further), further, 1.0)
        return np.asarray(power_of_two(np.clip(further, 1.0, LARGEST_SHARE)))

    def _measured(self, group: tuple[int, ...]) -> Reading:
        lines = self.residuals.lines
        blocks = lines.loss.layout.blocks
        v = self.directions.through(
            [
                Part(block_stream(b), blocks[b].start, blocks[b].stop, float(self.shares[b]))
                for b in sorted(group)
            ]
        )
        step = lines.step_for(sum(self.counts[b] for b in group))
        return self.residuals.confirmed(v, FINER * step)


def block_stream(block: int, k: int = 0) -> int:
    """The number of a block's own k-th direction."""
    return (1 << 20) + block * (1 << 10) + k
