"""Random directions through everything and through each block: is anything wrong?"""

from collections.abc import Callable
from dataclasses import dataclass

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
    return set_up + 2 * (GLOBAL + PER_BLOCK * len(loss.layout.blocks))


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
    allows: Callable[..., bool],
) -> Screen | None:
    """Measure along random directions, through everything and through each block.

    Parameters
    ----------
    counts : list of int
        Entries of each block that may be perturbed.
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
    blocks: list[tuple[Reading, ...]] = []
    for b, block in enumerate(lines.loss.layout.blocks):
        own: list[Reading] = []
        for k in range(PER_BLOCK if counts[b] else 0):
            if not allows():
                return None
            v = directions.draw(block_stream(b, k), block.start, block.stop)
            own.append(residuals.confirmed(v, lines.step_for(counts[b])))
        blocks.append(tuple(own))
    return Screen(tuple(readings), tuple(blocks))


def block_stream(block: int, k: int) -> int:
    """The number of a block's own k-th direction."""
    return (1 << 20) + block * (1 << 10) + k
