"""Losses that are smooth from near and jump from afar, as where a solver stops at a tolerance."""

import numpy as np

from fastgrad.checks.screen.is_rough import is_rough
from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import LINES, NOISE_STREAM, heard
from fastgrad.differences.loss import Loss

ROUGH_AFAR = 2.0**-18
"""Relative noise at whose spacing, 2^-14 of the units, a loss that jumps is heard."""
JUMP_SPACING, HALVINGS = 2.0**-14, 10
JUMP, JUMP_NOISES = 2.0**-6, 64.0
"""A jump is at least this part of what is not straight in all of the interval, and so many noises:
across a kink 2^-10 of that is left, and where there are many jumps one is left of them."""


def rough_from_afar(loss: Loss, directions: Directions) -> Loss | None:
    """The loss with the noise that is heard from afar, if it jumps and is rough by that."""
    if not jumps(loss, directions):
        return None
    far = heard(loss, directions, ROUGH_AFAR)
    return far if is_rough(far, far.noise) else None


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
