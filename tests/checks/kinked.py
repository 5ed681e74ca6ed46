"""Losses at kinks, with the gradients that frameworks give there: one function a kind, by a generator.

Ties are made by small whole numbers, dead units by zero columns. ``TIED`` have a mask of all that is
tied as well, which is no subgradient.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Kinked(NamedTuple):
    loss: Callable[[np.ndarray], float]
    gradient: np.ndarray
    theta: np.ndarray
    mask: np.ndarray | None = None
    """The slope given to each of all ties; it differs from the gradient where there are any."""


def relu(Z):
    return np.maximum(Z, 0)


def dead_units(rng, rows, columns):
    """Weights of which some columns are zero: every sample is at a kink there."""
    return rng.normal(size=(rows, columns)) * (rng.random(columns) < 0.5)


def relu_net(rng):
    n, d, h, k = rng.integers(2, 6), rng.integers(2, 5), rng.integers(2, 5), rng.integers(1, 3)
    X, V, W = rng.normal(size=(n, d)), rng.normal(size=(h, k)), dead_units(rng, d, h)
    right = X.T @ ((relu(X @ W) @ V - 1) @ V.T * (X @ W > 0))
    return Kinked(lambda W: float(0.5 * ((relu(X @ W) @ V - 1) ** 2).sum()), right, W)


def weighted_relus(rng):
    n, d, h = rng.integers(2, 6), rng.integers(2, 5), rng.integers(2, 5)
    X, c, W = np.abs(rng.normal(size=(n, d))), rng.normal(size=(n, h)), dead_units(rng, d, h)
    return Kinked(lambda W: float((c * relu(X @ W)).sum()), X.T @ (c * (X @ W > 0)), W)


def leaky_relus(rng):
    n, d, h = rng.integers(2, 6), rng.integers(2, 5), rng.integers(2, 5)
    X, c, W = rng.normal(size=(n, d)), rng.normal(size=(n, h)), dead_units(rng, d, h)
    right = X.T @ (c * np.where(X @ W > 0, 1, 0.1))
    return Kinked(lambda W: float((c * np.where(X @ W > 0, X @ W, 0.1 * X @ W)).sum()), right, W)


def two_layers_of_relus(rng):
    X, v = rng.normal(size=(4, 3)), rng.normal(size=3)
    A, B = rng.normal(size=(3, 3)), dead_units(rng, 3, 3)

    def loss(t):
        return float((relu(relu(X @ t[:9].reshape(3, 3)) @ t[9:].reshape(3, 3)) @ v).sum())

    H = relu(X @ A)
    back = v * (H @ B > 0)
    right = np.r_[(X.T @ (back @ B.T * (X @ A > 0))).ravel(), (H.T @ back).ravel()]
    return Kinked(loss, right, np.r_[A.ravel(), B.ravel()])


def lasso(rng):
    w, s = rng.normal(size=12) * (rng.random(12) < 0.5), rng.choice([-1, 1], 12)
    s = s * rng.uniform(0.3, 2, 12)
    return Kinked(lambda w: float(s @ np.abs(w) + (w**2).sum()), s * np.sign(w) + 2 * w, w)


def group_lasso(rng):
    W = dead_units(rng, 3, 4).T
    norms = np.sqrt((W**2).sum(1, keepdims=True))
    right = np.where(norms > 0, W / np.where(norms > 0, norms, 1), 0)
    return Kinked(lambda W: float(np.sqrt((W**2).sum(1)).sum()), right, W)


def total_variation(rng):
    x = rng.integers(0, 3, 12).astype(float)
    d = np.sign(np.diff(x))
    right = np.r_[0, d] - np.r_[d, 0] + 0.2 * x
    return Kinked(lambda x: float(np.abs(np.diff(x)).sum() + 0.1 * (x**2).sum()), right, x)


def hinges(rng):
    S, y, n = rng.integers(-2, 3, size=(5, 4)).astype(float), rng.integers(0, 4, 5), np.arange(5)

    def margins(S):
        M = S - S[n, y][:, None] + 1
        M[n, y] = 0
        return M

    G = (margins(S) > 0) * 1.0
    G[n, y] = -G.sum(1)
    return Kinked(lambda S: float(relu(margins(S)).sum()), G, S)


def largest_of_rows(rng):
    x, c, n = rng.integers(0, 3, size=(6, 4)).astype(float), rng.uniform(0.5, 2, 6), np.arange(6)
    first = np.zeros_like(x)
    first[n, x.argmax(1)] = c
    mask = c[:, None] * (x == x.max(1, keepdims=True))
    return Kinked(lambda x: float(c @ x.max(1)), first, x, mask)


def largest_of_rows_shared(rng):
    made = largest_of_rows(rng)
    ties = made.mask > 0
    return made._replace(gradient=made.mask / ties.sum(1, keepdims=True))


def largest_three(rng):
    x = rng.integers(0, 3, 8).astype(float)
    order = np.argsort(-x, kind="stable")
    first = np.zeros(8)
    first[order[:3]] = 1
    return Kinked(lambda x: float(np.sort(x)[-3:].sum()), first, x, (x >= x[order[2]]) * 1.0)


def largest_size(rng):
    x = rng.integers(-2, 3, 8).astype(float)
    size, first = np.abs(x), np.zeros(8)
    first[size.argmax()] = np.sign(x[size.argmax()])
    return Kinked(lambda x: float(np.abs(x).max()), first, x, np.sign(x) * (size == size.max()))


def span(rng):
    x, g = rng.integers(0, 3, 8).astype(float), np.zeros(8)
    g[x.argmax()] += 1
    g[x.argmin()] -= 1
    mask = (x == x.max()) * 1.0 - (x == x.min())
    return Kinked(lambda x: float(x.max() - x.min()), g, x, mask)


TIED = (largest_of_rows, largest_of_rows_shared, largest_three, largest_size, span)
KINKED = (
    relu_net,
    weighted_relus,
    leaky_relus,
    two_layers_of_relus,
    lasso,
    group_lasso,
    total_variation,
    hinges,
    *TIED,
)
