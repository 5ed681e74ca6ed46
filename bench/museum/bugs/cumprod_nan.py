"""The same by another hand: where an entry is zero the slope is 0 / 0."""

import numpy as np

SOURCE = "tracel-ai/burn#5141, 2026-07-08"
KIND = "division by zero"
LAWS = ("not-finite",)
SAYS = "x[1] is not a number"

theta = np.array([2.0, 0.0, 3.0, 4.0])


def loss(x):
    return float(np.cumprod(x).sum())


def right(x):
    g, tail = np.zeros(4), 0.0
    left = np.r_[1, np.cumprod(x)[:-1]]
    for i in (3, 2, 1, 0):
        tail = 1 + (x[i + 1] * tail if i < 3 else 0)
        g[i] = left[i] * tail
    return g


def wrong(x):
    with np.errstate(all="ignore"):
        return np.cumsum(np.cumprod(x)[::-1])[::-1] / x
