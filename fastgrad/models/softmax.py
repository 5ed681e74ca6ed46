"""Softmax regression (multinomial logistic regression).

Z = X W + b,  P = softmax(Z), one row an example;  J = -1/m sum_i log P[i, y_i] + penalty(W).

The gradient is 1/m X^T (P - T), T the labels one-hot: C. M. Bishop, *Pattern Recognition and
Machine Learning* (2006), section 4.3.4, softmax (4.104), cross-entropy (4.108), gradient (4.109).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from fastgrad.models._changes import entry_penalty
from fastgrad.models._terms import (
    Floats,
    Labels,
    column_sums,
    cross_entropies,
    cross_entropy,
    cross_entropy_grad,
    gaussian,
    penalty,
    penalty_grad,
)
from fastgrad.structured import Layered, register


class Parameters(NamedTuple):
    """Weights `W` of shape (n_in, n_out) and biases `b` of shape (n_out,)."""

    W: Floats
    b: Floats


def init(n_in: int, n_out: int, seed: int = 0) -> Parameters:
    """Draw the weights and the biases from N(0, 1 / n_in)."""
    rng = np.random.default_rng(seed)
    return Parameters(W=gaussian(rng, n_in, n_in, n_out), b=gaussian(rng, n_in, n_out))


@njit(cache=True)
def loss(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> float:
    """Mean cross-entropy plus (l2 / 2) ||W||^2 + l1 sum|W|.

    Parameters
    ----------
    params : Parameters
    X : ndarray, shape (m, n_in)
    y : ndarray of int, shape (m,)
        Labels 0 to n_out - 1, which are not checked.
    l2, l1 : float
        Weights of the penalties; the biases bear none.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.models import softmax
    >>> params = softmax.Parameters(W=np.zeros((2, 10)), b=np.zeros(10))
    >>> value = softmax.loss(params, np.eye(2), np.array([3, 7]))
    >>> bool(np.isclose(value, np.log(10.0)))  # an even guess among ten costs log 10
    True
    """
    return cross_entropy(X @ params.W + params.b, y) + penalty(params.W, l2, l1)


@njit(cache=True)
def grad(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> Parameters:
    """Gradient of `loss`, with its arguments."""
    delta = cross_entropy_grad(X @ params.W + params.b, y)  # (m, n_out), (P - T) / m
    return Parameters(W=X.T @ delta + penalty_grad(params.W, l2, l1), b=column_sums(delta))


@njit(cache=True)
def example_losses(Z: Floats, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> Floats:
    """The cross-entropy of every example."""
    return cross_entropies(Z, y)


layered = Layered(loss, [("W", "b")], example_losses, penalty=entry_penalty)
register(loss, lambda: layered)
