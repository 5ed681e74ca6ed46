"""Linear regression by least squares.

J = 1/(2m) ||X w + b - y||^2 + penalty(w).

The gradient is 1/m X^T (X w + b - y), the residual times the inputs: C. M. Bishop, *Pattern
Recognition and Machine Learning* (2006), section 3.1.1, sum of squares (3.12) and its gradient
(3.13), here divided by the number m of examples.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from fastgrad.models._changes import entry_penalty
from fastgrad.models._terms import Floats, gaussian, penalty, penalty_grad
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
def loss(params: Parameters, X: Floats, y: Floats, l2: float = 0.0, l1: float = 0.0) -> float:
    """Half the mean squared residual plus (l2 / 2) ||w||^2 + l1 sum|w|.

    Parameters
    ----------
    params : Parameters
    X : ndarray, shape (m, n_in)
    y : ndarray, shape (m,)
        Targets.
    l2, l1 : float
        Weights of the penalties; the intercept bears none.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.models import linear
    >>> X = np.array([[1.0], [2.0]])
    >>> y = np.array([3.0, 6.0])
    >>> linear.loss(linear.Parameters(w=np.array([2.0]), b=0.0), X, y)  # residuals -1 and -2
    1.25
    """
    residual = X @ params.w + params.b - y
    squares: float = np.dot(residual, residual)
    return 0.5 * squares / y.size + penalty(params.w, l2, l1)


@njit(cache=True)
def grad(params: Parameters, X: Floats, y: Floats, l2: float = 0.0, l1: float = 0.0) -> Parameters:
    """Gradient of `loss`, with its arguments."""
    delta = (X @ params.w + params.b - y) / y.size  # (m,)
    return Parameters(w=X.T @ delta + penalty_grad(params.w, l2, l1), b=delta.sum())


@njit(cache=True)
def example_losses(Z: Floats, X: Floats, y: Floats, l2: float = 0.0, l1: float = 0.0) -> Floats:
    """Half the squared residual of every example."""
    return 0.5 * (Z[:, 0] - y) ** 2


layered = Layered(loss, [("w", "b")], example_losses, penalty=entry_penalty)
register(loss, lambda: layered)
