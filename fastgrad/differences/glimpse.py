"""A glimpse of the noise: what a single line says of it, in five evaluations."""

from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.differences.directions import Directions
from fastgrad.differences.lattice import FEW_ULPS, finest_offset
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import NoiseLine
from fastgrad.evaluate.drawn_directions import Direction
from fastgrad.numerics.noise import FIRST_SPACING, POINTS
from fastgrad.numerics.noise_tables import table_noise

LINE_EVALUATIONS = POINTS.size
"""What a line takes where its first spacing shows the noise."""
NOISE_STREAM = 1 << 32
"""Directions from here on are for noise."""
FINE_PART = 2.0**-3
"""Part of the entries that stand for all where noise is looked for."""
FEW_ENTRIES = 5
"""Up to so many parameters, directions do not show what single coordinates see: measure those too."""


def glimpsed(loss: Loss, seed: int, points: Floats = POINTS[:-1]) -> Loss:
    """The loss with what a single line says of its noise.

    Such noise counts twice (`fastgrad.differences.measured.ONE_LINE`). Entries whose unit nothing
    tells stand still, if others do not: how f is rounded where a unit is far too large would pass for
    its noise.

    Parameters
    ----------
    points : ndarray
        Places on the line beside theta, in spacings.
    """
    return with_glimpse(loss, *first_values(loss, seed, points))


def first_values(loss: Loss, seed: int, points: Floats) -> tuple[Floats, float]:
    """f at theta and at some places beside it on the line of a glimpse, and their spacing.

    All of `POINTS` are what all lines begin with.
    """
    v = first_direction(loss, seed)
    spacing = FIRST_SPACING
    if loss.units.given:  # such as moves all entries exactly
        spacing = max(spacing, finest_offset(loss.theta, v))
    return np.append(loss.base, loss.along(v, spacing * points)), spacing


def with_glimpse(loss: Loss, values: Floats, spacing: float) -> Loss:
    """The loss with what evenly spaced values on one line say of its noise."""
    sigma = table_noise(values) if np.isfinite(values).all() else None
    seen = NoiseLine(sigma, values + loss.run.reference, spacing)
    return replace(loss, measured=replace(loss.measured, glimpse=seen))


def first_direction(loss: Loss, seed: int) -> Direction:
    """The direction that a glimpse goes along."""
    return noise_directions(loss, seed).along(NOISE_STREAM, exact=True)


def noise_directions(loss: Loss, seed: int) -> Directions:
    """Directions along which noise is looked for: of entries that the first spacing moves exactly.

    Where few of them are told apart at it, as where all lie far out, spacings are longer instead;
    kinks then show more, where there are any.
    """
    units, mask = loss.units, loss.free
    if units.given:
        fine = FEW_ULPS * np.spacing(np.abs(loss.theta)) <= FIRST_SPACING * units.near
        fine &= True if mask is None else mask
        enough = np.count_nonzero(fine) >= max(FEW_ENTRIES + 1, FINE_PART * loss.count)
        mask = fine if enough else mask
    told = units.near
    if units.unknown is not None and not units.unknown.all():
        told = np.where(units.unknown, 0.0, told)
    return Directions(told, mask, seed)
