"""A pose graph: poses of a robot in a loop, measured against each other; loss and gradient by hand."""

import numpy as np

from fastgrad.arrays import Array, Floats
from fastgrad.spaces import pose
from fastgrad.spaces.lie import exp_rotation

POSES = 24
DRIFT = 0.1
"""sd of the first guess, in radians and metres."""
NOISE = 0.01
"""sd of what is measured."""
CLOSURES = 4
"""Places that are seen again from the other side of the loop."""


def loop(seed: int = 0) -> tuple[Floats, Array, Floats]:
    """First guesses of the poses, pairs of them, and the relative poses that were measured."""
    rng = np.random.default_rng(seed)
    true = np.tile(np.eye(4), (POSES, 1, 1))
    angle = 2 * np.pi * np.arange(POSES) / POSES
    tilt = 0.2 * np.sin(3 * angle)
    true[:, :3, :3] = exp_rotation(np.stack([tilt, -tilt, angle + np.pi / 2], axis=1))
    true[:, :3, 3] = np.stack([3 * np.cos(angle), 3 * np.sin(angle), tilt], axis=1)
    following = [(k, (k + 1) % POSES) for k in range(POSES)]
    across = [(k, k + POSES // 2) for k in range(0, POSES // 2, POSES // 2 // CLOSURES)]
    edges = np.array(following + across)
    relative = np.linalg.inv(true[edges[:, 0]]) @ true[edges[:, 1]]
    move = pose().retract
    measured = move(relative, NOISE * rng.standard_normal((len(edges), 6)))
    return move(true, DRIFT * rng.standard_normal((POSES, 6))), edges, measured


def loss(T: Floats, edges: Array, measured: Floats) -> float:
    """Half of the squares of what measured relative poses and those of the guess differ by."""
    total = 0.0
    for k in range(edges.shape[0]):
        i, j = edges[k]
        for r in range(3):
            e = -measured[k, r, 3]
            for c in range(3):
                e += T[i, c, r] * (T[j, c, 3] - T[i, c, 3])
                q = -measured[k, r, c]
                for s in range(3):
                    q += T[i, s, r] * T[j, s, c]
                total += 0.5 * q * q
            total += 0.5 * e * e
    return total


def grad(T: Floats, edges: Array, measured: Floats) -> Floats:
    """Its gradient by v of T Exp(v), rotation first, shape (poses, 6)."""
    i, j = edges.T
    R, t = T[:, :3, :3], T[:, :3, 3]
    back = np.swapaxes(R[i], 1, 2)
    M, Q = measured[:, :3, :3], back @ R[j]
    d = turned(back, t[j] - t[i])
    e = d - measured[:, :3, 3]
    g = np.zeros((len(T), 6))
    np.add.at(g[:, :3], i, np.cross(e, d) - vee(Q @ np.swapaxes(M, 1, 2)))
    np.add.at(g[:, 3:], i, -e)
    np.add.at(g[:, :3], j, vee(np.swapaxes(M, 1, 2) @ Q))
    np.add.at(g[:, 3:], j, turned(np.swapaxes(Q, 1, 2), e))
    return g


def turned(R: Floats, v: Floats) -> Floats:
    """Vectors turned by as many rotations."""
    return np.asarray(np.einsum("kij,kj->ki", R, v))


def vee(A: Floats) -> Floats:
    """Slopes of -tr(A [w]) by w, shape (k, 3)."""
    parts = A[:, 2, 1] - A[:, 1, 2], A[:, 0, 2] - A[:, 2, 0], A[:, 1, 0] - A[:, 0, 1]
    return np.stack(parts, axis=1)
