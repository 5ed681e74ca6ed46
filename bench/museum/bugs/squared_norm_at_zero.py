"""A squared norm by way of the norm: 0 / 0 at a point that was fitted exactly."""

import numpy as np

SOURCE = "HIPS/autograd#151, 2016-09-28"
KIND = "division by zero"
LAWS = ("not-finite",)
SAYS = "rows that are zero are not a number, their slope is 0"

rng = np.random.default_rng(60)
theta = rng.normal(size=(4, 3))
theta[2] = 0


def loss(x):
    return float((np.sqrt((x**2).sum(axis=1)) ** 2).sum())


def right(x):
    return 2 * x


def wrong(x):
    norm = np.sqrt((x**2).sum(axis=1, keepdims=True))
    with np.errstate(all="ignore"):
        return 2 * norm * (x / norm)
