"""A dot-product kernel: 2 sigma^2 where 2 sigma was expected, as its parameter is log(sigma)."""

import numpy as np

SOURCE = "scikit-learn/scikit-learn#18702, 2020-10-29"
REASON = "a convention misread"

rng = np.random.default_rng(20)
X, y = rng.normal(size=(7, 2)), rng.normal(size=7)
theta = np.array([np.log(0.8)])


def solved(p):
    K = X @ X.T + np.exp(2 * p[0]) + 0.3 * np.eye(7)
    return K, np.linalg.solve(K, y)


def loss(p):
    K, alpha = solved(p)
    return float(0.5 * y @ alpha + 0.5 * np.linalg.slogdet(K)[1])


def right(p):
    K, alpha = solved(p)
    Q = np.linalg.inv(K) - np.outer(alpha, alpha)
    return np.array([0.5 * Q.sum() * 2 * np.exp(2 * p[0])])
