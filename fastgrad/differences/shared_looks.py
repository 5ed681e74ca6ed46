"""Second looks at Jacobians: slopes between jumps are told apart at wide steps, which outputs share.

What `fastgrad.differences.second_looks` does for one function, by fewer means: an entry has no profile
of its own, which would take as many evaluations as two hundred inputs. Its bar is as wide as what a wide
step says instead.
"""

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.differences.loss import Loss
from fastgrad.differences.pairs import PairEvaluator
from fastgrad.differences.second_looks import (
    SLACK,
    TOGETHER,
    WIDE_STEP,
    WIDER_AT_LEAST,
    near_a_jump,
)
from fastgrad.errors import LossError
from fastgrad.numerics.stencils import CENTRAL

SPAN = 2.0
"""Bars in parts of what a wide step changes: it is off itself by the jump over it."""


def spanned(loss: Loss, found: Floats) -> Floats:
    """Slopes, bars and steps, shape (3, m), with bars that hold where outputs jump.

    Of order 2. Two evaluations for five inputs; where those show nothing odd, no more.
    """
    run = loss.run
    if not (isinstance(run, PairEvaluator) and run.exact):
        return found
    try:
        looks = _Looks(loss, run, found)
        for group in np.array_split(looks.columns, max(1, -(-looks.columns.size // TOGETHER.size))):
            if looks.are_odd(group):
                looks.look_at(group)
        doubtful = run.layout.vector(looks.off) > 0.0
        if not near_a_jump(loss, np.arange(doubtful.size), found, doubtful):
            return found
        looks.look_at(looks.columns)
    except LossError:  # the function does not reach so far
        return found
    bar = np.maximum(found[1], SPAN * run.layout.vector(looks.off))
    return np.stack([found[0], bar, found[2]])


class _Looks:
    """Wide steps of all inputs, and what they change of the slopes of outputs, shape (p, n)."""

    def __init__(self, loss: Loss, run: PairEvaluator, found: Floats):
        self.run = run
        self.slope, bar, h = (run.layout.matrix(part) for part in found)
        unit = run.layout.matrix(loss.units.entry).max(axis=0)
        self.wide = np.maximum(WIDE_STEP * unit, WIDER_AT_LEAST * h.max(axis=0))
        ratio = np.divide(self.wide, h, out=np.zeros_like(h), where=h > 0)
        # A ladder that went down further than the default step says nothing of wide ones.
        is_short = h < CENTRAL[2].step * unit
        self.allowed = np.where(is_short, 1.0, SLACK * ratio**2) * bar
        self.off = np.zeros_like(bar)
        """Changes of slopes beyond what is allowed, else 0."""
        self.columns = np.arange(unit.size)

    def are_odd(self, group: Indices) -> bool:
        """Whether outputs do another thing along a line through some inputs than their slopes say."""
        moved = self.wide[group] * TOGETHER[: group.size]
        v = np.zeros(self.run.run.theta.size)
        v[self.run.layout.columns.first[group]] = moved
        above, below = self.run.run.along(v, np.array([1.0, -1.0]))
        with np.errstate(invalid="ignore", over="ignore"):
            off = np.abs((above - below) / 2 - self.slope[:, group] @ moved)
            return not np.all(off <= self.allowed[:, group] @ np.abs(moved))

    def look_at(self, group: Indices) -> None:
        """Look at each of some inputs."""
        h = self.wide[group]
        at = self.run.layout.columns.first[group]
        values = self.run.run.coordinates(at, np.stack([h, -h], axis=1))
        with np.errstate(invalid="ignore", over="ignore"):
            wide = ((values[:, 0] - values[:, 1]) / (2 * h[:, None])).T
            off = np.abs(wide - self.slope[:, group])
            odd = np.isfinite(off) & (off > self.allowed[:, group])
        self.off[:, group] = np.where(odd, off, 0.0)
