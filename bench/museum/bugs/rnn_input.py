"""A recurrent layer: the gradient in its input has the direct path alone, not that of later steps."""

import numpy as np

SOURCE = "eriklindernoren/ML-From-Scratch a2806c6 RNN, 2026-11-30"
KIND = "recurrences and truncation"
LAWS = ("wrong-range", "wrong-row")
SAYS = "the last time step is right, all before it are wrong: what flows back over time is missing"

rng = np.random.default_rng(41)
U, W, C = rng.normal(size=(3, 4)), rng.normal(size=(4, 4)) / 2, rng.normal(size=(5, 4))
theta = rng.normal(size=(5, 3))


def states(X):
    found = [np.zeros(4)]
    for x in X:
        found.append(np.tanh(x @ U + found[-1] @ W))
    return np.array(found[1:])


def loss(X):
    return float((C * states(X)).sum())


def backward(X, through):
    hs, g, d = states(X), np.zeros_like(X), np.zeros(4)
    for t in range(4, -1, -1):
        d = (C[t] + d) * (1 - hs[t] ** 2)
        g[t] = U @ d
        d = through * W @ d
    return g


def right(X):
    return backward(X, 1)


def wrong(X):
    return backward(X, 0)
