"""GloVe in one loop: vectors take their step before the next pair's gradient is computed with them."""

import numpy as np

SOURCE = "hans/glove.py#6, 2019-05-02"
KIND = "in-place change"
LAWS = ("not-rotation-free",)
SAYS = "vectors of words in several pairs are wrong, those of the first pair right"

rng = np.random.default_rng(53)
PAIRS = [(0, 1, 1.2), (1, 2, 0.3), (2, 3, 2.0), (0, 3, 0.7), (4, 5, 1.1)]
theta = rng.normal(size=(6, 3))
RATE = 0.1


def loss(W):
    return float(sum(0.5 * (W[i] @ W[j] - x) ** 2 for i, j, x in PAIRS))


def descended(W, rate):
    V, g = W.copy(), np.zeros_like(W)
    for i, j, x in PAIRS:
        r = V[i] @ V[j] - x
        di, dj = r * V[j], r * V[i]
        g[i] += di
        g[j] += dj
        V[i] -= rate * di
        V[j] -= rate * dj
    return g


def right(W):
    return descended(W, 0)


def wrong(W):
    return descended(W, RATE)
