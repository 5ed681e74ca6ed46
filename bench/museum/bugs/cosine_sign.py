"""The cosine distance of sparse vectors: its gradient has the sign of the similarity's."""

import numpy as np

SOURCE = "davisidarta/topometry#24, 2025-09-06"
KIND = "kernels and distances"
LAWS = ("sign",)
SAYS = "every entry has the wrong sign"

y = np.array([0.5, 0.0, 1.2, 0.0, 0.3, 2.0])
theta = np.array([1.0, 0.7, 0.0, 0.4, 0.9, 1.1])


def loss(x):
    return float(1 - x @ y / np.sqrt((x @ x) * (y @ y)))


def right(x):
    xx, yy = x @ x, y @ y
    return (x * (x @ y) - y * xx) / (xx**1.5 * np.sqrt(yy))


def wrong(x):
    return -right(x)
