"""Random directions of many entries as kernels take them: four bytes an entry in place of eight.

A direction that is written out is read from memory at every point of its line, beside theta, and takes
longer to write than a point of its line. What it is made of is shorter: 16 random bits, and the unit,
a power of two, whose upper 16 bits are all that it has.
"""

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastgrad.arrays import CHUNK, Floats
from fastgrad.evaluate.directions_in_numpy import entries_drawn, project_written_out
from fastgrad.evaluate.on_demand import project
from fastgrad.parameters.native import plain_array

Way: TypeAlias = tuple[
    Floats, NDArray[np.int16], NDArray[np.uint16], NDArray[np.int64], Floats, float
]
"""A direction as kernels take it: written out, or else what a `Drawn` is made of."""


@dataclass(frozen=True)
class Drawn:
    """A direction that is not written out.

    Its entries are ``+-scale (1/2 + |u|)`` times a unit and a share, with u what 16 bits say; or just
    the signs of u, if ``scale`` is 0. Outside ``spans`` they are 0.

    Parameters
    ----------
    random : ndarray of int16, shape (n,)
    units : ndarray of uint16, shape (n,)
        The upper 16 bits of each entry's unit, a power of two, or 0.
    spans : ndarray of int64, shape (k, 2)
        Where they start and stop, in order.
    shares : ndarray, shape (k,)
        Powers of two.
    scale : float
    """

    random: NDArray[np.int16]
    units: NDArray[np.uint16]
    spans: NDArray[np.int64]
    shares: Floats
    scale: float

    @property
    def size(self) -> int:
        return self.random.size

    @property
    def way(self) -> Way:
        """The same for kernels."""
        return NOTHING, self.random, self.units, self.spans, self.shares, self.scale

    @cached_property
    def array(self) -> Floats:
        """The direction written out, shape (n,)."""
        out = np.zeros(self.size)
        for (start, stop), share in zip(self.spans.tolist(), self.shares, strict=True):
            for first in range(start, stop, CHUNK):
                part = slice(first, min(first + CHUNK, stop))
                entries_drawn(out[part], self.random[part], self.units[part], share, self.scale)
        return out

    def dot(self, values: Floats) -> tuple[float, float]:
        """The sum of the products with some values, shape (n,), and that of their squares."""
        sums = np.empty((-(-self.size // CHUNK), 2))
        if "array" in vars(self) and not project.owned:
            project_written_out(values, self.array, sums)
        else:
            project(plain_array(values), self.way, sums)
        total, squares = sums.sum(axis=0).tolist()
        return total, squares


Direction: TypeAlias = Floats | Drawn
"""A direction in the space of theta, shape (n,)."""

NOTHING = np.zeros(0)
_NOTHING_DRAWN = (
    np.zeros(0, np.int16),
    np.zeros(0, np.uint16),
    np.zeros((0, 2), np.int64),
    NOTHING,
    0.0,
)


def written_out(direction: Direction) -> Floats:
    """The numbers of a direction."""
    return direction.array if isinstance(direction, Drawn) else direction


def way_along(direction: Floats) -> Way:
    """A direction that is written out, for kernels."""
    return direction, *_NOTHING_DRAWN


def upper_bits(x: Floats) -> NDArray[np.uint16]:
    """The upper 16 bits of numbers: all that powers of two have, and a sign."""
    return np.ascontiguousarray(x).view(np.uint16)[UPPER::4].copy()


UPPER = 3 if sys.byteorder == "little" else 0
"""The place of these bits among the four times 16 of a number."""
