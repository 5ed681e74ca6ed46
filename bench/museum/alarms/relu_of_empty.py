"""ReLU of a tensor that was allocated and not filled, zeros for the most part: 0.5 beside 1."""

import numpy as np

SOURCE = "pytorch/pytorch#114234, 2023-11-21"
REASON = "kinks"

theta = np.zeros((4, 4))
theta[1, 2], theta[3, 0] = 1.5, -0.7


def loss(x):
    return float(np.maximum(x, 0).sum())


def right(x):
    return (x >= 0).astype(float)
