"""Charts of spaces that are told by a projection: theta keeps its own entries.

Entry i moves along ``project(point, e_i)``, and what is compared is entry i of the gradient's tangent
part: no basis is invented.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.numerics.norms import norm
from fastgrad.parameters.layout import Layout, flatten
from fastgrad.parameters.numbers import rounding_of
from fastgrad.spaces.charts import (
    PointChart,
    Reading,
    numbers,
    require_shape,
)
from fastgrad.spaces.points import copied, pairs_of, precision_of
from fastgrad.spaces.verify import FRACTION, require_projection, trace_of

FLOAT32 = 1e-10
"""Precision from which the least step matters beside the default one."""


class ProjectedChart(PointChart):
    """A space that is told by a projection, around a point."""

    def __init__(self, space: Any, point: Any, name: str):
        super().__init__(space, point, name)
        if not space.trusted:
            require_projection(self)
        eps = precision_of(point)
        if eps > FLOAT32:
            self.finest = eps * np.abs(self.origin).max() / FRACTION * np.ones(self.origin.size)

    @cached_property
    def _layout(self) -> Layout | None:
        """How the point lies in a vector; None where the space has a function for it."""
        return None if self.space.flat else flatten(self.base, self.name)[0]

    def entries(self) -> tuple[tuple[int, ...], Floats]:
        flat = self.flat_of(self.base)
        if self._layout is None:
            return np.shape(self.space.flat(self.base)), flat
        return self._layout.blocks[0].shape if self._layout.plain else (flat.size,), flat

    def flat_of(self, value: Any) -> Floats:
        """A point, or a vector like one, along a flat vector."""
        if self.space.flat is not None:
            return pairs_of(np.asarray(self.space.flat(value)))
        assert self._layout is not None
        if self._layout.plain:
            return pairs_of(np.asarray(value))
        return flatten(self._layout.filled(list(self._layout.match(value, self.name, _part))))[1]

    def like_point(self, w: Floats) -> Any:
        """A flat vector like the point, as the space's functions take it."""
        if self._layout is None or self._layout.plain:
            return w.reshape(self.shape).copy()
        return self._layout.rebuild(w.copy())

    def project(self, w: Floats) -> Floats:
        """The part of a vector along the tangent space, shape (size,)."""
        found = self.flat_of(self.space.project(self.base, self.like_point(w)))
        if found.shape != w.shape:
            raise TypeError(
                f"{self.space.title}: project({self.name}, w) returned {found.size} numbers for "
                f"{w.size}: expected a vector like the point"
            )
        return found

    def inner(self, u: Floats, w: Floats) -> float:
        """The inner product in which the projection is orthogonal."""
        return float(u @ w)

    def retracted(self, d: Floats) -> Any:
        """The point moved along a flat tangent vector."""
        base, step = self.base, self.like_point(d)
        if isinstance(base, np.ndarray) and isinstance(step, np.ndarray):
            step = step.astype(base.dtype, copy=False)
        return self.space.retract(base, step)

    def point(self, x: Floats) -> Any:
        change = x - self.origin
        if not change.any():
            return copied(self.base)
        return self.retracted(self.project(change))

    def claimed(self, gradient: Any, what: str) -> tuple[Floats, float]:
        if self.space.flat is not None:
            gradient = self.space.flat(gradient)
        if self._layout is not None and not self._layout.plain:
            return self._read(self.flat_of(gradient)), 0.0
        array = numbers(gradient, what)
        require_shape(array, [self.shape], what, f"as {self.name} has")
        return self._read(np.asarray(array, np.float64).reshape(-1)), rounding_of(array)

    def _read(self, g: Floats) -> Floats:
        if self.space.gradient == "euclidean":
            return self.project(g)
        lowered = getattr(self.space, "lowered", None)
        return g if lowered is None else self.flat_of(lowered(self.base, self.like_point(g)))

    def gradient(self, slopes: Floats) -> Any:
        raised = getattr(self.space, "raised", None)
        g = self.like_point(slopes)
        return g if raised is None else raised(self.base, g)

    def projected(self, w: Floats) -> Floats | None:
        return self.project(w)

    def readings(self, slopes: Floats) -> Iterator[Reading]:
        yield from self.space.readings(self.base, slopes)
        normal = slopes - self.project(slopes)
        size = norm(slopes)
        if size and norm(normal) > 0:
            yield Reading(
                "normal-part",
                f"a part of norm {norm(normal):.4g}, {100 * norm(normal) / size:.2g}% of it, is normal "
                "to the tangent space: it was not projected. Its tangent part is right: read as the "
                "Euclidean gradient, all of it agrees",
                slopes - normal,
                {"norm": norm(normal), "part": norm(normal) / size},
            )

    @cached_property
    def dimension(self) -> float | None:
        known = self.space.dimension_at(self.base)
        return trace_of(self.project, self.origin.size) if known is None else known

    def remarks(self, name: str) -> Iterator[str]:
        if self.dimension is not None:
            yield (
                f"{name} lies in a space of dimension {self.dimension:g} ({self.space.title}), told by "
                f"{self.origin.size:,} entries that move along its tangent space."
            )


def _part(part: Any, block: Any) -> Any:
    return np.asarray(part, np.float64)
