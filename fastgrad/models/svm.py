"""Linear support vector machine with the hinge loss.

J = 1/m sum_i max(0, 1 - y_i (x_i w + b)) + penalty(w),  y_i in {-1, +1}.

The hinge has a kink where the margin y_i (x_i w + b) is 1. The subgradient takes 0 there, and
-y_i x_i where the margin is smaller: S. Shalev-Shwartz, Y. Singer, N. Srebro and A. Cotter,
"Pegasos: primal estimated sub-gradient solver for SVM", *Mathematical Programming* 127 (2011),
objective (1) and (2) and its sub-gradient in section 2; their lambda is `l2`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from fastgrad.models._changes import entry_penalty
from fastgrad.models._terms import Floats, Labels, gaussian, penalty, penalty_grad
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
    """Mean hinge loss plus (l2 / 2) ||w||^2 + l1 sum|w|.

    Parameters
    ----------
    params : Parameters
    X : ndarray, shape (m, n_in)
    y : ndarray of int, shape (m,)
        Labels -1 and +1.
    l2, l1 : float
        Weights of the penalties; the intercept bears none.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.models import svm
    >>> X = np.array([[0.5], [2.0], [3.0]])
    >>> y = np.array([1, 1, -1])
    >>> svm.loss(svm.Parameters(w=np.array([1.0]), b=0.0), X, y)  # hinges 0.5, 0 and 4
    1.5
    """
    scores = X @ params.w + params.b
    total: float = 0.0
    for i in range(scores.size):
        total += max(0.0, 1.0 - y[i] * scores[i])
    return total / scores.size + penalty(params.w, l2, l1)


@njit(cache=True)
def grad(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> Parameters:
    """Subgradient of `loss`, with its arguments; 0 for an example whose margin is exactly 1."""
    scores = X @ params.w + params.b
    delta = np.zeros(scores.size)
    for i in range(scores.size):
        if y[i] * scores[i] < 1.0:
            delta[i] = -y[i] / scores.size
    return Parameters(w=X.T @ delta + penalty_grad(params.w, l2, l1), b=delta.sum())


@njit(cache=True)
def example_losses(Z: Floats, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> Floats:
    """The hinge of every example."""
    losses = np.empty(Z.shape[0])
    for i in range(losses.size):
        losses[i] = max(0.0, 1.0 - y[i] * Z[i, 0])
    return losses


layered = Layered(loss, [("w", "b")], example_losses, penalty=entry_penalty)
register(loss, lambda: layered)
