"""Losses with exact gradients, smooth and not, well and badly scaled: what the verdict is tried on.

`correct_problems` makes (name, loss, gradient, theta, args), with the gradient right everywhere.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from fastgrad import models

SIGMOID, TANH, RELU, ABS = range(4)


class Problem(NamedTuple):
    name: str
    loss: Callable[..., float]
    grad: Callable[..., Any]
    theta: Any
    args: tuple[Any, ...]


class Net(NamedTuple):
    W1: np.ndarray
    b1: np.ndarray
    W2: np.ndarray
    b2: np.ndarray


@njit(cache=True)
def act(z, kind):
    if kind == SIGMOID:
        return 1.0 / (1.0 + np.exp(-z))
    if kind == TANH:
        return np.tanh(z)
    if kind == RELU:
        return max(z, 0.0)
    return abs(z)


@njit(cache=True)
def act_slope(z, kind):
    if kind == SIGMOID:
        s = 1.0 / (1.0 + np.exp(-z))
        return s * (1.0 - s)
    if kind == TANH:
        return 1.0 - np.tanh(z) ** 2
    if kind == RELU:
        return 1.0 if z > 0 else 0.0
    return np.sign(z)


@njit(cache=True)
def net_loss(p, X, T, kind, l1, scale, offset):
    """scale (1/(2m) ||f(X) - T||^2 + l1 sum |W|) + offset, with one hidden layer of any kind."""
    Z = X @ p.W1 + p.b1
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] = act(Z[i, j], kind)
    R = Z @ p.W2 + p.b2 - T
    penalty = np.abs(p.W1).sum() + np.abs(p.W2).sum()
    return scale * (0.5 * (R * R).sum() / X.shape[0] + l1 * penalty) + offset


def net_grad(p, X, T, kind, l1, scale, offset):
    Z = X @ p.W1 + p.b1
    A = np.vectorize(act, otypes=[float])(Z, kind)
    R = (A @ p.W2 + p.b2 - T) / X.shape[0]
    back = (R @ p.W2.T) * np.vectorize(act_slope, otypes=[float])(Z, kind)
    return Net(
        scale * (X.T @ back + l1 * np.sign(p.W1)),
        scale * back.sum(axis=0),
        scale * (A.T @ R + l1 * np.sign(p.W2)),
        scale * R.sum(axis=0),
    )


def net(seed: int, n_in: int = 6, n_hidden: int = 8, n_out: int = 3, size: float = 1.0) -> Net:
    rng = np.random.default_rng(seed)
    return Net(
        size * rng.normal(size=(n_in, n_hidden)) / np.sqrt(n_in),
        size * 0.1 * rng.normal(size=n_hidden),
        size * rng.normal(size=(n_hidden, n_out)) / np.sqrt(n_hidden),
        size * 0.1 * rng.normal(size=n_out),
    )


def data(seed: int, m: int = 20, n_in: int = 6, n_out: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1000 + seed)
    return rng.normal(size=(m, n_in)), rng.normal(size=(m, n_out))


def net_problem(seed: int, kind: int, name: str, **changes: Any) -> Problem:
    options = {"l1": 0.0, "scale": 1.0, "offset": 0.0, **changes}
    theta = options.pop("theta", None)
    X, T = data(seed)
    args = (X, T, kind, options["l1"], options["scale"], options["offset"])
    return Problem(
        f"{name} {seed}", net_loss, net_grad, net(seed) if theta is None else theta, args
    )


@njit(cache=True)
def float32_loss(w, X, y):
    z = X.astype(np.float32) @ w.astype(np.float32)
    total = np.float32(0.0)
    for i in range(z.size):
        total += np.log1p(np.exp(-np.float32(y[i]) * z[i]))
    return total / np.float32(z.size)


def float32_grad(w, X, y):
    z = X @ w
    return -(X * (y / (1 + np.exp(y * z)))[:, None]).mean(axis=0)


@njit(cache=True)
def log_loss(x):
    return np.log(x).sum()


@njit(cache=True)
def quadratic(x, a):
    """sum a_i x_i^2: badly scaled by its coefficients."""
    return (a * x * x).sum()


@njit(cache=True)
def centred(x, b, y):
    """A bias before mean subtraction: its gradient is a true zero."""
    z = x + b
    z = z - z.mean()
    return (np.tanh(z) * y).sum()


def trained(problem: Problem, steps: int = 30, rate: float = 0.05) -> Problem:
    theta = problem.theta
    for _ in range(steps):
        gradient = problem.grad(theta, *problem.args)
        theta = Net(*(block - rate * g for block, g in zip(theta, gradient, strict=True)))
    return problem._replace(name=f"trained {problem.name}", theta=theta)


@njit(cache=True)
def shifted_loss(p, y):
    return centred(p.x, p.b, y)


def shifted_grad(p, y):
    z = p["x"] + p["b"]
    z = z - z.mean()
    g = (1 - np.tanh(z) ** 2) * y
    return {"x": g - g.mean(), "b": 0.0}


def net_problems(seed: int) -> Iterator[Problem]:
    """Nets of every activation, at initialisation, trained, at zero, at kinks, and badly scaled."""
    for kind, name in enumerate(("sigmoid", "tanh", "relu", "abs")):
        start = net_problem(seed, kind, name)
        yield start
        yield trained(start)
        yield net_problem(seed, kind, f"{name} l1", l1=0.01)
    zero = Net(*(np.zeros_like(block) for block in net(seed)))
    yield net_problem(seed, TANH, "tanh at zero", theta=zero)
    yield net_problem(seed, RELU, "relu at zero", theta=zero)
    yield net_problem(seed, TANH, "1e8 times", scale=1e8)
    yield net_problem(seed, TANH, "1e-8 times", scale=1e-8)
    yield net_problem(seed, TANH, "plus 1e8", offset=1e8)
    yield net_problem(seed, TANH, "tiny", theta=net(seed, size=1e-6))
    sparse = net(seed)
    sparse.W1[::2] = 0.0
    sparse.W2[:, ::2] = 0.0
    yield net_problem(seed, TANH, "l1 at zeros", theta=sparse, l1=0.01)


def other_problems(seed: int) -> Iterator[Problem]:
    """Losses that are no nets."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(50, 40))
    y = rng.choice([-1.0, 1.0], 50)
    w = rng.normal(size=40)
    yield Problem(f"float32 {seed}", float32_loss, float32_grad, w, (X, y))
    near_pole = 10.0 ** rng.uniform(-6, 0, 60)
    yield Problem(f"log {seed}", log_loss, lambda x: 1 / x, near_pole, ())
    a = 10.0 ** rng.uniform(-3, 3, 60)
    for size in (1e-6, 1.0, 1e6):
        x = size * rng.normal(size=60)
        yield Problem(f"quadratic {size:g} {seed}", quadratic, lambda x, a: 2 * a * x, x, (a,))
    theta = {"x": rng.normal(size=30), "b": 0.3}
    yield Problem(f"true zero {seed}", shifted_loss, shifted_grad, theta, (rng.normal(size=30),))


