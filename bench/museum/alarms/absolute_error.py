"""A gradient of 1e6, of which a checker reports the absolute error of its differences."""

import numpy as np

SOURCE = "scipy/scipy#7766, 2017-08-20"
REASON = "scales"

rng = np.random.default_rng(36)
X, y = 1e3 * rng.normal(size=(30, 4)), rng.normal(size=30)
theta = rng.normal(size=4)


def loss(w):
    return float(0.5 * ((X @ w - y) ** 2).sum())


def right(w):
    return X.T @ (X @ w - y)
