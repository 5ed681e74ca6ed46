"""Points that are exact: offsets that move theta by no less than a few of its last places."""

from functools import cached_property

import numpy as np

from fastgrad.arrays import CHUNK, Floats
from fastgrad.evaluate.drawn_directions import Direction, written_out
from fastgrad.numerics.steps import power_of_two

FEW_ULPS = 4.0
FINEST_ALONG = 2.0**-20
"""Steps along directions, in units, at which points are to be exact."""
FINEST_QUANTUM, COARSEST_QUANTUM = 2.0**-10, 0.5
"""Parts of a unit that entries of directions, a half to one and a half, are multiples of."""


def finest_offset(theta: Floats, direction: Direction) -> float:
    """The smallest offset along v, a power of two, that moves all its entries by a few ulps.

    Those of v are powers of two, so the ulp of theta over v is that of their quotient.
    """
    v, largest = written_out(direction), 1.0
    for start in range(0, v.size, CHUNK):
        x, moves = theta[start : start + CHUNK], v[start : start + CHUNK]
        sizes = np.divide(x, moves, out=np.zeros(x.size), where=moves != 0)
        largest = float(np.abs(sizes).max(initial=largest))
    return float(power_of_two(FEW_ULPS * np.spacing(largest)))


class Lattice:
    """The points that are exact, where entries are in units that theta does not show.

    An entry of an array may be some times larger than units that theta shows: rounding of points is
    then no more than that of f, and steps are far longer.

    Parameters
    ----------
    theta : ndarray, shape (n,)
    units : ndarray, shape (n,)
        Of its entries; powers of two.
    """

    def __init__(self, theta: Floats, units: Floats):
        self.theta, self.units = theta, units

    @cached_property
    def finest(self) -> float:
        """The smallest offset in units, a power of two, that moves all entries by a few last places."""
        return finest_offset(self.theta, self.units)

    @cached_property
    def of_directions(self) -> tuple[Floats, float]:
        """What entries of a direction are multiples of, shape (n,), and the least exact step."""
        unit, last = self.units, 2 * np.spacing(np.abs(self.theta))  # beyond a power of two
        quantum = np.clip(last / FINEST_ALONG, FINEST_QUANTUM * unit, COARSEST_QUANTUM * unit)
        return quantum, float(power_of_two(2 * (last / quantum).max()))
