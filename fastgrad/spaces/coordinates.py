"""Charts of spaces that are told by coordinates: v of dim numbers, 0 at the point."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import power_of_two
from fastgrad.parameters.numbers import rounding_of
from fastgrad.spaces.charts import (
    PointChart,
    Reading,
    numbers,
    require_shape,
)
from fastgrad.spaces.frames import of_frames
from fastgrad.spaces.points import array_of, copied, numbers_of, pairs_of
from fastgrad.spaces.verify import fraction_moved, require_retraction


class CoordinatesChart(PointChart):
    """A space that is told by coordinates, around a point."""

    _by_entries: Floats | None = None
    """The gradient under test, where it is by the numbers of the point itself."""

    def __init__(self, space: Any, point: Any, name: str):
        super().__init__(space, point, name)
        moves = None if space.trusted else require_retraction(self)
        self.one_unit = getattr(space, "one_unit", False)
        own = getattr(space, "units_at", None)
        self.units = np.ones(self.origin.size) if own is None else own(point)
        of_kinds = getattr(space, "kinds_at", None)
        self.kinds = None if of_kinds is None else of_kinds(point)
        self.finest = fraction_moved(self, moves)

    def entries(self) -> tuple[tuple[int, ...], Floats]:
        shape = self.space.shape_of(self.base)
        return shape, np.zeros(int(np.prod(shape)))

    def point(self, x: Floats) -> Any:
        if not x.any():
            return copied(self.base)
        return self.space.retract(self.base, x.reshape(self.shape).copy())

    @cached_property
    def array(self) -> Any:
        """The point as an array; None where its type shows none."""
        return array_of(self.base)

    @cached_property
    def velocities(self) -> Floats:
        """How the point's numbers change with each coordinate, shape (coordinates, numbers).

        Of a batch all points are moved at once, by the same coordinate of each.
        """
        batch = self.shape[:-1]
        d = self.shape[-1]
        found = []
        for k in range(d):
            v = np.zeros(self.shape)
            v[..., k] = 1.0
            rate = differential(lambda t, v=v: numbers_of(self.point((t * v).ravel())))
            found.append(rate.reshape(int(np.prod(batch)), -1))
        return np.stack(found, axis=1)

    def claimed(self, gradient: Any, what: str) -> tuple[Floats, float]:
        array = numbers(gradient, what)
        shapes = [self.shape]
        if len(self.shape) == 1:
            shapes += [(1, *self.shape), (*self.shape, 1)] + [()] * (self.shape == (1,))
        ambient = isinstance(self.base, np.ndarray) and self.base.shape != self.shape
        if ambient:
            shapes.append(self.base.shape)
        said = f"the coordinates of {self.name} ({self.space.title})"
        require_shape(array, shapes, what, said)
        if ambient and array.shape == self.base.shape:
            self._by_entries = np.asarray(array, np.float64)
            return self._pulled_back(array), rounding_of(array)
        return np.asarray(array, np.float64).reshape(-1), rounding_of(array)

    def _pulled_back(self, array: Any) -> Floats:
        """The slopes along v that a gradient by the point's own numbers claims."""
        rates = self.velocities
        g = pairs_of(array).reshape(rates.shape[0], -1)
        return np.asarray(np.einsum("bkn,bn->bk", rates, g).reshape(-1))

    def gradient(self, slopes: Floats) -> Any:
        return slopes.reshape(self.shape)

    def entry(self, index: tuple[int, ...]) -> str:
        if self.space.names is None:
            return super().entry(index)
        return f"{super().entry(index[:-1])}.{self.space.names[index[-1]]}"

    def readings(self, slopes: Floats) -> Iterator[Reading]:
        yield from self.space.readings(self.base, slopes)
        yield from of_frames(self, slopes)
        by_entries = self._by_entries
        if by_entries is not None and np.array_equal(self._pulled_back(by_entries), slopes):
            for word, said, other in self.space.orders(by_entries):
                yield Reading(word, said, self._pulled_back(other))

    def native(self, x: Floats) -> Any:
        base = self.base
        if isinstance(base, np.ndarray) and base.dtype == np.float32:
            return np.asarray(self.space.retract(base.astype(np.float64), x.reshape(self.shape)))
        return self.point(x)


def differential(curve: Any) -> Floats:
    """The derivative at 0 of a curve of numbers, by central differences of sixth order."""
    stencil = CENTRAL[6]
    h = float(power_of_two(np.array(stencil.step)))
    values = {m: curve(m * h) for m in (-3, -2, -1, 1, 2, 3)}
    total = 45 * (values[1] - values[-1]) - 9 * (values[2] - values[-2])
    return np.asarray((total + values[3] - values[-3]) / (60 * h))
