"""The net on the digits that several stories share: loss and backprop in NumPy, and wrong gradients."""

import numpy as np

from fastgrad.models.two_layer import Parameters

L2 = 0.01


def numpy_loss(params: Parameters, X: np.ndarray, y: np.ndarray, l2: float) -> float:
    """`two_layer.loss` in plain NumPy."""
    A1 = 1 / (1 + np.exp(-(X @ params.W1 + params.b1)))
    Z2 = A1 @ params.W2 + params.b2
    Z2 = Z2 - Z2.max(axis=1, keepdims=True)
    log_likelihood = Z2[np.arange(y.size), y] - np.log(np.exp(Z2).sum(axis=1))
    penalty = l2 / 2 * ((params.W1**2).sum() + (params.W2**2).sum())
    return float(penalty - log_likelihood.mean())


def backprop(params: Parameters, X: np.ndarray, y: np.ndarray, l2: float) -> Parameters:
    """The gradient of `two_layer.loss`, as people derive it by hand."""
    A1 = 1 / (1 + np.exp(-(X @ params.W1 + params.b1)))
    Z2 = A1 @ params.W2 + params.b2
    delta2 = np.exp(Z2 - Z2.max(axis=1, keepdims=True))
    delta2 /= delta2.sum(axis=1, keepdims=True)
    delta2[np.arange(y.size), y] -= 1
    delta2 /= y.size
    delta1 = (delta2 @ params.W2.T) * A1 * (1 - A1)
    return Parameters(
        X.T @ delta1 + l2 * params.W1, delta1.sum(0), A1.T @ delta2 + l2 * params.W2, delta2.sum(0)
    )


def without_l2_in_w2(params: Parameters, X: np.ndarray, y: np.ndarray, l2: float) -> Parameters:
    """`backprop` as somebody wrote it who forgot a term."""
    gradient = backprop(params, X, y, l2)
    return gradient._replace(W2=gradient.W2 - l2 * params.W2)


def with_three_bugs(params: Parameters, X: np.ndarray, y: np.ndarray, l2: float) -> Parameters:
    """Three entries with the wrong sign, a bias doubled, a regulariser forgotten."""
    gradient = without_l2_in_w2(params, X, y, l2)
    W1 = gradient.W1.copy()
    for entry in ((3, 77), (29, 4321), (60, 12_000)):
        W1[entry] *= -1
    return gradient._replace(W1=W1, b1=2 * gradient.b1)
