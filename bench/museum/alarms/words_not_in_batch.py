"""Vectors of words that are not in the batch: exactly 0 beside 1e-12."""

import numpy as np

SOURCE = "karpathy/neuraltalk#19, 2015-05-30"
REASON = "near-zero gradients"

rng = np.random.default_rng(15)
C = rng.normal(size=(3, 4))
theta = rng.normal(size=(6, 4))
USED = [0, 2, 5]


def loss(W):
    return float((C * np.tanh(W[USED])).sum())


def right(W):
    g = np.full_like(W, 1e-12)
    g[USED] = C * (1 - np.tanh(W[USED]) ** 2)
    return g
