"""Descent of a net on the digits by whatever gradient is given, and the accuracy that it reaches."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fastgrad.commands.demos.optimisers import Optimiser
from fastgrad.models import digits, two_layer
from fastgrad.models.two_layer import Parameters

HIDDEN = 32
BATCH = 64
L2 = 1e-4
TRAINED_ON = 1400
"""Digits to train on, of 1,797; the others tell the accuracy."""


def train(
    gradient: Callable[..., Parameters], optimiser: Optimiser, epochs: int, seed: int = 0
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
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        for batch in batches(rng, y.size, BATCH):
            g = gradient(params, X[batch], y[batch], L2)
            change = step(np.concatenate([block.ravel() for block in g]))
            ends = np.cumsum([block.size for block in params])
            parts = np.split(change, ends[:-1])
            params = Parameters(
                *(block + d.reshape(block.shape) for block, d in zip(params, parts, strict=True))
            )
    return params


def batches(rng: np.random.Generator, m: int, size: int) -> Iterator[NDArray[np.int64]]:
    """One epoch: all of m examples once, in random order, ``size`` at a time."""
    order = rng.permutation(m)
    for start in range(0, m, size):
        yield order[start : start + size]


def accuracy(params: Parameters) -> float:
    """Part of the digits not trained on that a net classifies rightly."""
    X, y = digits()
    X, y = X[TRAINED_ON:], y[TRAINED_ON:]
    A1 = 1 / (1 + np.exp(-(X @ params.W1 + params.b1)))
    guesses = (A1 @ params.W2 + params.b2).argmax(axis=1)
    return float(np.mean(guesses == y))
