"""Gradients to check: correct, also at kinks, in float32, of mixed scales; and planted faults."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import njit

Vector = np.ndarray
N_IN, N_HIDDEN, N_OUT, BATCH = 6, 8, 3, 20
SPLIT = N_IN * N_HIDDEN
SIZE = SPLIT + N_HIDDEN * N_OUT
TANH, RELU, ABS = range(3)


class Checked(NamedTuple):
    """``rows``: the entries of one row, of which a fault may consist."""

    name: str
    kind: str
    loss: Callable[..., float]
    model: Callable[..., Any]
    gradient: Callable[..., Vector]
    theta: Vector
    args: tuple[Any, ...]
    rows: slice


@njit
def net_loss(w, X, T, kind, l1, scales):
    """A net of one hidden layer, without biases, of parameters w * scales."""
    p = w * scales
    Z = X @ p[:SPLIT].copy().reshape(N_IN, N_HIDDEN)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            z = Z[i, j]
            Z[i, j] = np.tanh(z) if kind == TANH else max(z, 0.0) if kind == RELU else abs(z)
    R = Z @ p[SPLIT:].copy().reshape(N_HIDDEN, N_OUT) - T
    return 0.5 * (R * R).sum() / X.shape[0] + l1 * np.abs(p).sum()


def net_model(xp, w, X, T, kind, l1, scales):
    p = w * scales
    Z = X @ p[:SPLIT].reshape(N_IN, N_HIDDEN)
    A = xp.tanh(Z) if kind == TANH else xp.maximum(Z, 0.0) if kind == RELU else xp.abs(Z)
    R = A @ p[SPLIT:].reshape(N_HIDDEN, N_OUT) - T
    return 0.5 * (R * R).sum() / X.shape[0] + l1 * xp.abs(p).sum()


def net_gradient(w, X, T, kind, l1, scales):
    p = w * scales
    W1, W2 = p[:SPLIT].reshape(N_IN, N_HIDDEN), p[SPLIT:].reshape(N_HIDDEN, N_OUT)
    Z = X @ W1
    A, slope = {
        TANH: (np.tanh(Z), 1 - np.tanh(Z) ** 2),
        RELU: (np.maximum(Z, 0.0), (Z > 0).astype(float)),
        ABS: (np.abs(Z), np.sign(Z)),
    }[kind]
    R = (A @ W2 - T) / X.shape[0]
    g = np.concatenate([(X.T @ ((R @ W2.T) * slope)).ravel(), (A.T @ R).ravel()])
    return scales * (g + l1 * np.sign(p))


@njit
def float32_loss(w, X, y):
    z = X.astype(np.float32) @ w.astype(np.float32)
    total = np.float32(0.0)
    for i in range(z.size):
        total += np.log1p(np.exp(-np.float32(y[i]) * z[i]))
    return float(total / np.float32(z.size))


def float32_model(xp, w, X, y):
    z = X.astype(np.float32) @ w.astype(np.float32)
    return xp.log1p(xp.exp(-y.astype(np.float32) * z)).mean()


def float32_gradient(w, X, y):
    return -(X * (y / (1 + np.exp(y * (X @ w))))[:, None]).mean(axis=0)


def correct(seeds: range) -> Iterator[Checked]:
    """Correct gradients; smooth, at kinks, float32 inside, and with entries of mixed scales."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        X, T = rng.normal(size=(BATCH, N_IN)), rng.normal(size=(BATCH, N_OUT))
        w, even = rng.normal(size=SIZE) / 2, np.ones(SIZE)
        sparse = np.where(rng.random(SIZE) < 0.3, 0.0, w)
        mixed = 10.0 ** rng.uniform(-3, 3, SIZE)
        row = slice(N_HIDDEN, 2 * N_HIDDEN)
        cases = [
            ("tanh", "smooth", w, (X, T, TANH, 0.0, even)),
            ("relu", "kinks", w, (X, T, RELU, 0.0, even)),
            ("abs", "kinks", w, (X, T, ABS, 0.0, even)),
            ("tanh, L1 at zeros", "kinks", sparse, (X, T, TANH, 0.01, even)),
            ("tanh, mixed scales", "mixed scales", w / mixed, (X, T, TANH, 0.0, mixed)),
        ]
        for name, kind, theta, args in cases:
            yield Checked(
                f"{name} {seed}", kind, net_loss, net_model, net_gradient, theta, args, row
            )
        X = rng.normal(size=(50, 40))
        args = (X, rng.choice([-1.0, 1.0], 50))
        w = rng.normal(size=40) / 4
        yield Checked(
            f"float32 {seed}",
            "float32",
            float32_loss,
            float32_model,
            float32_gradient,
            w,
            args,
            slice(8, 16),
        )


def largest(problem: Checked, g: Vector) -> int:
    """The largest entry of the row, but none at a kink, where a subgradient may differ."""
    size = np.where(problem.theta[problem.rows] == 0, 0.0, np.abs(g[problem.rows]))
    return problem.rows.start + int(np.argmax(size))


def scaled(factor: float, problem: Checked, g: Vector) -> Vector:
    return factor * g


def one_entry(problem: Checked, g: Vector) -> Vector:
    wrong = g.copy()
    wrong[largest(problem, g)] *= 1.01
    return wrong


def one_row(problem: Checked, g: Vector) -> Vector:
    wrong = g.copy()
    wrong[problem.rows] = 0.0
    return wrong


FAULTS: dict[str, Callable[[Checked, Vector], Vector]] = {
    "0.1% too large": partial(scaled, 1.001),
    "1% too large": partial(scaled, 1.01),
    "sign": partial(scaled, -1.0),
    "one entry 1% off": one_entry,
    "one row zero": one_row,
}
"""What is planted, as functions of the problem and its correct gradient."""
