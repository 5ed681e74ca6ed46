"""The default steps of a gradient, which hedge between two units: no second look mends a step.

An entry by itself is in units of 1/2 from 1/8 up to 1, and in units of 1/8 from 1/32 up, where rates and
probabilities are, whose losses bend on their own scale and round on that of 1; an array of numbers about
a far point, as of times or positions, is in one between its width and that.
"""

import math

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.evaluate.units import Units
from fastgrad.numerics.stencils import Stencil
from fastgrad.parameters.layout import Layout

SMALLER, SMALL, OF_NEAR_ONE = 2.0**-5, 2.0**-3, 2.0**-1
"""Entries in units of their own: those from one of these up to the next are differenced in the unit of
the latter, and those from the second up to 1 in that of the third."""
NARROW = 2.0**6
"""Entries about a point so many times as far away as they are wide, and as 1, are about an offset."""


def default_steps(units: Units, theta: Floats, layout: Layout, stencil: Stencil) -> Floats:
    """The default steps of a gradient, shape (n,), of a theta and its units."""
    steps = units.entry.copy()
    fill_steps(steps, theta, layout.stops, units.one_unit, stencil.step, stencil.order)
    if layout.own_units is not None:
        np.copyto(steps, stencil.step * units.entry, where=layout.own_units > 0)
    return steps


def fill_steps(
    units: Floats, theta: Floats, stops: Indices, one_unit: Mask, step: float, order: int
) -> None:
    """`kernels.fill_steps`."""
    starts = np.append(0, stops[:-1])
    for b in np.flatnonzero(one_unit):
        part = slice(starts[b], stops[b])
        most = _band(theta[part], order)
        if most < math.inf:
            np.minimum(units[part], most, out=units[part])
    if not one_unit.all():
        own, size = np.repeat(~one_unit, stops - starts), np.abs(theta)
        own &= (size >= SMALLER) & (size < 1.0)
        small = size < SMALL
        near_one = own & ~small & (units == 1.0)
        units[own & small & (units < SMALL)] = SMALL
        units[near_one] = OF_NEAR_ONE
    units *= step


def _band(block: Floats, order: int) -> float:
    """The largest unit of a block of one unit: of one about an offset, between its width and that."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        middle = float(np.cumsum(block)[-1]) / block.size
        away = block - middle
        apart = float(np.cumsum(away * away)[-1])
    width = max(math.sqrt(apart / block.size), 1.0)
    if apart == 0.0 or not NARROW * width <= abs(middle) < math.inf:
        return math.inf
    wide, far = math.frexp(width)[1] - 1, math.frexp(middle)[1] - 1
    return math.ldexp(1.0, (order * wide + far) // (order + 1))
