"""Max pooling with padding: the backward pass looks for the maximum in x without its padding."""

import numpy as np

SOURCE = "ddbourgin/numpy-ml b0359af layers.py Pool2D, 2026-11-30"
KIND = "padding and borders"
LAWS = ("permuted",)
SAYS = "right values in wrong places: windows are taken one to the right"

rng = np.random.default_rng(39)
C = rng.normal(size=4)
theta = rng.normal(size=6)
WINDOW, PAD = 2, 1


def loss(x):
    padded = np.pad(x, PAD, constant_values=-9)
    return float(sum(c * padded[2 * k : 2 * k + WINDOW].max() for k, c in enumerate(C)))


def backward(x, seen):
    g = np.zeros(x.size + 2 * PAD)
    for k, c in enumerate(C):
        window = seen[2 * k : 2 * k + WINDOW]
        if window.size:
            g[2 * k + window.argmax()] += c
    return g[PAD:-PAD]


def right(x):
    return backward(x, np.pad(x, PAD, constant_values=-9))


def wrong(x):
    return backward(x, x)
