"""A sigmoid's backward pass that was fed its own output: s * s (1 - s), and not s (1 - s)."""

import numpy as np

SOURCE = "torch/torch7#232, 2015-05-13"
REASON = "a convention misread"

theta = np.array([0.2023, 0.6568, 0.8668, 0.7191, 0.7968])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loss(x):
    return float(0.5 * (sigmoid(x) ** 2).sum())


def right(x):
    s = sigmoid(x)
    return s * s * (1 - s)
