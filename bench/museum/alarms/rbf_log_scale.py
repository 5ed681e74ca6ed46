"""An RBF kernel: "it should be divided by the length scale once more", were it not for the logarithm."""

import numpy as np

SOURCE = "scikit-learn/scikit-learn#31366, 2025-05-15"
REASON = "a convention misread"

rng = np.random.default_rng(21)
X, y = rng.normal(size=(8, 2)), rng.normal(size=8)
R2 = (X[:, None] - X) ** 2
theta = np.log([0.9, 1.4])


def kernel(p):
    return np.exp(-0.5 * (R2 * np.exp(-2 * p)).sum(axis=2))


def loss(p):
    K = kernel(p) + 0.2 * np.eye(8)
    return float(0.5 * y @ np.linalg.solve(K, y) + 0.5 * np.linalg.slogdet(K)[1])


def right(p):
    K = kernel(p)
    inverse = np.linalg.inv(K + 0.2 * np.eye(8))
    alpha = inverse @ y
    Q = inverse - np.outer(alpha, alpha)
    return 0.5 * np.einsum("ij,ij,ijk->k", Q, K, R2) * np.exp(-2 * p)
