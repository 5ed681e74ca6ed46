"""Losses of fewer digits than float64 has: their rounding by the value alone, and between near points.

Where they are few, as in bfloat16, theta itself is rounded: f stands still over steps below a last
place of an entry, and moves by treads beyond. Noise is what changes from one tread to another.
"""

from dataclasses import replace
from math import comb, sqrt

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.differences.directions import Directions
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import NoiseLine
from fastgrad.numerics.norms import rms
from fastgrad.numerics.steps import power_of_two
from fastgrad.numerics.windows import grain_of

HALF_DIGITS, SINGLE_DIGITS = 8, 24
"""Binary digits of bfloat16 and of float32."""
POINTS = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
"""Places along a line, in spacings, beside theta itself."""
LINES = 2
HEARD_EVALUATIONS = 2 * LINES * POINTS.size
"""What `heard` takes at most."""
ORDER = 3
"""The differences that are taken: those of a smooth f vanish, and noise grows by the root of 20."""
NEAR = 2.0**-5
"""Spacing, in the root of the relative noise: there rounding has not died out, and kinks hardly show."""
LEAST_NOISE = 0.5
"""Noise, in roundings of the value, at least."""
COARSE = 2.0**-19
"""Noise beyond this part of the loss is of fewer digits than float32 has, or of a solver. It may be
about the same at near points, which round alike, or stop after as many iterations: it is heard
farther off too."""
FAR = 2.0**-9
"""The spacing there, in units: three of them move most entries by what bfloat16 rounds them to."""
NOISE_STREAM = 1 << 30
"""Directions from here on are for it."""


def rounding_of(loss: Loss) -> float:
    """One rounding of the loss, by its values alone: of single or half precision if they are such.

    Or of so many decimals, if its value at theta ends after few. That may be a round number of single
    precision: others that were seen tell.
    """
    value = abs(loss.value)
    least = max(loss.noise, grain_of(np.array([value])))
    with np.errstate(over="ignore"):
        single = float(np.float32(value))  # beside a float32 a number is rounded to one
    if value == 0.0 or single != value:
        return least
    digits = HALF_DIGITS if _all_half(loss.measured.seen) else SINGLE_DIGITS
    return max(least, float(np.ldexp(1.0, int(np.frexp(value)[1]) - digits)))


def _all_half(values: Floats) -> bool:
    """Whether all values have no more than `HALF_DIGITS` binary digits."""
    fractions = np.frexp(values[np.isfinite(values)])[0] * 2.0**HALF_DIGITS
    return bool(np.all(fractions == np.round(fractions)))


def is_coarse(loss: Loss) -> bool:
    """Whether its noise is that of fewer digits than float32 has."""
    return loss.noise > COARSE * abs(loss.value)


def heard(loss: Loss, directions: Directions, relative: float) -> Loss:
    """The loss with the noise that shows between near points, in 12 evaluations; 24 if that is `COARSE`.

    Parameters
    ----------
    relative : float
        About the relative noise.
    """
    near = _heard(loss, directions, float(power_of_two(NEAR * np.sqrt(relative))))
    if not is_coarse(near):
        return near
    far = _heard(loss, directions, FAR)
    return far if far.noise >= near.noise else near


def _heard(loss: Loss, directions: Directions, spacing: float) -> Loss:
    lines = []
    if loss.lattice is not None:
        spacing = max(spacing, loss.lattice.finest)
    for k in range(LINES):
        # Where units are given, rounding of other points would pass for noise of f.
        v = directions.along(NOISE_STREAM + k, exact=loss.units.given)
        values = loss.along(v, spacing * POINTS)
        sigma = _noise(
            np.insert(values, POINTS.size // 2, loss.base), LEAST_NOISE * rounding_of(loss)
        )
        lines.append(NoiseLine(sigma, values + loss.run.reference))
    return replace(loss, measured=replace(loss.measured, lines=tuple(lines)))


def _noise(values: Floats, least: float) -> float:
    with np.errstate(invalid="ignore", over="ignore"):  # the loss may be infinite at some
        table = np.diff(values, ORDER)
    table = table[np.isfinite(table)]
    return max(least, rms(table) / sqrt(comb(2 * ORDER, ORDER))) if table.size else least
