"""The noise of a loss that is rough: what changes between points so near that kinks hardly do."""

from dataclasses import replace
from math import comb

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.first_look import rounding_of
from fastgrad.differences.directions import Directions
from fastgrad.differences.loss import Loss, NoiseLine
from fastgrad.numerics.steps import power_of_two

ROUGH = 2.0**-36
"""Noise beyond this part of the loss is not the rounding of float64."""
FEW_ENTRIES = 128
"""Fewer are checked one by one for what lines would take."""
POINTS = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
"""Places along a line, in spacings, beside theta itself."""
LINES = 2
ORDER = 3
"""The differences that are taken: those of a smooth f vanish, and noise grows by the root of 20."""
NEAR = 2.0**-5
"""Spacing, in the root of the relative noise: there rounding has not died out, and kinks hardly show."""
LEAST_NOISE = 0.5
"""Noise, in roundings of the value, at least."""
NOISE_STREAM = 1 << 30
"""Directions from here on are for it."""


def is_rough(loss: Loss) -> bool:
    """Whether the noise of a loss of many parameters is beyond that of float64."""
    value = abs(loss.value)  # at 0, as at a perfect fit, there is nothing to compare it with
    return value > 0.0 and loss.count > FEW_ENTRIES and loss.noise > ROUGH * value


def may_be_rough(loss: Loss) -> bool:
    """Whether its value alone says so: it is one of single precision."""
    value = abs(loss.value)
    return value > 0.0 and loss.count > FEW_ENTRIES and rounding_of(loss) > ROUGH * value


def heard(loss: Loss, directions: Directions, relative: float) -> Loss:
    """The loss with the noise that shows between near points, in 12 evaluations.

    Parameters
    ----------
    relative : float
        About the relative noise.
    """
    spacing = float(power_of_two(NEAR * np.sqrt(relative)))
    lines = []
    for k in range(LINES):
        v = directions.draw(NOISE_STREAM + k)
        values = loss.along(v, spacing * POINTS)
        sigma = _noise(
            np.insert(values, POINTS.size // 2, loss.base), LEAST_NOISE * rounding_of(loss)
        )
        lines.append(NoiseLine(sigma, values + loss.run.reference))
    return replace(loss, measured=replace(loss.measured, lines=tuple(lines)))


def center_of(loss: Loss) -> float:
    """f at theta without its own rounding, as the mean over near points, as `Loss.base` is given.

    Second differences at many steps would all show the rounding of that one value.
    """
    values = np.concatenate([line.values for line in loss.measured.lines]) - loss.run.reference
    return float(np.mean(values)) if np.isfinite(values).all() else loss.base


def _noise(values: Floats, least: float) -> float:
    table = np.diff(values, ORDER)
    table = table[np.isfinite(table)]
    if not table.size:
        return least
    return max(least, float(np.sqrt(np.mean(table**2) / comb(2 * ORDER, ORDER))))
