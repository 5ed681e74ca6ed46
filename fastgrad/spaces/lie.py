"""Rotations, quaternions and poses: arrays of them, with coordinates in the body's or the world's frame.

The exponential of a rotation vector w is Rodrigues' formula, 1 + A [w] + B [w]^2 with A = sin t / t,
B = (1 - cos t) / t^2 and t = |w|; of a pose its translation is V v, V = 1 + B [w] + C [w]^2 with
C = (t - sin t) / t^3 (Sola, Deray and Atchuthan, arXiv 1812.01537, eqs. 132 and 174).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats, Indices
from fastgrad.spaces.points import precision_of
from fastgrad.spaces.space import Space

SIDES = ("right", "left")
ON_THE_SET = 2.0**22
"""Rounding units by which a rotation may have drifted: 1e-9 in float64, 0.5 in float32 capped below."""
LOOSEST = 1e-3
SERIES_BELOW = 0.1
"""Angles for which t - sin t cancels: four terms of its series are exact to 3e-16."""
W, V = ("wx", "wy", "wz"), ("vx", "vy", "vz")


def hat(w: Floats) -> Floats:
    """The matrices [w] with [w] x = w times x, shape (..., 3, 3)."""
    made = np.zeros((*w.shape, 3))
    made[..., 0, 1], made[..., 0, 2], made[..., 1, 2] = -w[..., 2], w[..., 1], -w[..., 0]
    return np.asarray(made - np.swapaxes(made, -1, -2))


def exp_rotation(w: Floats) -> Floats:
    """Rotation matrices of rotation vectors, shape (..., 3, 3)."""
    t = np.linalg.norm(w, axis=-1)[..., None, None]
    K = hat(w)
    A, B = np.sinc(t / np.pi), 0.5 * np.sinc(t / (2 * np.pi)) ** 2
    return np.asarray(np.eye(3) + A * K + B * (K @ K))


def translation_factor(w: Floats) -> Floats:
    """The matrices V of the exponential of a pose, shape (..., 3, 3)."""
    t = np.linalg.norm(w, axis=-1)[..., None, None]
    K = hat(w)
    B = 0.5 * np.sinc(t / (2 * np.pi)) ** 2
    small = t < SERIES_BELOW
    far = np.where(small, 1.0, t)
    s = t * t
    near = 1 / 6 - s / 120 + s * s / 5040 - s**3 / 362880
    C = np.where(small, near, (far - np.sin(far)) / far**3)
    return np.asarray(np.eye(3) + B * K + C * (K @ K))


def require_side(side: str) -> str:
    """Raise ValueError unless a frame is one there is."""
    if side not in SIDES:
        raise ValueError(
            f'side={side!r}: expected "right" (the body\'s frame) or "left" (the world\'s)'
        )
    return side


def require_array(point: Any, last: tuple[int, ...], what: tuple[str, str]) -> Array:
    """A point that is an array of real numbers, of this shape at last; TypeError or ValueError."""
    title, name = what
    if not isinstance(point, np.ndarray) or point.dtype.kind != "f":
        kind = getattr(point, "dtype", type(point).__name__)
        raise TypeError(f"{title}: {name} is {kind}: expected an array of real numbers")
    if point.shape[point.ndim - len(last) :] != last:
        shape = ", ".join(("...", *map(str, last)))
        raise ValueError(f"{title}: {name} has shape {point.shape}: expected ({shape})")
    return point


def require_small(off: Floats, point: Array, said: str) -> None:
    """Raise ValueError unless a point lies on its set, up to the rounding that it was made with."""
    most = min(ON_THE_SET * precision_of(point), LOOSEST)
    worst = float(np.abs(off).max(initial=0.0))
    if not worst <= most:
        raise ValueError(f"{said} by {worst:.2g}: expected a point on the set")


class Rotation(Space):
    """Rotation matrices, an array of shape (..., 3, 3): R Exp(w), or Exp(w) R on the left."""

    title = "rotation"
    trusted = True
    for_arrays = True
    one_unit = True

    def __init__(self, side: str = "right"):
        self.side = require_side(side)
        super().__init__(self._retract, 3, W)

    def shape_of(self, point: Any) -> tuple[int, ...]:
        return (*point.shape[:-2], 3)

    def require(self, point: Any, name: str) -> None:
        R = require_array(point, (3, 3), (self.title, name))
        require_orthogonal(R, name, self.title)

    def _retract(self, R: Array, w: Floats) -> Array:
        E = exp_rotation(w)
        moved = R @ E if self.side == "right" else E @ R
        return np.asarray(moved.astype(R.dtype, copy=False))

    def rotations_at(self, point: Any) -> Floats:
        """The rotations that take one frame to the other."""
        return np.asarray(point, np.float64)

    def compiled(self, point: Any) -> Any:
        from fastgrad.spaces import retractions

        return retractions.rotation(self.side)


def require_orthogonal(R: Array, name: str, title: str) -> None:
    """Raise ValueError unless matrices are rotations."""
    R = np.asarray(R, np.float64) if R.dtype == np.float64 else R
    off = np.swapaxes(R, -1, -2) @ R - np.eye(3)
    require_small(off, R, f"{title}: {name} is no rotation: R'R differs from 1")
    if np.any(np.linalg.det(R.astype(np.float64)) < 0):
        raise ValueError(f"{title}: {name} is a reflection: expected determinant 1, got -1")


class Quaternion(Space):
    """Unit quaternions, an array of shape (..., 4): q exp(w/2), or exp(w/2) q on the left."""

    title = "quaternion"
    trusted = True
    for_arrays = True
    one_unit = True

    def __init__(self, order: str = "xyzw", side: str = "right"):
        if order not in ("xyzw", "wxyz"):
            raise ValueError(f'order={order!r}: expected "xyzw" or "wxyz"')
        self.order_of_entries = order
        self.side = require_side(side)
        super().__init__(self._retract, 3, W)

    def shape_of(self, point: Any) -> tuple[int, ...]:
        return (*point.shape[:-1], 3)

    def require(self, point: Any, name: str) -> None:
        q = require_array(point, (4,), (self.title, name))
        off = np.linalg.norm(q, axis=-1) - 1
        require_small(off, q, f"{self.title}: the norm of {name} differs from 1")

    def _retract(self, q: Array, w: Floats) -> Array:
        first = self.order_of_entries == "wxyz"
        p = np.roll(q, -1, axis=-1) if first else q
        t = np.linalg.norm(w, axis=-1, keepdims=True)
        half = 0.5 * np.sinc(t / (2 * np.pi)) * w
        d = np.concatenate([half, np.cos(t / 2)], axis=-1)
        made = _product(p, d) if self.side == "right" else _product(d, p)
        made = np.roll(made, 1, axis=-1) if first else made
        return np.asarray(made.astype(q.dtype, copy=False))

    def rotations_at(self, point: Any) -> Floats:
        """The rotation matrices of quaternions."""
        q = np.asarray(point, np.float64)
        q = np.roll(q, -1, axis=-1) if self.order_of_entries == "wxyz" else q
        v, s = q[..., :3], q[..., 3, None, None]
        K = hat(v)
        return np.asarray(np.eye(3) + 2 * s * K + 2 * K @ K)

    def orders(self, gradient: Floats) -> Iterator[tuple[str, str, Floats]]:
        first = self.order_of_entries == "wxyz"
        own, other = ("first", "last") if first else ("last", "first")
        said = f"its real part is {other} where the space has it {own}: read so, all of it agrees"
        yield "exchanged-halves", said, np.roll(gradient, 1 if first else -1, axis=-1)

    def compiled(self, point: Any) -> Any:
        from fastgrad.spaces import retractions

        return retractions.quaternion(self.side, self.order_of_entries)


def _product(p: Array, q: Array) -> Array:
    """The product of quaternions, the real part last."""
    a, b, s, t = p[..., :3], q[..., :3], p[..., 3:], q[..., 3:]
    real = s * t - (a * b).sum(axis=-1, keepdims=True)
    return np.concatenate([s * b + t * a + np.cross(a, b), real], axis=-1)


class Pose(Space):
    """Poses, an array of shape (..., 4, 4): T Exp(v), or Exp(v) T on the left."""

    title = "pose"
    trusted = True
    for_arrays = True

    def __init__(self, side: str = "right", order: str = "wv"):
        if order not in ("wv", "vw"):
            raise ValueError(f'order={order!r}: expected "wv" (rotation first) or "vw"')
        self.side, self.order = require_side(side), order
        super().__init__(self._retract, 6, W + V if order == "wv" else V + W)

    def shape_of(self, point: Any) -> tuple[int, ...]:
        return (*point.shape[:-2], 6)

    def require(self, point: Any, name: str) -> None:
        T = require_array(point, (4, 4), (self.title, name))
        require_orthogonal(T[..., :3, :3], name, self.title)
        if np.any(T[..., 3, :] != np.array([0, 0, 0, 1])):
            raise ValueError(f"pose: the last row of {name} is {T[..., 3, :]}: expected 0, 0, 0, 1")

    def _retract(self, T: Array, x: Floats) -> Array:
        w, v = (x[..., :3], x[..., 3:]) if self.order == "wv" else (x[..., 3:], x[..., :3])
        E = exp_rotation(w)
        u = (translation_factor(w) @ v[..., None])[..., 0]
        R, t = T[..., :3, :3], T[..., :3, 3]
        made = T.copy()
        if self.side == "right":
            made[..., :3, :3], made[..., :3, 3] = R @ E, t + (R @ u[..., None])[..., 0]
        else:
            made[..., :3, :3], made[..., :3, 3] = E @ R, (E @ t[..., None])[..., 0] + u
        return made

    def rotations_at(self, point: Any) -> Floats:
        """The rotations of poses."""
        return np.asarray(point[..., :3, :3], np.float64)

    def translations_at(self, point: Any) -> Floats:
        """The translations of poses."""
        return np.asarray(point[..., :3, 3], np.float64)

    def units_at(self, point: Any) -> Floats:
        """Radians, and the size of the translation where that is small, a power of two."""
        size = float(np.abs(point[..., :3, 3]).max(initial=0.0))
        unit = 1.0 if size == 0.0 or size >= SMALL else 2.0 ** np.floor(np.log2(size))
        units = np.ones(self.shape_of(point))
        units[..., slice(3, 6) if self.order == "wv" else slice(0, 3)] = unit
        return units.reshape(-1)

    def kinds_at(self, point: Any) -> Indices:
        """Radians are 0, lengths 1."""
        kinds = np.repeat([0, 1] if self.order == "wv" else [1, 0], 3)
        return np.asarray(np.broadcast_to(kinds, self.shape_of(point)).reshape(-1))

    def compiled(self, point: Any) -> Any:
        from fastgrad.spaces import retractions

        return retractions.pose(self.side, self.order)


SMALL = 2.0**-6
"""Translations below it are of their own unit, as entries of a block are (`evaluate.units`)."""
