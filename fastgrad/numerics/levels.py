"""A few levels that values along a line jump between, as where the sign of an eigenvector is free."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats

MOST_LEVELS = 4
GAP = 1e3
"""Levels are so many times farther apart than the values of one level."""
TURNS = 1.5
"""A line changes its level so often, on average: one jump changes it once."""


@dataclass(frozen=True)
class Levels:
    """How many levels, and how far the nearest two are apart."""

    count: int
    apart: float


def levels_of(lines: Sequence[Floats]) -> Levels | None:
    """The levels of values on lines, where these fall into a few that take turns.

    Parameters
    ----------
    lines : sequence of ndarray
        Values in their order along each line.

    Examples
    --------
    >>> levels_of([np.array([1.0, 3.0, 1.0, 3.0, 3.0, 1.0])])
    Levels(count=2, apart=2.0)
    >>> levels_of([np.array([1.0, 1.0, 1.0, 3.0, 3.0])]) is None  # a jump
    True
    """
    values = np.sort(np.concatenate([*lines, np.zeros(0)]))
    if values.size == 0 or not np.isfinite(values[[0, -1]]).all():  # where sorting puts what is not
        return None
    gaps = np.diff(values)
    if gaps.size == 0 or gaps.max() == 0:
        return None
    wide = gaps > gaps.max() / MOST_LEVELS
    count, apart = int(np.count_nonzero(wide)) + 1, float(gaps[wide].min())
    if count > MOST_LEVELS or apart < GAP * gaps[~wide].max(initial=0.0):  # as of most losses
        return None
    spread = max(float(np.ptp(part)) for part in np.split(values, np.flatnonzero(wide) + 1))
    if apart < GAP * max(spread, np.spacing(abs(values).max())):
        return None
    edges = values[:-1][wide] + gaps[wide] / 2
    turns = sum(int(np.count_nonzero(np.diff(np.digitize(line, edges)))) for line in lines)
    return Levels(count, apart) if turns > TURNS * len(lines) else None
