"""The product of a row divided by each entry: not a number where that entry is zero."""

import numpy as np

SOURCE = "tinygrad/tinygrad#17404, 2026-08-05"
KIND = "division by zero"
LAWS = ("not-finite",)
SAYS = "the entry that is zero is not a number, it should be the product of the others"

theta = np.array([[0.0, 2.0, 3.0], [1.5, -1.0, 0.5]])
w = np.array([1.0, 0.7])


def loss(x):
    return float(w @ x.prod(axis=1))


def right(x):
    g = np.zeros_like(x)
    for j in range(3):
        g[:, j] = w * np.delete(x, j, axis=1).prod(axis=1)
    return g


def wrong(x):
    with np.errstate(all="ignore"):
        return (w * x.prod(axis=1))[:, None] / x
