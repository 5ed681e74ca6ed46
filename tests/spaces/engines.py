"""Losses on spaces with hand-derived gradients: right ones, and the ones that people write."""

from typing import NamedTuple

import numpy as np

import fastgrad as fg
from fastgrad.spaces.lie import exp_rotation

inv = np.linalg.inv


class Case(NamedTuple):
    """A loss on a space at a point, with its right gradient, and wrong ones by the law they break."""

    name: str
    loss: object
    grad: object
    space: object
    point: object
    wrong: dict


def rotation_near(rng, n=()):
    return exp_rotation(rng.standard_normal((*n, 3)))


def pose_near(rng, n=()):
    T = np.zeros((*n, 4, 4))
    T[..., :3, :3], T[..., 3, 3] = rotation_near(rng, n), 1.0
    T[..., :3, 3] = rng.standard_normal((*n, 3))
    return T


def vee(M):
    return np.stack(
        [
            M[..., 2, 1] - M[..., 1, 2],
            M[..., 0, 2] - M[..., 2, 0],
            M[..., 1, 0] - M[..., 0, 1],
        ],
        axis=-1,
    )


def rotations(rng, side="right", n=(), coupled=False):
    """sum A (R - A)^2, by the entries 2 A (R - A)."""
    A = rng.standard_normal((*n, 3, 3))

    def loss(R):
        return (A * (R - A) ** 2).sum()

    def euclidean(R):
        return 2 * A * (R - A)

    def grad(R):
        M = np.swapaxes(R, -1, -2) @ euclidean(R)
        return vee(M) if side == "right" else vee(euclidean(R) @ np.swapaxes(R, -1, -2))

    def turned(R):
        g, turn = grad(R), R if side == "right" else np.swapaxes(R, -1, -2)
        return np.einsum("...ij,...j->...i", turn, g)

    def transposed(R):
        return np.einsum(
            "...ij,...j->...i", R @ R if side == "left" else np.swapaxes(R @ R, -1, -2), grad(R)
        )

    wrong = {
        "frame": turned,
        "frame ": transposed,
        "degrees": lambda R: np.pi / 180 * grad(R),
        "degrees ": lambda R: 180 / np.pi * grad(R),
        "sign": lambda R: -grad(R),
        "scale": lambda R: 0.5 * grad(R),
    }
    name = f"rotation {side} {n}"
    space = fg.spaces.rotation(side)
    return Case(name, loss, grad, space, rotation_near(rng, n), wrong)


def quaternions(rng, order="xyzw", side="right"):
    """|A R(q) p - z|^2 by the rotation of p."""
    p, z = rng.standard_normal((2, 3))
    q = rng.standard_normal(4)
    q /= np.linalg.norm(q)
    space = fg.spaces.quaternion(order, side)

    def turn(q):
        x, y, s, w = q if order == "xyzw" else np.roll(q, -1)
        v = np.array([x, y, s])
        t = 2 * np.cross(v, p)
        return p + w * t + np.cross(v, t)

    def loss(q):
        return ((turn(q) - z) ** 3).sum()

    def world(q):
        return np.cross(turn(q), 3 * (turn(q) - z) ** 2)

    def grad(q):
        R = space.rotations_at(q)
        return R.T @ world(q) if side == "right" else world(q)

    def other(q):
        R = space.rotations_at(q)
        return world(q) if side == "right" else R.T @ world(q)

    wrong = {
        "frame": other,
        "degrees": lambda q: np.pi / 180 * grad(q),
        "scale": lambda q: 2 * grad(q),
    }
    return Case(f"quaternion {order} {side}", loss, grad, space, q, wrong)


