"""Rows, columns and channels of a block in which alone directions show an error.

Each half of an axis is looked along by itself. What shows in one of them and not in the other is halved
again; a single line is left after the logarithm of their number. Fresh random directions, one through
the line and one through all else, must say the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.noisy.lines import Look
from fastgrad.parameters.blocks import Block

AXES = {0: "row", 1: "column"}
"""What reports call the first axes of a block; others by their number."""
FEWEST = 4
"""Axes of fewer lines are not looked at."""
EVALUATIONS = 60
"""What it takes to find a row among 256, about; where there is none, the first halves tell."""


@dataclass(frozen=True)
class Line:
    """One line of a block."""

    axis: int
    index: int

    @property
    def what(self) -> str:
        """The word for it: "row", "column", "axis2", ..."""
        return AXES.get(self.axis, f"axis{self.axis}")


def line_of(block: Block, v: Floats, fresh: Floats, read: Callable[[Floats], Look]) -> Line | None:
    """The line of a block that holds all of an error; None if there is none such.

    Parameters
    ----------
    v : ndarray, shape (n,)
        A direction through the block that shows the error.
    fresh : ndarray, shape (n,)
        A random one.
    read : callable
        What a direction shows.
    """
    for axis, count in enumerate(block.shape):
        if len(block.shape) < 2 or count < FEWEST:
            continue
        index = _only(block, v, axis, read)
        if index is not None:
            inside = _within(block, fresh, axis, index, index + 1)
            if read(inside).alarms and not read(fresh - inside).alarms:
                return Line(axis, index)
    return None


def line_of_zeros(values: Floats) -> Line | None:
    """The only line of a block of which the gradient is exactly zero, if one is, by looking at it."""
    for axis in range(values.ndim if values.ndim > 1 else 0):
        others = tuple(k for k in range(values.ndim) if k != axis)
        still = np.flatnonzero(~np.any(values != 0, axis=others))
        if still.size == 1 and np.count_nonzero(values == 0) == values.size // values.shape[axis]:
            return Line(axis, int(still[0]))
    return None


def _only(block: Block, v: Floats, axis: int, read: Callable[[Floats], Look]) -> int | None:
    """The index along an axis at which alone a direction shows an error, by halves."""
    low, high = 0, block.shape[axis]
    while high - low > 1:
        middle = (low + high) // 2
        first, second = (
            read(_within(block, v, axis, *ends)).alarms for ends in ((low, middle), (middle, high))
        )
        if first == second:
            return None
        low, high = (low, middle) if first else (middle, high)
    return low


def _within(block: Block, v: Floats, axis: int, low: int, high: int) -> Floats:
    """A direction, through some of the lines of a block alone."""
    out = np.zeros_like(v)
    index = (slice(None),) * axis + (slice(low, high),)
    inside = slice(block.start, block.stop)
    out[inside].reshape(block.shape)[index] = v[inside].reshape(block.shape)[index]
    return out
