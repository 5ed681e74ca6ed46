"""Logistic regression.

z = X w + b,  J = 1/m sum_i [log(1 + exp(z_i)) - y_i z_i] + penalty(w),  y_i in {0, 1}.

This is the cross-entropy -[y log p + (1 - y) log(1 - p)] with p = sigmoid(z), rewritten so that no
logarithm of 0 is taken. C. M. Bishop, *Pattern Recognition and Machine Learning* (2006), section
4.3.2: the cross-entropy (4.90) and its gradient X^T (p - y) (4.91), here divided by m.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from fastgrad.models._changes import entry_penalty
from fastgrad.models._terms import (
    Floats,
    Labels,
    gaussian,
    penalty,
    penalty_grad,
    sigmoid,
    softplus,
)
from fastgrad.structured import Layered, register


class Parameters(NamedTuple):
    """Weights `w` of shape (n_in,) and the intercept `b`."""

    w: Floats
    b: float


def init(n_in: int, seed: int = 0) -> Parameters:
    """Draw the weights and the intercept from N(0, 1 / n_in)."""
    rng = np.random.default_rng(seed)
    return Parameters(w=gaussian(rng, n_in, n_in), b=float(gaussian(rng, n_in)))


@njit(cache=True)
def loss(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> float:
    """Mean cross-entropy plus (l2 / 2) ||w||^2 + l1 sum|w|.

    Parameters
    ----------
    params : Parameters
    X : ndarray, shape (m, n_in)
    y : ndarray of int, shape (m,)
        Labels 0 and 1.
    l2, l1 : float
        Weights of the penalties; the intercept bears none.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.models import logistic
    >>> params = logistic.Parameters(w=np.zeros(2), b=0.0)
    >>> value = logistic.loss(params, np.eye(2), np.array([0, 1]))
    >>> bool(np.isclose(value, np.log(2.0)))  # an even guess costs log 2
    True
    """
    z = X @ params.w + params.b
    total: float = 0.0
    for i in range(z.size):
        total += softplus(z[i]) - y[i] * z[i]
    return total / z.size + penalty(params.w, l2, l1)


@njit(cache=True)
def grad(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> Parameters:
    """Gradient of `loss`, with its arguments."""
    delta = X @ params.w + params.b  # (m,)
    for i in range(delta.size):
        delta[i] = (sigmoid(delta[i]) - y[i]) / delta.size
    return Parameters(w=X.T @ delta + penalty_grad(params.w, l2, l1), b=delta.sum())


@njit(cache=True)
def example_losses(Z: Floats, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> Floats:
    """The cross-entropy of every example."""
    losses = np.empty(Z.shape[0])
    for i in range(losses.size):
        losses[i] = softplus(Z[i, 0]) - y[i] * Z[i, 0]
    return losses


layered = Layered(loss, [("w", "b")], example_losses, penalty=entry_penalty)
register(loss, lambda: layered)
