"""Random directions through everything and through each block: is anything wrong?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.first_look import MOST_GROUPS
from fastgrad.checks.screen.residuals import Reading, Residuals
from fastgrad.differences.directions import Directions
from fastgrad.differences.loss import FEW_ENTRIES, LINE_EVALUATIONS, Loss

GLOBAL = 4
"""Directions through all entries: an error of 140 bars is missed with P = 1e-6 (`limits`)."""
PER_BLOCK = 2
SET_UP = 51
"""Evaluations before the directions of a screen: a glimpse of the noise, all of it, and a step."""


def screen_evaluations(loss: Loss) -> int:
    """What a screen that finds nothing takes."""
    own_lines = loss.count if loss.count <= FEW_ENTRIES else 0
    set_up = SET_UP + LINE_EVALUATIONS * own_lines
    groups = min(len(loss.layout.blocks), MOST_GROUPS)
    return set_up + 2 * (GLOBAL + PER_BLOCK * groups)


@dataclass(frozen=True)
class Screen:
    """What the directions said."""

    readings: tuple[Reading, ...]
    """The readings of directions through everything."""
    blocks: tuple[tuple[Reading, ...], ...]
    """The readings of each block's own directions; none for constants."""

    @property
    def failing(self) -> list[int]:
        """Blocks of which a direction alarms."""
        return [b for b, own in enumerate(self.blocks) if any(r.alarms for r in own)]

    @property
    def alarms(self) -> bool:
        """Whether any direction does."""
        return any(r.alarms for r in self.readings) or bool(self.failing)


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
    lines = residuals.lines
    v = directions.draw(0)
    lines.probe_step(v, sum(counts))
    readings: list[Reading] = []
    for k in range(GLOBAL):
        if not allows():
            return None
        readings.append(residuals.confirmed(v if k == 0 else directions.draw(k), lines.step))
    found = _Groups(residuals, directions, counts, allows)
    moving = [b for b in np.argsort(sizes, kind="stable").tolist() if counts[b]]
    groups = np.array_split(np.array(moving, np.intp), max(1, min(len(moving), MOST_GROUPS)))
    if not all(found.read(tuple(group.tolist())) for group in groups if group.size):
        return None
    return Screen(tuple(readings), tuple(tuple(found.own.get(b, ())) for b in range(len(counts))))


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
        self.own: dict[int, list[Reading]] = {}
        """The readings of the directions through each block."""

    def read(self, group: tuple[int, ...], first: int = 0) -> bool:
        """Measure along all directions of a group from the first on; False if time does not allow it."""
        for k in range(first, PER_BLOCK):
            if not self.allows():
                return False
            reading = self._measured(group, k)
            if reading.alarms and len(group) > 1:
                half = len(group) // 2
                return self.read(group[:half], k) and self.read(group[half:], k)
            for b in group:
                self.own.setdefault(b, []).append(reading)
        return True

    def _measured(self, group: tuple[int, ...], k: int) -> Reading:
        lines = self.residuals.lines
        v = np.zeros(self.directions.units.size)
        for b in group:
            block = lines.loss.layout.blocks[b]
            part = slice(block.start, block.stop)
            v[part] = self.directions.draw(block_stream(b, k), block.start, block.stop)[part]
        return self.residuals.confirmed(v, lines.step_for(sum(self.counts[b] for b in group)))


def block_stream(block: int, k: int) -> int:
    """The number of a block's own k-th direction."""
    return (1 << 20) + block * (1 << 10) + k
