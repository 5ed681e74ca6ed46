"""A tiny autograd engine: calling backward again adds to what the last call left."""

import numpy as np

SOURCE = "karpathy/micrograd#53, 2023-10-13"
KIND = "stale cache"
LAWS = ("accumulates",)
SAYS = "two calls at one theta give two answers, the second larger: it accumulates"

theta = np.array([3.0, 2.0, -1.5])
total = np.zeros(3)


def loss(x):
    return float((x[0] + x[1]) * x[2] + x[0] ** 2)


def right(x):
    return np.array([x[2] + 2 * x[0], x[2], x[0] + x[1]])


def wrong(x):
    global total
    total = total + right(x)
    return total
