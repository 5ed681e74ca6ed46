"""The points of a check: theta, and others where a gradient that is right there may be wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.evaluate.units import Units
from fastgrad.numerics.norms import rms
from fastgrad.parameters.layout import Layout

NEAREST, FARTHEST = 1e-3, 1.0
"""Perturbations are of a size between these, times that of theta (or 1 where it is zero)."""
MIXED = 0.1
"""The largest beside entries in units of their own, whose signs often may not change."""

Read = Callable[[Any], tuple[Layout, Floats]]
"""How a theta lies in a flat vector, and the vector."""


@dataclass(frozen=True)
class Point:
    """A theta to check at, how the report calls it, and how it is read."""

    theta: Any
    label: str
    read: Read


def points_of(
    theta: Any,
    points: int | Sequence[Any] | None,
    trainable: Any,
    drawn: tuple[int, Read],
) -> list[Point]:
    """Theta, and what ``points`` adds to it.

    A number adds random perturbations of the trainable entries, at log-uniform random scales; a
    sequence adds its thetas. ``drawn`` is the seed, and how theta is read.

    Raises
    ------
    ValueError, TypeError
    """
    seed, read = drawn
    if points is None:
        return [Point(theta, "", read)]
    first = Point(theta, "at the given theta", read)
    if isinstance(points, bool | str) or not isinstance(points, int | Sequence):
        raise TypeError(
            f"points is {type(points).__name__}: expected a number of points, or a list of thetas"
        )
    if not isinstance(points, int):
        return [first, *(Point(p, f"at points[{k}]", read) for k, p in enumerate(points))]
    if points < 1:
        raise ValueError(f"points={points}: expected at least 1")
    layout, flat = read(theta)
    mask = layout.mask(trainable)
    size, scale_of = _sizes(layout, flat)
    rng = np.random.default_rng(seed)
    places = [first]
    for k in range(1, points):
        scale = scale_of * NEAREST * (FARTHEST / NEAREST) ** rng.random()
        change = scale * size * rng.standard_normal(flat.size)
        if mask is not None:
            change[~mask] = 0.0
        label = f"at perturbation {k} (scale {scale:.2g})"
        places.append(Point(layout.moved(flat, change), label, read))
    return places


def _sizes(layout: Layout, flat: Floats) -> tuple[Floats, float]:
    """What entries are moved by, shape (n,), times a number: all alike where they are of one unit."""
    whole = rms(flat) or 1.0
    own = ~Units.of(flat, layout).one_unit
    if not own.any():
        return np.ones(flat.size), whole
    size = np.full(flat.size, whole)
    for b, block in enumerate(layout.blocks):
        part = slice(block.start, block.stop)
        x = np.abs(flat[part])
        size[part] = np.where(x > 0, x, rms(x) or 1.0) if own[b] else rms(x) or 1.0
    return size, MIXED