def model_problems(seed: int) -> Iterator[Problem]:
    """The reference models on real digits."""
    X, y = models.digits()
    X, y = X[seed * 50 : seed * 50 + 50], y[seed * 50 : seed * 50 + 50]
    binary, signs = (y % 2), 2 * (y % 2) - 1
    for l2, l1 in ((0.0, 0.0), (0.01, 0.001)):
        end = (l2, l1)
        cases = [
            (models.linear, models.linear.init(64, seed=seed), y.astype(float)),
            (models.logistic, models.logistic.init(64, seed=seed), binary),
            (models.svm, models.svm.init(64, seed=seed), signs),
            (models.softmax, models.softmax.init(64, 10, seed=seed), y),
            (models.two_layer, models.two_layer.init(64, 12, 10, seed=seed), y),
            (models.deep, models.deep.init((64, 10, 8, 10), seed=seed), y),
        ]
        for module, theta, labels in cases:
            name = f"{module.__name__.rpartition('.')[2]} {end} {seed}"
            yield Problem(name, module.loss, module.grad, theta, (X, labels, *end))
    returns = models.garch.simulate(models.garch.init(), 500, seed=seed)
    yield Problem(
        f"garch {seed}", models.garch.loss, models.garch.grad, models.garch.init(), (returns,)
    )


def correct_problems(seeds: range) -> Iterator[Problem]:
    for seed in seeds:
        yield from net_problems(seed)
        yield from other_problems(seed)
        yield from model_problems(seed)
