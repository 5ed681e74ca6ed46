"""The values that differences need, also of entries near the edge of the domain of the loss."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.errors import NonFiniteLossError
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.evaluate.vector import VectorEvaluator
from fastgrad.numerics.steps import finest_steps, steps_inside
from fastgrad.parameters.bounds import Box
from fastgrad.parameters.layout import Layout

NEAREST = 2.0**-40
"""Distance of an edge, in units of theta, at which an entry lies at it."""


class Sampling(Protocol):
    """The places beside an entry where f is needed: a stencil, or a stencil at two steps."""

    @property
    def step(self) -> float:
        """The default h at unit scale."""
        ...

    @property
    def unit_offsets(self) -> Floats:
        """The places in multiples of h, shape (k,)."""
        ...


def sample_inside(
    run: Evaluator,
    layout: Layout,
    sampling: Sampling,
    indices: Indices,
    h: Floats,
    default: bool,
) -> tuple[Floats, Floats]:
    """f at multiples of h beside the entries, shape (m, k), and h.

    Default steps are shortened where f is not finite there, and nowhere else.

    Raises
    ------
    NonFiniteLossError, LossError
        It is not finite there, or raises, at any step if they are the default ones.
    """
    multiples = sampling.unit_offsets
    values = run.coordinates(indices, h[:, None] * multiples)
    finite = np.isfinite(values)
    if finite.all():
        return values, h
    if default:
        rows = np.flatnonzero(~finite.all(axis=1))
        shorter = edge_steps(run, sampling, indices[rows], h[rows])
        again = run.coordinates(indices[rows], shorter[:, None] * multiples)
        if np.isfinite(again).all():
            h = h.copy()
            values[rows], h[rows] = again, shorter
            return values, h
        finite[rows[np.isfinite(again).all(axis=1)]] = True
    row, column = map(int, np.argwhere(~finite)[0])
    name = layout.name(int(indices[row]))
    if run.outside is not None:
        raise run.outside
    raise NonFiniteLossError(
        f"the loss is {values[row, column]} at {name} {h[row] * multiples[column]:+.3g} "
        f"({name} = {run.theta[indices[row]]:.6g}): expected finite values on both sides; pass a "
        "smaller step, or bounds=, or start further from the edge of the loss's domain"
    )


def edge_steps(run: Evaluator, sampling: Sampling, indices: Indices, h: Floats) -> Floats:
    """Default steps of entries around which the loss is not finite within reach of h, shape (m,).

    The distance to the edge takes the place of the entry's size; it is found by factors of 8.
    """
    smallest = finest_steps(run.theta[indices])
    if not np.isfinite(run.value()):
        return smallest
    sides = np.unique(np.sign(sampling.unit_offsets))
    reach = np.abs(sampling.unit_offsets).max() * h

    def sample(which: Indices, steps: Floats) -> Floats:
        return run.coordinates(indices[which], steps[:, None] * sides)

    inside, _ = steps_inside(sample, reach / 8, smallest)
    return np.maximum(sampling.step * inside, smallest)


def nearest_of(theta: Floats, units: Floats, indices: Indices) -> Floats:
    """The distances from entries at which an edge is looked for, shape (m,)."""
    spacing = 4 * np.spacing(np.abs(theta[indices]))
    return np.asarray(np.maximum(NEAREST * units[indices], spacing))


def finite_sides(
    values: Callable[[Indices, Floats], Floats], indices: Indices, nearest: Floats
) -> tuple[Mask, Mask]:
    """Whether a function is finite below and above each of some entries, so near to it."""
    known = np.isfinite(values(indices, np.stack([-nearest, nearest], axis=1)))
    finite = np.asarray(known.all(axis=tuple(range(2, known.ndim))))  # of a vector, all of it
    return finite[:, 0], finite[:, 1]


def edges_of(run: VectorEvaluator, units: Floats, indices: Indices) -> Box | None:
    """Bounds for entries beside which a function is finite on one side alone; None if there are none.

    Two evaluations an entry.
    """
    nearest = nearest_of(run.theta, units, indices)
    below, above = finite_sides(run.coordinates, indices, nearest)
    at_edge = below != above
    if not at_edge.any():
        return None
    box = Box.unbounded(run.theta.size)
    box.low[indices[above & at_edge]] = run.theta[indices[above & at_edge]]
    box.high[indices[below & at_edge]] = run.theta[indices[below & at_edge]]
    return box if run.box is None else box.within(run.box)
