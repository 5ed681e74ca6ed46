"""The values that differences need, also of entries near the edge of the domain of the loss."""

import numpy as np
from numpy.typing import NDArray

from fastgrad.errors import NonFiniteLossError
from fastgrad.evaluate import Evaluator
from fastgrad.numerics.stencils import Stencil
from fastgrad.numerics.steps import finest_steps, steps_inside
from fastgrad.params import Floats, Layout

Indices = NDArray[np.intp]


def sample_inside(
    run: Evaluator,
    layout: Layout,
    method: Stencil,
    indices: Indices,
    h: Floats,
    multiples: Floats,
    default: bool,
) -> tuple[Floats, Floats]:
    """f at ``multiples`` of h beside the entries, shape (m, k), and h.

    Default steps are shortened where f is not finite there, and nowhere else.

    Raises
    ------
    NonFiniteLossError
        It is not finite there, at any step if they are the default ones.
    """
    values = run.coordinates(indices, h[:, None] * multiples)
    finite = np.isfinite(values)
    if finite.all():
        return values, h
    if default:
        rows = np.flatnonzero(~finite.all(axis=1))
        reach = np.abs(multiples).max() * h[rows]
        shorter = edge_steps(run, method, indices[rows], reach)
        again = run.coordinates(indices[rows], shorter[:, None] * multiples)
        if np.isfinite(again).all():
            h = h.copy()
            values[rows], h[rows] = again, shorter
            return values, h
        finite[rows[np.isfinite(again).all(axis=1)]] = True
    row, column = map(int, np.argwhere(~finite)[0])
    name = layout.name(int(indices[row]))
    raise NonFiniteLossError(
        f"the loss is {values[row, column]} at {name} {h[row] * multiples[column]:+.3g} "
        f"({name} = {run.theta[indices[row]]:.6g}): expected finite values on both sides; pass a "
        "smaller step, or start further from the edge of the loss's domain"
    )


def edge_steps(run: Evaluator, method: Stencil, indices: Indices, reach: Floats) -> Floats:
    """Default steps of entries around which the loss is not finite within ``reach``, shape (m,).

    The distance to the edge takes the place of the entry's size; it is found by factors of 8.
    """
    smallest = finest_steps(run.theta[indices])
    if not np.isfinite(run.value()):
        return smallest
    sides = np.unique(np.sign(method.multiples)).astype(np.float64)

    def sample(which: Indices, steps: Floats) -> Floats:
        return run.coordinates(indices[which], steps[:, None] * sides)

    inside, _ = steps_inside(sample, reach / 8, smallest)
    return np.maximum(method.step * inside, smallest)
