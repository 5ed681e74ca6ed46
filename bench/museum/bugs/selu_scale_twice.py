"""SELU: its derivative on the left is f + scale alpha; scale (f + alpha) was returned."""

import numpy as np

SOURCE = "mlpack/mlpack#1540, 2018-10-20"
KIND = "wrong activation derivative"
LAWS = ("branch",)
SAYS = "wrong where x < 0, right elsewhere"

rng = np.random.default_rng(32)
SCALE, ALPHA = 1.0507, 1.6733
C = rng.normal(size=12)
theta = rng.normal(size=12)


def selu(x):
    return SCALE * np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0)))


def loss(x):
    return float((C * selu(x)).sum())


def right(x):
    return C * np.where(x > 0, SCALE, selu(x) + SCALE * ALPHA)


def wrong(x):
    return C * np.where(x > 0, SCALE, SCALE * (selu(x) + ALPHA))
