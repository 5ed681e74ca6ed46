"""A padding layer: its backward pass returned the input, not the gradient of the input."""

import numpy as np

SOURCE = "torch/nn#344, 2015-08-04"
KIND = "padding and borders"
LAWS = ("theta",)
SAYS = "the parameters themselves were returned"

rng = np.random.default_rng(12)
C = rng.normal(size=(5, 6))
theta = rng.normal(size=(3, 4))


def loss(x):
    return float((C * np.cos(np.pad(x, 1))).sum())


def right(x):
    return -(C * np.sin(np.pad(x, 1)))[1:-1, 1:-1]


def wrong(x):
    return x.copy()
