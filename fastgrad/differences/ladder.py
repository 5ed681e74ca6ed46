"""step="adaptive": differences at four steps, extrapolated, moved to where truncation is just noise."""

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.differences.loss import Loss
from fastgrad.numerics.bars import NEGLIGIBLE
from fastgrad.numerics.richardson import GAP, RATIO, RUNGS, Reading, few_bits, read_ladder
from fastgrad.numerics.rounding import local_noise
from fastgrad.numerics.steps import finest_steps, steps_inside

LONGEST_STEP = 1.5 * 2.0**-6
"""The longest step of the first ladder, beside an entry of unit size. Of the smooth functions in
bench/, the median has 12.6 digits with 2^-6, and 12.8, 12.9, 12.8 with 1.25, 1.5, 1.75 times that;
nearly all stop there."""
LONGEST_IN_NOISE = 2.0**-2
"""No longer than this beside the largest unit, however noisy the loss: an entry that is small for
its unit is smooth over more than its own size, and stops by itself where it is not."""
ROUNDS = 6
"""Ladders tried an entry."""
WIDE_BAR = 1e-10
"""A bar of this part of the entry makes it try longer steps."""


class Ladder:
    """The values of f at four steps on both sides of each of the entries ``indices``."""

    def __init__(self, loss: Loss, indices: Indices):
        self.loss, self.indices = loss, indices
        self.x = loss.theta[indices]
        self.scale = loss.units.entry[indices]
        self.finest = finest_steps(self.x)
        self.steps = np.full((indices.size, RUNGS.size), np.nan)
        self.values = np.full((indices.size, 2, RUNGS.size), np.nan)

    def sample(self, rows: Indices, steps: Floats) -> Floats:
        """f at x + steps and x - steps, shape (m, 2, k), for steps of shape (m, k)."""
        offsets = np.concatenate([steps, -steps], axis=1)
        return self.loss.values(self.indices[rows], offsets).reshape(rows.size, 2, steps.shape[1])

    def begin(self) -> None:
        """Take the longest step at which f is finite; it becomes the shortest of the ladder."""
        self.steps[:, -1], self.values[:, :, -1] = steps_inside(
            lambda rows, steps: self.sample(rows, steps[:, None])[:, :, 0],
            LONGEST_STEP * self.scale,
            self.finest,
        )

    def descend(self, rows: Indices, rungs: int) -> None:
        """Shorten the steps by so many; what was evaluated and is still on the ladder stays."""
        fresh = min(rungs, RUNGS.size)
        shortest = self.steps[rows, -1] / RATIO**rungs
        self.steps[rows, :-fresh] = self.steps[rows, fresh:]
        self.steps[rows, -fresh:] = few_bits(shortest[:, None] * RUNGS[-fresh:])
        self.values[rows, :, :-fresh] = self.values[rows, :, fresh:]
        self.values[rows, :, -fresh:] = self.sample(rows, self.steps[rows, -fresh:])

    def ascend(self, rows: Indices) -> None:
        """Lengthen the steps by one."""
        self.steps[rows, 1:] = self.steps[rows, :-1]
        self.steps[rows, 0] = few_bits(self.steps[rows, 0] * RATIO)
        self.values[rows, :, 1:] = self.values[rows, :, :-1]
        self.values[rows, :, :1] = self.sample(rows, self.steps[rows, :1])

    def read(self, rows: Indices) -> Reading:
        values = self.values[rows]
        sigma = local_noise(
            self.loss.noise_of(self.indices[rows]), *values.reshape(-1, 2 * RUNGS.size).T
        )
        return read_ladder(
            values[:, 0], values[:, 1], self.loss.base, self.x[rows], self.steps[rows], sigma
        )

    def result(self, rows: Indices, reading: Reading) -> Floats:
        return np.stack([reading.D, reading.bar, self.steps[rows, -1]])


def extrapolate(loss: Loss, indices: Indices) -> tuple[Floats, Mask]:
    """Slope, error bar and shortest step of each entry, shape (3, m), and which are to be looked at.

    Some 10 evaluations an entry. The bar is infinite where no ladder converged, as at a kink. A
    second look is for slopes of shorter steps than every ladder begins with, where f was not seen to
    be smooth over the longer ones.
    """
    ladder = Ladder(loss, indices)
    found = np.zeros((3, indices.size))
    found[1] = np.inf
    ladder.begin()
    open_ = np.arange(indices.size)
    at_an_edge = ladder.steps[:, -1] < LONGEST_STEP * ladder.scale
    is_smooth = ~at_an_edge
    descent = np.where(at_an_edge, GAP, RUNGS.size - 1)
    for _ in range(ROUNDS):
        for k in np.unique(descent):
            ladder.descend(open_[descent == k], int(k))
        reading = ladder.read(open_)
        is_smooth[open_] &= reading.converges
        done = reading.descent == 0
        found[:, open_[done]] = ladder.result(open_, reading)[:, done]
        left = ~done & (ladder.steps[open_, -1] / RATIO**reading.descent > ladder.finest[open_])
        open_, descent = open_[left], reading.descent[left]
    _lengthen(ladder, found)
    return found, has_descended(loss, indices, found) & ~is_smooth


def has_descended(loss: Loss, indices: Indices, found: Floats) -> Mask:
    """Which slopes, shape (3, m), are of shorter steps than every ladder begins with."""
    first = LONGEST_STEP / RATIO ** (RUNGS.size - 1) * loss.units.entry[indices]
    return np.asarray(found[2] < first / RATIO**0.5)


def _lengthen(ladder: Ladder, found: Floats) -> None:
    """Lengthen the steps of wide bars, which are noise, while that narrows them."""
    D, bar, _ = found
    effect = np.abs(D) * ladder.scale
    matters = np.maximum(effect, NEGLIGIBLE * effect.max(initial=0.0))
    rows = np.flatnonzero(np.isfinite(bar) & (bar * ladder.scale > WIDE_BAR * matters))
    longest = LONGEST_IN_NOISE * ladder.scale.max(initial=0.0)
    while (rows := rows[RATIO * ladder.steps[rows, 0] <= longest]).size:
        ladder.ascend(rows)
        reading = ladder.read(rows)
        better = (reading.descent == 0) & (reading.bar < bar[rows])
        found[:, rows[better]] = ladder.result(rows, reading)[:, better]
        rows = rows[better]