def poses(rng, side="right", order="wv", n=()):
    """sum (T p - z)^3 over poses."""
    p, z = rng.standard_normal((2, *n, 3))
    space = fg.spaces.pose(side, order)

    def moved(T):
        return np.einsum("...ij,...j->...i", T[..., :3, :3], p) + T[..., :3, 3]

    def loss(T):
        return ((moved(T) - z) ** 3).sum()

    def parts(T):
        force = 3 * (moved(T) - z) ** 2
        Rt = np.swapaxes(T[..., :3, :3], -1, -2)
        body = np.einsum("...ij,...j->...i", Rt, force)
        return (np.cross(p, body), body), (np.cross(moved(T), force), force)

    def joined(w, v):
        return np.concatenate([w, v] if order == "wv" else [v, w], axis=-1)

    def grad(T):
        return joined(*parts(T)[0 if side == "right" else 1])

    def mixed(T):
        body, world = parts(T)
        return joined(body[0], world[1])

    wrong = {
        "frame": lambda T: joined(*parts(T)[1 if side == "right" else 0]),
        "exchanged-halves": lambda T: np.roll(grad(T), 3, axis=-1),
        "degrees": lambda T: joined(
            *(np.array([np.pi / 180, 1])[k] * x for k, x in enumerate(_halves(grad(T), order)))
        ),
        "sign": lambda T: -grad(T),
    }
    if side == "right":
        wrong["frame "] = mixed
    return Case(f"pose {side} {order} {n}", loss, grad, space, pose_near(rng, n), wrong)


def _halves(g, order):
    return (g[..., :3], g[..., 3:]) if order == "wv" else (g[..., 3:], g[..., :3])


def embedded(rng, kind, k=2):
    """x' S x and its like, on a set of arrays."""
    n = 5
    S = rng.standard_normal((n, n))
    S = S @ S.T

    def loss(X):
        return np.sum(X * (S @ X)) + np.sum(X**3)

    def euclidean(X):
        return 2 * S @ X + 3 * X**2

    if kind == "sphere":
        X = rng.standard_normal(n)
        X /= np.linalg.norm(X)
    else:
        X, _ = np.linalg.qr(rng.standard_normal((n, k)))
        if kind == "oblique":
            X = rng.standard_normal((n, k))
            X /= np.linalg.norm(X, axis=0)
    space = getattr(fg.spaces, kind)()
    if kind == "grassmann":  # the loss is one of the subspace

        def loss(X):
            P = X @ X.T
            return np.sum(S * P) + np.sum(P**3)

        def euclidean(X):
            P = X @ X.T
            return 2 * (S + 3 * P**2) @ X

    def grad(X):
        return space.tangent(X, euclidean(X))

    def one_wrong(X):
        g = euclidean(X)
        g[(3,) if g.ndim == 1 else (3, 1)] += 0.7
        return space.tangent(X, g)

    wrong = {
        "normal-part": euclidean,
        "smeared": one_wrong,
        "sign": lambda X: -grad(X),
        "scale": lambda X: 2 * grad(X),
    }
    if kind == "grassmann":  # there the Euclidean gradient is tangent but for what X'G leaves
        wrong["normal-part"] = lambda X: euclidean(X)
    if kind == "stiefel":
        wrong["metric"] = lambda X: euclidean(X) - X @ euclidean(X).T @ X
    return Case(kind, loss, grad, space, X, wrong)


def simplices(rng):
    p = rng.random(6) + 0.2
    p /= p.sum()
    w = rng.standard_normal(6)

    def loss(p):
        return (w * p**2).sum() - np.log(p).sum()

    def euclidean(p):
        return 2 * w * p - 1 / p

    space = fg.spaces.simplex()

    def grad(p):
        return space.tangent(p, euclidean(p))

    def fisher(p):
        g = euclidean(p)
        return p * (g - p @ g)

    return Case("simplex", loss, grad, space, p, {"normal-part": euclidean, "metric": fisher})


def symmetrics(rng, kind="symmetric"):
    A = rng.standard_normal((4, 4))
    A = A + A.T
    B = rng.standard_normal((4, 4))
    P = B @ B.T + np.eye(4)

    def loss(P):
        return np.sum(A * (P @ P)) + np.linalg.slogdet(P)[1]

    def grad(P):
        return A @ P + P @ A + inv(P)

    def doubled(P):
        return 2 * grad(P) - np.diag(np.diag(grad(P)))

    wrong = {
        "off-diagonal": doubled,
        "off-diagonal ": lambda P: (grad(P) + np.diag(np.diag(grad(P)))) / 2,
        "one-triangle": lambda P: np.tril(doubled(P)),
        "one-triangle ": lambda P: np.triu(grad(P)),
        "sign": lambda P: -grad(P),
    }
    if kind == "spd":
        wrong["metric"] = lambda P: P @ grad(P) @ P
    if kind == "affine":
        space = fg.spaces.spd(metric="affine")
        wrong = {"metric": grad}
        return Case("spd affine", loss, lambda P: P @ grad(P) @ P, space, P, wrong)
    return Case(kind, loss, grad, getattr(fg.spaces, kind)(), P, wrong)


