"""Descent of a regression on made data, by whatever gradient is given."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.commands.demos.descent import batches
from fastgrad.models import logistic

M, N = 200, 4
RATE = 0.05
NOISE = 0.1


def data(model: Any, seed: int = 0) -> tuple[Floats, np.ndarray, Floats]:
    """X, y and the weights that made them: y = X w + noise, or a coin of odds exp(X w)."""
    rng = np.random.default_rng(seed)
    X, w = rng.standard_normal((M, N)), rng.standard_normal(N)
    if model is logistic:
        return X, (rng.random(M) < 1 / (1 + np.exp(-X @ w))).astype(np.int64), w
    return X, X @ w + NOISE * rng.standard_normal(M), w


def regressed(model: Any, gradient: Callable[..., Any], size: int, epochs: int) -> float:
    """The loss on all data after some epochs of SGD with batches of ``size``."""
    X, y, _ = data(model)
    params = model.init(N)
    rng = np.random.default_rng(1)
    for _ in range(epochs):
        for batch in batches(rng, M, size):
            g = gradient(params, X[batch], y[batch])
            params = model.Parameters(params.w - RATE * g.w, float(params.b - RATE * g.b))
    return float(model.loss(params, X, y))
