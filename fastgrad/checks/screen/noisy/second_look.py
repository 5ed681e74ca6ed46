"""An alarm is looked at again along other directions, where kinks and rounding are others.

Along signs, with fresh sizes and through six parts of the block: the relative error in each makes a t
statistic, which knows nothing of noise or kinks beforehand, and a factor is the same in all of them. An
error that is not, as that of one row, shows in what parts are off by beside what two base points of each
differ by. Where it is random directions that alarm, two of six fresh ones must.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.checks.screen.noisy.limits import PARTS
from fastgrad.checks.screen.noisy.lines import Look, NoisyLines
from fastgrad.numerics.norms import rms
from fastgrad.parameters.blocks import Block

PARTS_EVALUATIONS = 6 * PARTS
FALSE = 1e-3
"""The probability with which chance alone confirms an alarm, one line in 300 by itself, if the parts'
errors are normal."""
FRESH = 6
"""Fresh directions that follow an alarm."""
STANDING = 2
"""So many of them must alarm."""
AWAY = 1.0
"""How far base points are away, in steps: the error of each part is a mean over a pair of them."""
BASES, SIZES = 1 << 33, 1 << 34
"""Streams of base points, and of fresh sizes along signs."""
PART_OF_STREAM = 1 << 16
WIDER, EXPECTED = 4.0, 0.5
"""A step so many times wider changes the slope by twice what truncation makes of it: in nets with kinks
that falls about as the step does, from base points some steps off."""
LASTING = 0.5
"""An error is the gradient's if a wider step shows this part of it."""
ONE_FACTOR = 0.25
"""Parts of a block are off by one factor if they differ by at most this part of it."""


@dataclass(frozen=True)
class Again:
    """An error seen again: its mean over several directions, and what that may err by."""

    values: Floats
    """One a direction, relative to what is claimed there."""
    bar: float
    standard_error: float = 0.0
    wider: float = 0.0
    """The mean at a step so many times `WIDER`."""
    uneven_bar: float = float("inf")
    """The rms of the values that noise and truncation explain, whatever an error is in each part."""

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    def beyond(self, bar: float, shared: float = 0.0) -> bool:
        """Whether chance does not explain it, nor the bar that it had before, nor what all share.

        A kink at theta itself is near all base points.
        """
        return abs(self.mean) > float(np.hypot(self.bar, bar)) + shared

    @property
    def lasts(self) -> bool:
        """Whether it is there at a wider step, where that of treads is less."""
        return self.wider * self.mean >= LASTING * self.mean**2

    def is_uneven(self, bar: float) -> bool:
        """Whether parts are off by more than noise explains, though not by one factor."""
        return rms(self.values) > float(np.hypot(self.uneven_bar, bar))

    def unsigned(self) -> "Again":
        """The same of an error that differs from part to part."""
        return Again(np.abs(self.values), self.uneven_bar)

    @property
    def is_one(self) -> bool:
        """Whether all say about the same."""
        return bool(np.all(np.abs(self.values - self.mean) <= ONE_FACTOR * abs(self.mean)))


def again_by_parts(
    lines: NoisyLines, look: Look, block: int, like: Floats | None = None
) -> Iterator[Again]:
    """The relative error along signs, in six parts of a block and with fresh sizes, in endless rounds.

    Parameters
    ----------
    like : ndarray, shape (n,), optional
        Whose signs are taken, and of which the error is said to be a multiple; the gradient's own.
    """
    found, changes, apart = [], [], []
    place = lines.loss.layout.blocks[block]
    inside = slice(place.start, place.stop)
    signs = lines.claim.values if like is None else like
    for k in count():
        v = lines.directions.draw(SIZES + k * PART_OF_STREAM + block, place.start, place.stop)
        v[inside] = np.copysign(v[inside], signs[inside]) * part_of(place, k % PARTS)
        claimed = lines.claim.along(v)[0]
        whole = claimed if like is None else float(np.sum(v[inside] * like[inside]))
        if whole:
            w = lines.directions.draw(BASES + k, place.start, place.stop)
            away = max(AWAY * look.slope.step, lines.least_away)
            ahead, behind = around(lines, v, look.slope.step, w, away)
            slope = (ahead + behind) / 2
            found.append((claimed - slope) / whole)
            apart.append((ahead - behind) / 2 / whole)
            h = WIDER * look.slope.step
            above, below = lines.loss.along(v, np.array([h, -h]))
            changes.append((float(above - below) / (2 * h) - slope) / whole)
        if (k + 1) % PARTS == 0:
            yield _judged(np.array(found), np.array(changes), np.array(apart))


def stands(read: Callable[[int], Look]) -> Again | None:
    """Whether an alarm stands along fresh directions; None if not.

    Parameters
    ----------
    read : callable
        The k-th fresh direction.
    """
    looks: list[Look] = []
    for k in range(FRESH):
        looks.append(read(k))
        if sum(look.alarms for look in looks) >= STANDING:
            sizes = np.array([abs(look.y) / (look.size or 1.0) for look in looks])
            return Again(sizes, max(look.bar / (look.size or 1.0) for look in looks))
        if looks[-1].slope.value == 0.0 == looks[-1].claimed:
            break  # what is claimed to do nothing does not move the loss at all
    return None


def part_of(block: Block, k: int) -> Mask:
    """The k-th of six parts of a block, flat: halves by the first axis, by the last, and by turns."""
    which, half = divmod(k, 2)
    if block.size < 2 * PARTS:
        return np.ones(block.size, np.bool_)
    if which == 2 or len(block.shape) < 2 or min(block.shape) < 2:
        place = np.arange(block.size)
        period = (block.size + 1) // 2 if which == 0 else 8 if which == 1 else 1
        return np.asarray((place // period) % 2 == half)
    index = np.indices(block.shape, sparse=True)[0 if which == 0 else -1]
    axis = block.shape[0 if which == 0 else -1]
    return np.broadcast_to((index >= (axis + 1) // 2) == half, block.shape).ravel()


def around(
    lines: NoisyLines, v: Floats, step: float, w: Floats, away: float
) -> tuple[float, float]:
    """The slopes along v at base points on both sides of theta, along w, so far away."""
    w = w * away
    forth, back = w + step * v, w - step * v
    at = np.array([1.0, -1.0])
    ahead, behind = lines.loss.along(forth, at)
    other_behind, other_ahead = lines.loss.along(back, at)
    return float(ahead - other_behind) / (2 * step), float(other_ahead - behind) / (2 * step)


def _judged(values: Floats, changes: Floats, apart: Floats) -> Again:
    """The mean, less what truncation is expected to make of it, and twice that at most."""
    from scipy.special import fdtri, stdtrit

    if values.size < 2 or not np.isfinite(np.append(values, changes)).all():
        return Again(np.zeros(1), float("inf"))
    change = float(np.mean(changes))
    t = float(stdtrit(values.size - 1, 1 - FALSE / 2))
    error = float(values.std(ddof=1)) / float(np.sqrt(values.size))
    wider = float(np.mean(values)) - change
    noise = float(np.sqrt(fdtri(values.size, values.size, 1 - FALSE))) * rms(apart)
    uneven = noise + EXPECTED * rms(changes)
    return Again(
        values + EXPECTED * change, t * error + EXPECTED * abs(change), error, wider, uneven
    )
