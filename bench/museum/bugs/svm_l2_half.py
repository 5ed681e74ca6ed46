"""A linear SVM: the penalty reg * sum(W^2) got the gradient reg * W."""

import numpy as np

SOURCE = "jingtinghuang/CS231n-Spring-2017#3, 2018-07-27"
KIND = "missing term"
LAWS = ("missing-l2",)
SAYS = "half of the L2 term is missing"

rng = np.random.default_rng(6)
X, y, REG = rng.normal(size=(20, 5)), rng.integers(0, 3, 20), 0.3
theta = rng.normal(size=(5, 3)) / 3


def margins(W):
    S = X @ W
    M = S - S[np.arange(20), y][:, None] + 1
    M[np.arange(20), y] = 0
    return np.maximum(M, 0)


def loss(W):
    return float(margins(W).sum() / 20 + REG * (W**2).sum())


def data_part(W):
    D = (margins(W) > 0).astype(float)
    D[np.arange(20), y] = -D.sum(axis=1)
    return X.T @ D / 20


def right(W):
    return data_part(W) + 2 * REG * W


def wrong(W):
    return data_part(W) + REG * W
