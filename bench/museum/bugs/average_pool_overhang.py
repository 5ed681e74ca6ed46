"""Average pooling with ceil_mode: a last window that overhangs is divided by the whole kernel."""

import numpy as np

SOURCE = "pytorch/pytorch#198119, 2026-09-22"
KIND = "padding and borders"
LAWS = ("scale", "wrong-range", "line-scale", "wrong-entries")
SAYS = "the last two entries are 2/3 of what they should be"

rng = np.random.default_rng(11)
KERNEL, STRIDE, N = 3, 3, 8
starts = range(0, N, STRIDE)
C = rng.normal(size=3)
theta = rng.normal(size=N)


def loss(x):
    return float(sum(c * np.tanh(x[s : s + KERNEL].mean()) for c, s in zip(C, starts, strict=True)))


def backward(x, whole):
    g = np.zeros(N)
    for c, s in zip(C, starts, strict=True):
        window = x[s : s + KERNEL]
        share = c * (1 - np.tanh(window.mean()) ** 2) / (KERNEL if whole else window.size)
        g[s : s + KERNEL] += share
    return g


def right(x):
    return backward(x, whole=False)


def wrong(x):
    return backward(x, whole=True)
