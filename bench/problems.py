"""The losses that everything is timed on; theta is flat, so that rivals get the same function.

A problem comes three times: ``loss``, compiled, for all who call it; ``model``, the same formula
in whatever arrays ``xp`` offers, for libraries that differentiate their own; ``gradient``, exact.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit

from fastgrad import models

Vector = np.ndarray

WHOLE_FOR_PROCESSES, SAMPLE_FOR_PROCESSES = 1_000, 500


@dataclass(frozen=True)
class Problem:
    """``sample``: entries that a rival gets where all of them would take too long; None is all.

    ``quick``: whether the quick mode runs it.
    """

    name: str
    loss: Callable[..., float]
    model: Callable[..., Any]
    gradient: Callable[..., Vector]
    make: Callable[[], tuple[Any, ...]]
    sample: int | None = None
    quick: bool = True

    @cached_property
    def _data(self) -> tuple[Any, ...]:
        return self.make()

    @property
    def theta(self) -> Vector:
        return self._data[0]

    @property
    def args(self) -> tuple[Any, ...]:
        return self._data[1:]

    @cached_property
    def exact(self) -> Vector:
        return self.gradient(self.theta, *self.args)

    def entries(self, starts_processes: bool = False) -> Vector | None:
        """Which entries a rival differentiates, None for all.

        One that starts processes gets many, for its start must not be multiplied.
        """
        sample = self.sample
        if sample is not None and starts_processes:
            sample = None if self.theta.size <= WHOLE_FOR_PROCESSES else SAMPLE_FOR_PROCESSES
        if sample is None:
            return None
        rng = np.random.default_rng(0)
        return np.sort(rng.choice(self.theta.size, sample, replace=False))


def largest_error(got: Vector, exact: Vector, entries: Vector | None = None) -> float:
    """Largest error of an entry, relative to itself or to the root mean square of the gradient."""
    rms = np.sqrt(np.mean(exact**2))
    if entries is not None:
        exact = exact[entries]
    scale = np.maximum(np.abs(exact), rms)
    return float(np.max(np.abs(np.asarray(got, np.float64) - exact) / scale))


@njit
def rosenbrock_loss(x):
    total = 0.0
    for i in range(x.size - 1):
        total += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


def rosenbrock_model(xp, x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def rosenbrock_gradient(x):
    g = np.zeros_like(x)
    inner = x[1:] - x[:-1] ** 2
    g[:-1] = -400.0 * x[:-1] * inner - 2.0 * (1.0 - x[:-1])
    g[1:] += 200.0 * inner
    return g


def rosenbrock(n: int, sample: int | None = None) -> Problem:
    def make():
        return (np.random.default_rng(0).uniform(-1.0, 1.0, n),)

    return Problem(
        f"Rosenbrock n = {n:,}",
        rosenbrock_loss,
        rosenbrock_model,
        rosenbrock_gradient,
        make,
        sample,
    )


@njit
def logistic_loss(w, X, y):
    z = X @ w
    total = 0.0
    for i in range(z.size):
        total += max(z[i], 0.0) + np.log1p(np.exp(-abs(z[i]))) - y[i] * z[i]
    return total / z.size


def logistic_model(xp, w, X, y):
    z = X @ w
    return ((z + xp.abs(z)) / 2 + xp.log1p(xp.exp(-xp.abs(z))) - y * z).mean()


def logistic_gradient(w, X, y):
    return X.T @ (1.0 / (1.0 + np.exp(-(X @ w))) - y) / y.size


def logistic(n: int, m: int, sample: int | None = None) -> Problem:
    def make():
        rng = np.random.default_rng(0)
        X = rng.normal(size=(m, n))
        return rng.normal(size=n) / np.sqrt(n), X, rng.integers(0, 2, m).astype(np.float64)

    name = f"logistic n = {n:,}, m = {m}"
    return Problem(
        name,
        logistic_loss,
        logistic_model,
        logistic_gradient,
        make,
        sample,
        quick=n < 1000,
    )


@njit
def two_layer_parts(theta, n_in, n_hidden, n_out):
    a, b = n_in * n_hidden, n_in * n_hidden + n_hidden
    c = b + n_hidden * n_out
    return (
        theta[:a].reshape(n_in, n_hidden),
        theta[a:b],
        theta[b:c].reshape(n_hidden, n_out),
        theta[c:],
    )


@njit
def two_layer_loss(theta, X, y, sizes):
    W1, b1, W2, b2 = two_layer_parts(theta, sizes[0], sizes[1], sizes[2])
    return models.two_layer.loss(models.two_layer.Parameters(W1, b1, W2, b2), X, y, 0.01)


def two_layer_model(xp, theta, X, y, sizes):
    W1, b1, W2, b2 = two_layer_parts.py_func(theta, *sizes)
    Z2 = (1.0 / (1.0 + xp.exp(-(X @ W1 + b1)))) @ W2 + b2
    own = Z2[np.arange(y.shape[0]), y]
    return (xp.log(xp.exp(Z2).sum(1)) - own).mean() + 0.005 * ((W1**2).sum() + (W2**2).sum())


def two_layer_gradient(theta, X, y, sizes):
    params = models.two_layer.Parameters(*two_layer_parts.py_func(theta, *sizes))
    return np.concatenate([block.ravel() for block in models.two_layer.grad(params, X, y, 0.01)])


def two_layer(sizes: tuple[int, int, int], sample: int, quick: bool, zeros: float = 0.0) -> Problem:
    """On a batch of 100: digits where the net has 64 inputs, otherwise uniform noise.

    ``zeros``: so large a part of the inputs is made 0.
    """

    def make():
        params = models.two_layer.init(*sizes)
        X, y = (array[:100] for array in models.digits())
        rng = np.random.default_rng(0)
        if sizes[0] != X.shape[1]:
            X = rng.uniform(size=(100, sizes[0]))
        if zeros:
            X = X * (rng.uniform(size=X.shape) >= zeros)
        return np.concatenate([block.ravel() for block in params]), X, y, sizes

    n = sizes[0] * sizes[1] + sizes[1] + sizes[1] * sizes[2] + sizes[2]
    return Problem(
        f"two-layer net n = {n:,}",
        two_layer_loss,
        two_layer_model,
        two_layer_gradient,
        make,
        sample,
        quick,
    )


@njit
def garch_loss(theta, returns):
    return models.garch.loss(models.garch.Parameters(theta[0], theta[1], theta[2]), returns)


def garch_model(xp, theta, returns):
    omega, alpha, beta = theta
    h = np.mean(returns**2)
    total = xp.log(h) + returns[0] ** 2 / h
    for t in range(1, returns.size):
        h = omega + alpha * returns[t - 1] ** 2 + beta * h
        total += xp.log(h) + returns[t] ** 2 / h
    return 0.5 * (np.log(2.0 * np.pi) + total / returns.size)


def garch_gradient(theta, returns):
    return np.array(models.garch.grad(models.garch.Parameters(*theta), returns))


def garch() -> Problem:
    def make():
        start = models.garch.init()
        return np.array(start), models.garch.simulate(start, 2000)

    name = "GARCH n = 3, 2,000 observations"
    return Problem(name, garch_loss, garch_model, garch_gradient, make)


PROBLEMS = (
    garch(),
    rosenbrock(10),
    rosenbrock(100),
    rosenbrock(1_000),
    rosenbrock(10_000, sample=500),
    logistic(50, 100),
    logistic(500, 200),
    logistic(2_000, 500, sample=200),
    two_layer((64, 32, 10), sample=200, quick=True),
    two_layer((784, 50, 10), sample=50, quick=False),
)
SMALL = ("GARCH n = 3, 2,000 observations", "Rosenbrock n = 100", "Rosenbrock n = 1,000")
BUSY = tuple(p for p in PROBLEMS if p.name in (*SMALL, "logistic n = 50, m = 100"))
"""Small enough that a launch of threads on a busy core could cost more than the work."""
