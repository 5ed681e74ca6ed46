"""A Hamming kernel: derivatives by the length scales, where the parameters are their logarithms."""

import numpy as np

SOURCE = "scikit-optimize/scikit-optimize#330, 2017-03-08"
KIND = "wrong variable"
LAWS = ("change-of-variables",)
SAYS = "the derivative by exp(theta), not by theta"

rng = np.random.default_rng(5)
X = rng.integers(0, 3, size=(9, 3))
DIFFER = (X[:, None] != X).astype(float)
y = rng.normal(size=9)
theta = np.log([0.7, 1.6, 0.4])


def kernel(p):
    return np.exp(-(DIFFER * np.exp(p)).sum(axis=2))


def loss(p):
    return float(y @ np.linalg.solve(kernel(p) + 0.1 * np.eye(9), y))


def by_scale(p):
    K = kernel(p)
    alpha = np.linalg.solve(K + 0.1 * np.eye(9), y)
    return np.einsum("i,j,ij,ijk->k", alpha, alpha, K, DIFFER)


def right(p):
    return by_scale(p) * np.exp(p)


def wrong(p):
    return by_scale(p)
