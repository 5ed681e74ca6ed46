"""The points of a check: theta, and others where a gradient that is right there may be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.numerics.norms import rms
from fastgrad.parameters.layout import flatten

NEAREST, FARTHEST = 1e-3, 1.0
"""Perturbations are of a size between these, times that of theta (or 1 where it is zero)."""


@dataclass(frozen=True)
class Point:
    """A theta to check at, and how the report calls it."""

    theta: Any
    label: str


def points_of(
    theta: Any, points: int | Sequence[Any] | None, trainable: Any, seed: int
) -> list[Point]:
    """Theta, and what ``points`` adds to it.

    A number adds random perturbations of the trainable entries, at log-uniform random scales; a
    sequence adds its thetas.

    Raises
    ------
    ValueError, TypeError
    """
    if points is None:
        return [Point(theta, "")]
    first = Point(theta, "at the given theta")
    if isinstance(points, bool | str) or not isinstance(points, int | Sequence):
        raise TypeError(
            f"points is {type(points).__name__}: expected a number of points, or a list of thetas"
        )
    if not isinstance(points, int):
        return [first, *(Point(p, f"at points[{k}]") for k, p in enumerate(points))]
    if points < 1:
        raise ValueError(f"points={points}: expected at least 1")
    layout, flat = flatten(theta)
    mask = layout.mask(trainable)
    size = rms(flat) or 1.0
    rng = np.random.default_rng(seed)
    places = [first]
    for k in range(1, points):
        scale = size * NEAREST * (FARTHEST / NEAREST) ** rng.random()
        change = scale * rng.standard_normal(flat.size)
        if mask is not None:
            change[~mask] = 0.0
        places.append(
            Point(layout.rebuild(flat + change), f"at perturbation {k} (scale {scale:.2g})")
        )
    return places
