"""A recurrence with a memory: the loss reads the last memory too, and that path is not followed."""

import numpy as np

SOURCE = "deeplearning4j/deeplearning4j#8838, 2020-04-15"
KIND = "recurrences and truncation"
LAWS = ("another-loss",)
SAYS = "the part of the loss that reads the last cell state has no gradient"

rng = np.random.default_rng(10)
X, A, B = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), rng.normal(size=2)
theta = rng.normal(size=(3, 2))


def cells(W):
    found = [np.zeros(2)]
    for x in X:
        found.append(0.7 * found[-1] + np.tanh(x @ W))
    return found[1:]


def loss(W):
    return float((A * np.tanh(cells(W))).sum() + B @ cells(W)[-1])


def backward(W, dc):
    g = np.zeros_like(W)
    for t in (3, 2, 1, 0):
        dc = dc + A[t] * (1 - np.tanh(cells(W)[t]) ** 2)
        g += np.outer(X[t], dc * (1 - np.tanh(X[t] @ W) ** 2))
        dc = 0.7 * dc
    return g


def right(W):
    return backward(W, B)


def wrong(W):
    return backward(W, np.zeros(2))
