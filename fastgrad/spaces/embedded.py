"""Sets of arrays that are told by a projection: spheres, frames, simplices, symmetric matrices.

Retractions are of second order where that is cheap. Riemannian gradients are those of the inner product
of the entries, unless `spd(metric="affine")`; the others there are are readings.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats
from fastgrad.spaces.charts import Reading
from fastgrad.spaces.lie import require_array, require_small
from fastgrad.spaces.space import Space

AGREES = "read so, all of it agrees"


def _sym(w: Array) -> Array:
    return (w + np.swapaxes(w, -1, -2)) / 2


class Embedded(Space):
    """A set of arrays, with the projection onto its tangent spaces."""

    trusted = True
    for_arrays = True
    axes = 1
    """How many dimensions its points have at least."""

    def __init__(self, gradient: str = "riemannian"):
        super().__init__(self.moved, project=self.tangent, gradient=gradient)

    def tangent(self, p: Array, w: Array) -> Array:
        """The orthogonal projection of w onto the tangent space at p."""
        raise NotImplementedError

    def moved(self, p: Array, d: Array) -> Array:
        """p moved along d, d being tangent."""
        raise NotImplementedError

    def off(self, p: Array) -> Floats:
        """How far a point is off its set."""
        raise NotImplementedError

    said = ""
    """What is said of a point that is off its set."""

    def compiled(self, point: Any) -> Any:
        from fastgrad.spaces import retractions

        return getattr(retractions, self.title)

    def require(self, point: Any, name: str) -> None:
        p = require_array(point, (), (self.title, name))
        if p.ndim < self.axes:
            raise ValueError(
                f"{self.title}: {name} has shape {p.shape}: expected {self.axes} dimensions"
            )
        require_small(self.off(p), p, f"{self.title}: {self.said.format(name)}")


class Sphere(Embedded):
    """Arrays of norm 1."""

    title = "sphere"
    said = "the norm of {} differs from 1"

    def off(self, p: Array) -> Floats:
        return np.array([np.linalg.norm(p) - 1])

    def tangent(self, p: Array, w: Array) -> Array:
        return w - np.vdot(p, w) * p

    def moved(self, p: Array, d: Array) -> Array:
        made = p + d
        return np.asarray(made / np.linalg.norm(made), p.dtype)

    def dimension_at(self, point: Any) -> float:
        return float(point.size - 1)


class Oblique(Embedded):
    """Matrices whose columns have norm 1."""

    title = "oblique"
    said = "the norm of a column of {} differs from 1"
    axes = 2

    def off(self, p: Array) -> Floats:
        return np.asarray(np.linalg.norm(p, axis=-2) - 1)

    def tangent(self, p: Array, w: Array) -> Array:
        return np.asarray(w - p * (p * w).sum(axis=-2, keepdims=True))

    def moved(self, p: Array, d: Array) -> Array:
        made = p + d
        return np.asarray(made / np.linalg.norm(made, axis=-2, keepdims=True), p.dtype)

    def dimension_at(self, point: Any) -> float:
        return float(point.size - point.size // point.shape[-2])


class Stiefel(Embedded):
    """Matrices with orthonormal columns."""

    title = "stiefel"
    said = "the columns of {} are not orthonormal: X'X differs from 1"
    axes = 2
    spanning = False
    """Whether a frame stands for what it spans."""

    def compiled(self, point: Any) -> Any:
        from fastgrad.spaces import retractions

        return retractions.frames(self.spanning)

    def off(self, p: Array) -> Floats:
        return np.asarray(np.swapaxes(p, -1, -2) @ p - np.eye(p.shape[-1]))

    def tangent(self, p: Array, w: Array) -> Array:
        return w - p @ _sym(np.swapaxes(p, -1, -2) @ w)

    def moved(self, p: Array, d: Array) -> Array:
        # The polar factor of p + d, of second order: (p + d) (1 + d'd)^(-1/2).
        u, _, v = np.linalg.svd(p + d, full_matrices=False)
        return np.asarray(u @ v, p.dtype)

    def dimension_at(self, point: Any) -> float:
        n, k = point.shape[-2:]
        return float(point.size // (n * k) * (n * k - k * (k + 1) // 2))

    def readings(self, point: Any, slopes: Floats) -> Iterator[Reading]:
        g = slopes.reshape(point.shape)
        along = point @ (np.swapaxes(point, -1, -2) @ g)
        said = "it is the gradient of the canonical metric where the space has that of the entries"
        yield Reading("metric", f"{said}: {AGREES}", (g - along / 2).reshape(-1))


class Grassmann(Embedded):
    """Subspaces, as matrices with orthonormal columns that span them."""

    title = "grassmann"
    said = "the columns of {} are not orthonormal: X'X differs from 1"
    axes = 2
    spanning = True
    off = Stiefel.off
    moved = Stiefel.moved
    compiled = Stiefel.compiled

    def tangent(self, p: Array, w: Array) -> Array:
        return np.asarray(w - p @ (np.swapaxes(p, -1, -2) @ w))

    def dimension_at(self, point: Any) -> float:
        n, k = point.shape[-2:]
        return float(point.size // n * (n - k))


class Simplex(Embedded):
    """Positive numbers that sum to 1 along the last axis."""

    title = "simplex"
    said = "the sum of {} along its last axis differs from 1"

    def require(self, point: Any, name: str) -> None:
        super().require(point, name)
        if np.any(point <= 0):
            raise ValueError(
                f"simplex: {name} has an entry {float(point.min()):.6g}: expected positive numbers, as "
                "at a face a slope has one side"
            )

    def off(self, p: Array) -> Floats:
        return np.asarray(p.sum(axis=-1) - 1)

    def tangent(self, p: Array, w: Array) -> Array:
        return np.asarray(w - w.mean(axis=-1, keepdims=True))

    def moved(self, p: Array, d: Array) -> Array:
        rate = d / p
        made = p * np.exp(rate - rate.max(axis=-1, keepdims=True))  # finite, however far
        return np.asarray(made / made.sum(axis=-1, keepdims=True), p.dtype)

    def dimension_at(self, point: Any) -> float:
        return float(point.size - point.size // point.shape[-1])

    def readings(self, point: Any, slopes: Floats) -> Iterator[Reading]:
        g = slopes.reshape(point.shape) / point
        said = "it is the gradient of the Fisher metric where the space has that of the entries"
        yield Reading("metric", f"{said}: {AGREES}", self.tangent(point, g).reshape(-1))


class Symmetric(Embedded):
    """Symmetric matrices; both triangles move together."""

    title = "symmetric"
    said = "{} differs from its transpose"
    axes = 2

    def off(self, p: Array) -> Floats:
        return np.asarray((p - np.swapaxes(p, -1, -2)) / max(np.abs(p).max(initial=0.0), 1e-300))

    def tangent(self, p: Array, w: Array) -> Array:
        return _sym(w)

    def moved(self, p: Array, d: Array) -> Array:
        return p + d

    def dimension_at(self, point: Any) -> float:
        n = point.shape[-1]
        return float(point.size // n * (n + 1) / 2)

    def readings(self, point: Any, slopes: Floats) -> Iterator[Reading]:
        g = slopes.reshape(point.shape)
        diagonal = np.eye(point.shape[-1], dtype=np.bool_)
        pairs = (
            "it is by the entries of one triangle, each standing for two: twice off the diagonal"
        )
        for factor, said in ((0.5, pairs), (2.0, "it is half of the right one off the diagonal")):
            values = np.where(diagonal, g, factor * g)
            yield Reading(
                "off-diagonal", f"{said}: {AGREES}", values.reshape(-1), {"factor": 1 / factor}
            )
        lower, upper = np.tril(g), np.triu(g)
        for name, part, other in (("lower", lower, upper), ("upper", upper, lower)):
            if np.any(np.where(diagonal, 0.0, other)):
                continue
            said = f"it has its {name} triangle alone"
            both = part + np.swapaxes(part, -1, -2)
            doubled = f"{said}, each entry standing for two: {AGREES}"
            yield Reading("one-triangle", doubled, _sym(part).reshape(-1))
            single = f"{said}: mirrored, all of it agrees"
            yield Reading("one-triangle", single, np.where(diagonal, g, both).reshape(-1))


class Spd(Symmetric):
    """Symmetric positive definite matrices."""

    title = "spd"

    def __init__(self, gradient: str = "riemannian", metric: str = "entries"):
        if metric not in ("entries", "affine"):
            raise ValueError(f'metric={metric!r}: expected "entries" or "affine"')
        self.metric = metric
        super().__init__(gradient)

    def require(self, point: Any, name: str) -> None:
        super().require(point, name)
        least = float(np.linalg.eigvalsh(point.astype(np.float64)).min())
        if least <= 0:
            raise ValueError(
                f"spd: {name} has an eigenvalue {least:.6g}: expected positive ones, a positive "
                "definite matrix"
            )

    def moved(self, p: Array, d: Array) -> Array:
        # Of second order in the affine metric, and always positive definite.
        return np.asarray(p + d + _sym(d @ np.linalg.solve(p, d)) / 2, p.dtype)

    def lowered(self, point: Array, g: Array) -> Array:
        """The gradient by the entries, of one by the space's metric."""
        if self.metric == "entries":
            return g
        inverse = np.linalg.inv(point)
        return np.asarray(inverse @ g @ inverse)

    def raised(self, point: Array, slopes: Array) -> Array:
        """The gradient by the space's metric, of one by the entries."""
        return slopes if self.metric == "entries" else np.asarray(point @ slopes @ point)

    def readings(self, point: Any, slopes: Floats) -> Iterator[Reading]:
        yield from super().readings(point, slopes)
        g = slopes.reshape(point.shape)
        inverse = np.linalg.inv(point)
        names = {"entries": "the entries", "affine": "the affine-invariant metric"}
        other = "affine" if self.metric == "entries" else "entries"
        said = (
            f"it is the gradient of {names[other]} where the space has that of {names[self.metric]}"
        )
        read = inverse @ g @ inverse if other == "affine" else point @ g @ point
        yield Reading("metric", f"{said}: {AGREES}", _sym(read).reshape(-1))
