"""A maximum whose gradient goes to all entries that are close to it, by a tolerance of 0.01."""

import numpy as np

SOURCE = "mni-ml/framework#22, 2026-04-04"
KIND = "pooling and ties"
LAWS = ("spurious", "masked", "wrong-entries")
SAYS = "entries near the maximum have D = 0, the gradient is not"

theta = np.array([[1.0, 0.995, 0.2], [0.3, 0.304, -1.0], [2.0, 1.0, 0.5], [0.1, 0.7, 0.9]])
C = np.array([1.0, -0.6, 2.0, 0.4])


def loss(x):
    return float(C @ x.max(axis=1) ** 2)


def masked(x, mask):
    return 2 * (C * x.max(axis=1))[:, None] * mask


def right(x):
    return masked(x, x == x.max(axis=1, keepdims=True))


def wrong(x):
    return masked(x, np.abs(x - x.max(axis=1, keepdims=True)) < 1e-2)
