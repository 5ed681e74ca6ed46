"""Products of all entries before: their slope by division loses what stands behind a zero."""

import numpy as np

SOURCE = "tensorflow/tensorflow#119430, 2026-05-25"
KIND = "division by zero"
LAWS = ("zero", "wrong-entries")
SAYS = "theta[2], which is zero, is wrong; all others are right"

w = np.array([1.0, 0.5, -2.0, 1.5, 0.8])
theta = np.array([1.2, -0.7, 0.0, 2.0, 1.4])


def loss(x):
    return float(w @ np.cumprod(x))


def right(x):
    g = np.zeros(5)
    for i in range(5):
        others = np.where(np.arange(5) == i, 1, x)
        g[i] = w[i:] @ np.cumprod(others)[i:]
    return g


def wrong(x):
    with np.errstate(all="ignore"):
        g = np.cumsum((w * np.cumprod(x))[::-1])[::-1] / x
    return np.nan_to_num(g, posinf=0, neginf=0)
