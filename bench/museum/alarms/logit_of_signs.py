"""The likelihood of a logit has q = 2 y - 1, its score has not: they belong together all the same."""

import numpy as np

SOURCE = "statsmodels/statsmodels#3782, 2017-06-25"
REASON = "a convention misread"

rng = np.random.default_rng(29)
X, y = np.c_[np.ones(25), rng.normal(size=(25, 2))], rng.integers(0, 2, 25)
theta = np.array([0.2, -0.5, 0.9])


def loss(b):
    q = 2 * y - 1
    return float(-np.log1p(np.exp(-q * (X @ b))).sum())


def right(b):
    return X.T @ (y - 1 / (1 + np.exp(-(X @ b))))
