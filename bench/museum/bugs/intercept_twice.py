"""Ridge regression: the step of all weights takes the intercept along, which then gets its own."""

import numpy as np

SOURCE = "trekhleb/homemade-machine-learning 7510d8e linear_regression.py, 2026-11-30"
KIND = "shared parameters"
LAWS = ("wrong-entries",)
SAYS = "theta[0] is wrong: twice its slope, and a penalty"

rng = np.random.default_rng(63)
X, y, L2 = np.c_[np.ones(15), rng.normal(size=(15, 4))], rng.normal(size=15), 2.0
theta = rng.normal(size=5)


def loss(w):
    return float((((X @ w - y) ** 2).sum() + L2 * (w[1:] @ w[1:])) / 30)


def right(w):
    return (X.T @ (X @ w - y) + L2 * np.r_[0, w[1:]]) / 15


def wrong(w):
    """What one step takes off, over its rate."""
    g = (X.T @ (X @ w - y) + L2 * w) / 15
    g[0] += X[:, 0] @ (X @ w - y) / 15
    return g
