"""Errors that four pairs at steps chosen to contradict show plainly: nobody then asks for a profile."""

import numpy as np

from fastgrad.differences.halving import Line
from fastgrad.differences.profile import FINEST_ULPS, MOVES, WOBBLE

WIDE_LOOK = 2.0**-3
"""The widest step of a first look, in units."""
FINE_LOOK = 2.0**-12
"""The finest, in steps that were used."""
TELLING_BARS = 8.0
"""A first look is for claims that are so many bars off."""
PLAIN_BARS = 64.0
"""Those fewer off have no finer step than an eighth of the one that was used, and between steps that
are nearly the same kinks cannot be told from an error: they are heard in full, but for a brief look."""
TURNED = 0.3
"""Part of its distance to a claim that a slope must be for wide steps to confirm it."""
SQUARE = (0.5, 2.0)
"""Truncation grows with the square of the step, to within these factors."""


def plainly_off(
    line: Line,
    claim: float,
    near: tuple[float, float, float],
    unit: float,
    brief: bool = False,
    x: float = 0.0,
) -> bool:
    """Whether a claim is off at every scale alike, by a look at two wider and two finer steps.

    The widest is 2^-3 of the unit, the finest that at which noise is an eighth of the distance between
    claim and slope, the others are half-way on a logarithmic scale. Every slope must be within a
    quarter of the distance of the one known, but that the widest may err as truncation does, with the
    square of the step.

    Parameters
    ----------
    near : (float, float, float)
        A step, the slope there, and its bar.
    brief : bool
        Whether to look at the wider steps alone, where others are known already: the claim must not be
        nearer than the slope to what the widest says. A slope of nothing beside that distance is not
        confirmed by them: beyond its turns f has none at every step.
    x : float
        What offsets are added to: no step is finer than it can take.
    """
    h, slope, bar = near
    distance = abs(claim - slope)
    brief = brief and abs(slope) > TURNED * distance
    least = TELLING_BARS if brief else PLAIN_BARS
    if not (np.isfinite(distance) and distance > least * bar):
        return False
    widest, finest = max(WIDE_LOOK * unit, 8 * h), h * max(TELLING_BARS * bar / distance, FINE_LOOK)
    finest = max(finest, min(FINEST_ULPS * np.spacing(abs(x)), h))
    t = np.array([widest, np.sqrt(widest * h), np.sqrt(finest * h), finest])
    t *= 1 + WOBBLE * np.array([0.5, -0.3, 0.4, -0.6])
    t = ((x + t) - (x - t)) / 2
    if brief:
        far, above, below, near_far = line(np.array([t[0], t[1], -t[1], -t[0]]))
        off = abs((above - below) / (2 * t[1]) - slope)
        widest_slope = (far - near_far) / (2 * t[0])
        alibi = abs(widest_slope - claim) < abs(widest_slope - slope)
        return bool(above != below and off <= distance / 4 + bar * h / t[1] and not alibi)
    values = line(np.concatenate([t, -t, np.zeros(1)]))
    above, below, value = values[:4], values[4:8], values[8]
    off = (above - below) / (2 * t) - slope
    bends = np.abs((above - value) + (below - value)) / (2 * t)
    if np.unique(values).size < MOVES or not bends[2:].max() <= distance / 4:
        return False
    fits = np.abs(off) <= distance / 4 + bar * h / t
    truncates = off[1] != 0 and SQUARE[0] <= off[0] / off[1] * (t[1] / t[0]) ** 2 <= SQUARE[1]
    return bool(fits[1:].all() and (fits[0] or truncates))
