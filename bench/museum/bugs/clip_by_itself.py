"""clip(x, 0, x): where the bound is x itself, the slope is the bound's, and was left out."""

import numpy as np

SOURCE = "Theano/Theano#633, 2012-05-04"
KIND = "clipping"
LAWS = ("zero",)
SAYS = "the gradient is zero, the loss does depend on x"

rng = np.random.default_rng(19)
C = rng.normal(size=6)
theta = rng.uniform(1, 6, 6)


def loss(x):
    return float((C * np.clip(x, 0, x) ** 2).sum())


def right(x):
    return 2 * C * x


def wrong(x):
    return 2 * C * x * ((x > 0) & (x < x))
