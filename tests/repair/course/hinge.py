"""The multiclass hinge loss in loops, compiled: a linear classifier of image courses."""

import numpy as np
from numba import njit


@njit
def loss(W, X, y, reg):
    total = 0.0
    for i in range(X.shape[0]):
        scores = X[i] @ W
        for j in range(W.shape[1]):
            if j != y[i]:
                total += max(0.0, scores[j] - scores[y[i]] + 1.0)
    return total / X.shape[0] + reg * (W * W).sum()


@njit
def grad(W, X, y, reg):
    dW = np.zeros(W.shape)
    for i in range(X.shape[0]):
        scores = X[i] @ W
        correct = scores[y[i]]
        for j in range(W.shape[1]):
            if j == y[i]:
                continue
            margin = scores[j] - correct + 1.0
            if margin > 0:
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    dW /= X.shape[0]
    dW += 2 * reg * W
    return dW


def example(seed):
    rng = np.random.default_rng(seed)
    n = 12 + seed
    X = rng.normal(size=(n, 4))
    return rng.normal(size=(4, 3)), (X, rng.integers(0, 3, n), 0.1 + 0.05 * rng.random())
