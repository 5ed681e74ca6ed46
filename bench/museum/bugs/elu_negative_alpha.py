"""ELU: its side is read from the result, and with alpha < 0 the result is positive on the left."""

import numpy as np

SOURCE = "pytorch/pytorch#47671, 2020-11-10"
KIND = "wrong activation derivative"
LAWS = ("branch", "factor-of-theta")
SAYS = "wrong where x < 0, right elsewhere"

rng = np.random.default_rng(31)
ALPHA, C = -2.0, rng.normal(size=12)
theta = rng.normal(size=12)


def elu(x):
    return np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0)))


def loss(x):
    return float((C * elu(x)).sum())


def right(x):
    return C * np.where(x > 0, 1, elu(x) + ALPHA)


def wrong(x):
    y = elu(x)
    return C * np.where(y > 0, 1, y + ALPHA)
