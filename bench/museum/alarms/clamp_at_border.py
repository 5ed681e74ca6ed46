"""Clamp at its own border: a gradient of 0 there, where 1 was expected, is a subgradient too."""

import numpy as np

SOURCE = "pytorch/pytorch#7002, 2018-04-26"
REASON = "kinks"

theta = np.array([0.0, 0.4, 1.0, -0.3])
C = np.array([2.0, 1.0, -1.5, 0.6])


def loss(x):
    return float(C @ np.clip(x, 0, 1))


def right(x):
    return C * ((x > 0) & (x < 1))
