"""A cell of gates in float32: with 20 and more inputs the check fails, with 5 it passes."""

import numpy as np

SOURCE = "chainer/chainer#3046, 2017-07-21"
REASON = "float32"

f4 = np.float32
rng = np.random.default_rng(1)
W, U, C = (rng.normal(size=(20, 20)).astype(f4) / 4 for _ in range(3))
theta = rng.normal(size=(2, 20)).astype(f4)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loss(x):
    x = x.astype(f4)
    return float((C[:2] * sigmoid(x @ W) * np.tanh(x @ U)).sum(dtype=f4))


def right(x):
    x = x.astype(float)
    s, t = sigmoid(x @ W), np.tanh(x @ U)
    return (C[:2] * s * (1 - s) * t) @ W.T + (C[:2] * s * (1 - t**2)) @ U.T
