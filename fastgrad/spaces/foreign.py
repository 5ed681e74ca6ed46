"""Manifold objects of other packages, known by their methods: nothing of theirs is imported.

pymanopt's have ``projection`` and ``retraction``, geomstats' ``to_tangent`` and ``metric.exp``. An inner
product that is not that of the entries is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.parameters.trees import children, describe
from fastgrad.spaces.space import Space

BY_ENTRIES = 1e-9
"""How exactly an inner product must be that of the entries to be taken for it."""


def as_space(value: Any, name: str) -> Any:
    """A Space, or a structure of them, as it is; a manifold of another package as a Space."""
    if value is None or isinstance(value, Space) or children(value):
        return value
    kind = type(value).__name__
    if hasattr(value, "projection") and hasattr(value, "retraction"):
        return Manifold(kind, value.retraction, value.projection, _Vectors.of_pymanopt(value))
    metric: Any = getattr(value, "metric", None)
    if hasattr(value, "to_tangent") and hasattr(metric, "exp"):
        return Manifold(
            kind,
            lambda p, d: metric.exp(d, base_point=p),
            lambda p, w: value.to_tangent(w, base_point=p),
            _Vectors(lambda p, u, w: metric.inner_product(u, w, base_point=p)),
        )
    if isinstance(value, type):
        raise TypeError(
            f"space for {name} is the class {value.__name__}: expected one of its objects"
        )
    raise TypeError(
        f"space for {name} is {describe(value)}: expected a Space, a manifold of pymanopt or geomstats, "
        "or a structure of them shaped like theta"
    )


@dataclass(frozen=True)
class _Vectors:
    """How a manifold has its tangent vectors: their inner product, and what they are by the entries."""

    inner: Any = None
    embed: Any = None

    @classmethod
    def of_pymanopt(cls, manifold: Any) -> "_Vectors":
        """Rotations have skew matrices, embedded by a product with the point; most have no embedding."""
        return cls(getattr(manifold, "inner_product", None), getattr(manifold, "embedding", None))

    def embedded(self, point: Any, u: Any) -> Any:
        """A tangent vector by the entries of the point."""
        if self.embed is None:
            return u
        try:
            return self.embed(point, u)
        except NotImplementedError:
            return u


class Manifold(Space):
    """A manifold of another package, whose gradient is Riemannian in its own inner product."""

    project: Callable[[Any, Any], Any]

    def __init__(self, title: str, retract: Any, project: Any, vectors: _Vectors):
        super().__init__(
            lambda p, d: retract(p, project(p, d)),
            project=lambda p, w: vectors.embedded(p, project(p, w)),
        )
        self.title = title
        self._vectors, self._own = vectors, project

    def lowered(self, point: Any, g: Any) -> Any:
        """The gradient by the entries, of one by the manifold's inner product."""
        g = self._vectors.embedded(point, g)
        if self._vectors.inner is None or self._is_by_entries(point):
            return g
        flat = np.asarray(g, np.float64)
        found = np.empty(flat.size)
        for k in range(flat.size):
            e = np.zeros(flat.size)
            e[k] = 1.0
            along = self.project(point, e.reshape(flat.shape))
            found[k] = self._inner(point, g, along)
        normal = flat - np.asarray(self.project(point, g))
        return found.reshape(flat.shape) + normal

    def _is_by_entries(self, point: Any) -> bool:
        """Whether the inner product is that of the entries."""
        if not isinstance(point, np.ndarray):
            return True
        rng = np.random.default_rng(0)
        u, w = rng.standard_normal((2, *point.shape))
        u, w = self.project(point, u), self.project(point, w)
        own, plain = self._inner(point, u, w), float(np.vdot(u, w))
        return abs(own - plain) <= BY_ENTRIES * float(np.linalg.norm(u) * np.linalg.norm(w))

    def _inner(self, point: Any, u: Any, w: Any) -> float:
        """The manifold's inner product of vectors by the entries."""
        return float(self._vectors.inner(point, self._own(point, u), self._own(point, w)))

    def raised(self, point: Any, slopes: Any) -> Any:
        """The gradient by the manifold's inner product, of slopes by the entries.

        Raises
        ------
        ValueError
        """
        if self._vectors.inner is None or self._is_by_entries(point):
            return slopes if self._vectors.embed is None else self._own(point, slopes)
        rows: list[Floats] = []
        shape = np.shape(slopes)
        for k in range(int(np.prod(shape))):
            e = np.zeros(int(np.prod(shape)))
            e[k] = 1.0
            rows.append(np.asarray(self.lowered(point, e.reshape(shape))).reshape(-1))
        found = np.linalg.lstsq(np.array(rows).T, np.asarray(slopes).reshape(-1), rcond=None)[0]
        return self.project(point, found.reshape(shape))
