"""A sigmoid under cross entropy: the error is output minus target, its derivative has cancelled."""

import numpy as np

SOURCE = "rasbt/python-machine-learning-book-2nd-edition#54, 2018-01-04"
REASON = "a convention misread"

rng = np.random.default_rng(24)
A, Y = rng.normal(size=(6, 4)), np.eye(3)[rng.integers(0, 3, 6)]
theta = rng.normal(size=(4, 3))


def loss(W):
    P = 1 / (1 + np.exp(-(A @ W)))
    return float(-(Y * np.log(P) + (1 - Y) * np.log(1 - P)).sum())


def right(W):
    return A.T @ (1 / (1 + np.exp(-(A @ W))) - Y)
