"""Clip's backward pass returns what flows in, not 1: that is what it should do."""

import numpy as np

SOURCE = "PaddlePaddle/Paddle#12597, 2018-08-08"
REASON = "a convention misread"

rng = np.random.default_rng(17)
theta = rng.normal(size=9)


def loss(x):
    return float((np.clip(x, -0.8, 0.8) ** 2).sum())


def right(x):
    y = np.clip(x, -0.8, 0.8)
    return np.where((y > -0.8) & (y < 0.8), 2 * y, 0)
