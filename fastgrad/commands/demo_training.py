"""Training by numerical gradients alone, beside backprop: a part of ``fastgrad demo``."""

import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastgrad.gradient import grad
from fastgrad.models import digits, two_layer
from fastgrad.models.two_layer import Parameters

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Optimiser: TypeAlias = Callable[[int], Callable[[Floats], Floats]]
"""``optimiser(n)`` is a function from a gradient to the step to take, for n parameters."""

HIDDEN = 32
BATCH = 64
EPOCHS = 40
L2 = 1e-4
TRAINED_ON = 1400
"""Digits to train on, of 1,797; the others tell the accuracy."""


def sgd(n: int, rate: float = 0.5) -> Callable[[Floats], Floats]:
    """Stochastic gradient descent (Robbins and Monro, 1951): -rate g."""
    return lambda g: -rate * g


def momentum(n: int, rate: float = 0.1, kept: float = 0.9) -> Callable[[Floats], Floats]:
    """Heavy ball (Polyak, 1964): v <- kept v - rate g, step v."""
    v = np.zeros(n)

    def step(g: Floats) -> Floats:
        v[:] = kept * v - rate * g
        return v

    return step


def adam(
    n: int, rate: float = 0.01, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> Callable[[Floats], Floats]:
    """Adam (Kingma and Ba, 2015), algorithm 1."""
    m, v, t = np.zeros(n), np.zeros(n), 0

    def step(g: Floats) -> Floats:
        nonlocal t
        t += 1
        m[:] = beta1 * m + (1 - beta1) * g
        v[:] = beta2 * v + (1 - beta2) * g**2
        return -rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)

    return step


OPTIMISERS: dict[str, Optimiser] = {"SGD": sgd, "momentum": momentum, "Adam": adam}


def train(
    gradient: Callable[..., Parameters], optimiser: Optimiser, epochs: int = EPOCHS, seed: int = 0
) -> Parameters:
    """W1, b1, W2, b2 of `two_layer` after some epochs of mini-batches of the digits.

    Parameters
    ----------
    gradient : callable
        ``gradient(params, X, y, l2) -> Parameters``, by whatever means.
    """
    X, y = digits()
    X, y = X[:TRAINED_ON], y[:TRAINED_ON]
    params = two_layer.init(X.shape[1], HIDDEN, 10, seed=seed)
    step = optimiser(sum(block.size for block in params))
    for batch in _batches(y.size, epochs, seed):
        g = gradient(params, X[batch], y[batch], L2)
        change = step(np.concatenate([block.ravel() for block in g]))
        ends = np.cumsum([block.size for block in params])
        parts = np.split(change, ends[:-1])
        params = Parameters(
            *(block + d.reshape(block.shape) for block, d in zip(params, parts, strict=True))
        )
    return params


def accuracy(params: Parameters) -> float:
    """Part of the digits not trained on that a net classifies rightly."""
    X, y = digits()
    X, y = X[TRAINED_ON:], y[TRAINED_ON:]
    A1 = 1 / (1 + np.exp(-(X @ params.W1 + params.b1)))
    guesses = (A1 @ params.W2 + params.b2).argmax(axis=1)
    return float(np.mean(guesses == y))


def run_training(say: Callable[[str], object]) -> None:
    """Train the same net three ways by numerical gradients, and by backprop beside them."""
    n = sum(block.size for block in two_layer.init(64, HIDDEN, 10))
    steps = EPOCHS * -(-TRAINED_ON // BATCH)
    say(
        f"Training W1, b1, W2, b2 of a 64-{HIDDEN}-10 net ({n:,} parameters) on {TRAINED_ON:,} "
        f"digits, {steps:,} mini-batches of {BATCH}:\n"
        "gradients by central differences of the loss alone, beside backprop.\n"
    )
    numerical = grad(two_layer.loss)
    for gradient in (numerical, two_layer.grad):
        train(gradient, sgd, epochs=1)  # compiles
    say(f" {'optimiser':<10} {'differences':>22} {'backprop':>22}")
    for name, optimiser in OPTIMISERS.items():
        cells = []
        for gradient in (numerical, two_layer.grad):
            began = time.perf_counter()
            params = train(gradient, optimiser)
            seconds = time.perf_counter() - began
            cells.append(f"{100 * accuracy(params):.1f}% in {seconds:.1f} s")
        say(f" {name:<10} {cells[0]:>22} {cells[1]:>22}")
    say(
        f"\nA plain loop would evaluate the loss {2 * n * steps:,} times for each line; the loss's "
        f"layered structure made it {2 * (HIDDEN + 10)} partial passes a mini-batch, certified "
        "against the plain loss."
    )


def _batches(m: int, epochs: int, seed: int) -> Iterator[NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(m)
        for start in range(0, m, BATCH):
            yield order[start : start + BATCH]
