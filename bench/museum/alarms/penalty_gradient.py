"""The gradient of an L2 penalty, taken for its value: gamma * beta is right."""

import numpy as np

SOURCE = "ddbourgin/numpy-ml#26, 2019-07-14"
REASON = "a convention misread"

rng = np.random.default_rng(30)
X, y, GAMMA = rng.normal(size=(20, 3)), rng.integers(0, 2, 20), 0.4
theta = rng.normal(size=3)


def loss(b):
    z = X @ b
    return float((np.log1p(np.exp(z)) - y * z).sum() / 20 + GAMMA / 2 * (b @ b) / 20)


def right(b):
    return (X.T @ (1 / (1 + np.exp(-X @ b)) - y) + GAMMA * b) / 20