def complexes(rng, convention="steepest", shape=(5,)):
    B, C = (rng.standard_normal((2, shape[0], shape[0])) * [[[1]], [[1]]]).astype(complex)
    B = B + 1j * rng.standard_normal(B.shape)

    def loss(z):
        return (np.abs(B @ z) ** 2).sum() + (np.real(C @ z) ** 3).sum()

    def steepest(z):
        return 2 * B.conj().T @ (B @ z) + C.conj().T @ (3 * np.real(C @ z) ** 2)

    ways = {
        "steepest": steepest,
        "conjugate": lambda z: steepest(z).conj(),
        "wirtinger": lambda z: steepest(z).conj() / 2,
        "wirtinger conjugate": lambda z: steepest(z) / 2,
    }
    conjugate = {
        "steepest": "conjugate",
        "conjugate": "steepest",
        "wirtinger": "wirtinger conjugate",
        "wirtinger conjugate": "wirtinger",
    }[convention]
    wrong = {
        "conjugate" if name == conjugate else "convention" + " " * k: way
        for k, (name, way) in enumerate(ways.items())
        if name != convention
    }
    wrong["sign"] = lambda z: -ways[convention](z)
    space = None if convention == "steepest" else fg.spaces.complex(convention)
    z = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return Case(f"complex {convention} {shape}", loss, ways[convention], space, z, wrong)


def weighted(rng, kind="matrix"):
    n = 6
    A = rng.standard_normal((n, n))
    M = A @ A.T + np.eye(n) if kind == "matrix" else rng.random(n) + 0.5
    full = M if kind == "matrix" else np.diag(M)
    w = rng.standard_normal(n)

    def loss(x):
        return (w * x**3).sum()

    def derivative(x):
        return 3 * w * x**2

    wrong = {
        "without-weights": derivative,
        "weights-twice": lambda x: inv(full) @ inv(full) @ derivative(x),
        "weights-twice ": lambda x: full @ derivative(x),
    }
    right = lambda x: inv(full) @ derivative(x)  # noqa: E731
    return Case(f"inner {kind}", loss, right, fg.spaces.inner(M), rng.standard_normal(n), wrong)


CASES = {
    "rotation right": lambda rng: rotations(rng),
    "rotation left": lambda rng: rotations(rng, "left"),
    "rotations": lambda rng: rotations(rng, n=(3,)),
    "quaternion": lambda rng: quaternions(rng),
    "quaternion wxyz": lambda rng: quaternions(rng, "wxyz", "left"),
    "pose": lambda rng: poses(rng),
    "pose left": lambda rng: poses(rng, "left"),
    "poses vw": lambda rng: poses(rng, "right", "vw", (2,)),
    "sphere": lambda rng: embedded(rng, "sphere"),
    "oblique": lambda rng: embedded(rng, "oblique"),
    "stiefel": lambda rng: embedded(rng, "stiefel"),
    "grassmann": lambda rng: embedded(rng, "grassmann"),
    "simplex": simplices,
    "symmetric": symmetrics,
    "spd": lambda rng: symmetrics(rng, "spd"),
    "spd affine": lambda rng: symmetrics(rng, "affine"),
    "complex": complexes,
    "complex conjugate": lambda rng: complexes(rng, "conjugate", (3, 2)),
    "complex wirtinger": lambda rng: complexes(rng, "wirtinger"),
    "complex wirtinger conjugate": lambda rng: complexes(rng, "wirtinger conjugate"),
    "inner matrix": weighted,
    "inner weights": lambda rng: weighted(rng, "weights"),
}
