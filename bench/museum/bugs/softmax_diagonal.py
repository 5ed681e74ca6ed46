"""Softmax: its Jacobian's diagonal alone, s (1 - s), where the rest is -s_i s_j."""

import numpy as np

SOURCE = "deeplearning4j/libnd4j#440, 2017-08-24"
KIND = "softmax and attention"
LAWS = ("softmax-diagonal", "not-shift-free")
SAYS = "softmax does not change when all its inputs are shifted; the gradient says it does"

rng = np.random.default_rng(3)
C = rng.normal(size=(5, 4))
theta = rng.normal(size=(5, 4))


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def loss(x):
    return float((C * softmax(x)).sum())


def right(x):
    s = softmax(x)
    return s * (C - (C * s).sum(axis=1, keepdims=True))


def wrong(x):
    s = softmax(x)
    return s * (1 - s) * C
