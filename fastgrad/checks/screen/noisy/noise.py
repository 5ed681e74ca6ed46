"""The noise of a loss that is rough: what changes between points so near that kinks hardly do."""

import numpy as np

from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import (
    LINES,
    NOISE_STREAM,
    POINTS,
    is_coarse,
    rounding_of,
)
from fastgrad.differences.loss import Loss

ROUGH = 2.0**-36
"""Noise beyond this part of the loss is not the rounding of float64."""
FEW_ENTRIES = 128
"""Fewer are checked one by one for what lines would take."""
CURVED = np.stack([np.ones(POINTS.size), POINTS**2], axis=1)
KINKED = np.stack([np.ones(POINTS.size), np.abs(POINTS)], axis=1)


def is_rough(loss: Loss) -> bool:
    """Whether the noise of a loss of many parameters is beyond that of float64."""
    value = abs(loss.value)  # at 0, as at a perfect fit, there is nothing to compare it with
    return value > 0.0 and loss.count > FEW_ENTRIES and loss.noise > ROUGH * value


def may_be_rough(loss: Loss) -> bool:
    """Whether its value alone says so: it is one of single precision."""
    value = abs(loss.value)
    return value > 0.0 and loss.count > FEW_ENTRIES and rounding_of(loss) > ROUGH * value


def jumps(loss: Loss, directions: Directions) -> bool:
    """Whether the loss jumps along a line, as one does that is solved to a tolerance.

    The interval that is least straight is halved: across kinks and bends what is not straight falls with
    its length, across a jump it does not.
    """
    v = directions.along(NOISE_STREAM + LINES, exact=loss.units.given)
    at = JUMP_SPACING * np.arange(-3.0, 4.0)
    values = loss.along(v, at)
    if not np.isfinite(values).all():
        return False
    slope = float(np.median(np.diff(values))) / JUMP_SPACING
    off = np.abs(values[1:] - values[:-1] - slope * JUMP_SPACING)
    k, first = int(off.argmax()), float(off.max())
    low, high, below, above = at[k], at[k + 1], values[k], values[k + 1]
    finest = 0.0 if loss.lattice is None else loss.lattice.finest
    for _ in range(HALVINGS):
        if high - low <= finest:  # a point in between is rounded to one of them
            break
        middle = (low + high) / 2
        value = float(loss.along(v, np.array([middle]))[0])
        lower = abs(value - below - slope * (middle - low))
        if lower > abs(above - value - slope * (high - middle)):
            high, above = middle, value
        else:
            low, below = middle, value
    left = abs(above - below - slope * (high - low))
    return bool(left > max(JUMP * first, JUMP_NOISES * loss.noise))


JUMP_SPACING, HALVINGS = 2.0**-14, 10
JUMP, JUMP_NOISES = 2.0**-6, 64.0
"""A jump is at least this part of what is not straight in all of the interval, and so many noises:
across a kink 2^-10 of that is left, and where there are many jumps one is left of them."""


BENT = 1.5
"""Near points bend, as at a kink, where their even part changes by so many sds a spacing: noise alone
makes a quarter of it."""


def center_of(loss: Loss) -> float:
    """f at theta without its own rounding, as the mean over near points, as `Loss.base` is given.

    Second differences at many steps would all show the rounding of that one value. Where a kink lies
    among these points, it is what lines on both sides of theta meet at.
    """
    values = np.array([line.values for line in loss.measured.lines]) - loss.run.reference
    if not np.isfinite(values).all():
        return loss.base
    even = (values + values[:, ::-1]) / 2
    if not is_coarse(loss):
        center, bend = np.linalg.lstsq(KINKED, even.mean(axis=0))[0]
        return float(center if abs(bend) > BENT * loss.noise else np.mean(values))
    return float(np.mean(np.linalg.lstsq(CURVED, even.T)[0][0]))  # points far apart show curvature
