"""A net with one sigmoid hidden layer and softmax outputs, trained by cross-entropy.

Z1 = X W1 + b1,  A1 = sigmoid(Z1),  Z2 = A1 W2 + b2,  P = softmax(Z2), one row an example;
J = -1/m sum_i log P[i, y_i] + penalty(W1) + penalty(W2).

The gradient is error backpropagation: C. M. Bishop, *Pattern Recognition and Machine Learning*
(2006), sections 5.2 and 5.3.1, cross-entropy (5.24) of softmax outputs (5.25). With T the labels
one-hot, delta2 = (P - T) / m (5.54), delta1 = (delta2 W2^T) * sigmoid'(Z1) (5.56), and the
derivative by a weight is the error at its output times the activation at its input (5.53).
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from fastgrad.models._changes import (
    cross_entropy_change,
    entry_penalty,
    expm1,
    penalty_change,
    sigmoid_change,
)
from fastgrad.models._terms import (
    Floats,
    Labels,
    column_sums,
    cross_entropies,
    cross_entropy,
    cross_entropy_grad,
    gaussian,
    log_sum_exp,
    penalty,
    penalty_grad,
    sigmoid,
    sigmoid_layer,
)
from fastgrad.structured import Incremental, Layered, register


class Parameters(NamedTuple):
    """`W1` (n_in, n_hidden), `b1` (n_hidden,), `W2` (n_hidden, n_out), `b2` (n_out,)."""

    W1: Floats
    b1: Floats
    W2: Floats
    b2: Floats


def init(n_in: int, n_hidden: int, n_out: int, seed: int = 0) -> Parameters:
    """Draw the weights and the bias of a unit from N(0, 1 / its number of inputs)."""
    rng = np.random.default_rng(seed)
    return Parameters(
        W1=gaussian(rng, n_in, n_in, n_hidden),
        b1=gaussian(rng, n_in, n_hidden),
        W2=gaussian(rng, n_hidden, n_hidden, n_out),
        b2=gaussian(rng, n_hidden, n_out),
    )


@njit(cache=True)
def loss(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> float:
    """Mean cross-entropy plus (l2 / 2) ||W||^2 + l1 sum|W| over both weight matrices.

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
    >>> from fastgrad.models import two_layer
    >>> params = two_layer.init(4, 3, 2)._replace(W2=np.zeros((3, 2)), b2=np.zeros(2))
    >>> value = two_layer.loss(params, np.eye(4), np.array([0, 1, 1, 0]))
    >>> bool(np.isclose(value, np.log(2.0)))  # deaf outputs guess evenly
    True
    """
    A1 = sigmoid_layer(X, params.W1, params.b1)
    Z2 = A1 @ params.W2 + params.b2
    return cross_entropy(Z2, y) + penalty(params.W1, l2, l1) + penalty(params.W2, l2, l1)


@njit(cache=True)
def grad(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> Parameters:
    """Gradient of `loss`, with its arguments."""
    A1 = sigmoid_layer(X, params.W1, params.b1)  # (m, n_hidden)
    delta2 = cross_entropy_grad(A1 @ params.W2 + params.b2, y)  # (m, n_out)
    delta1 = (delta2 @ params.W2.T) * A1 * (1.0 - A1)  # (m, n_hidden)
    return Parameters(
        W1=X.T @ delta1 + penalty_grad(params.W1, l2, l1),
        b1=column_sums(delta1),
        W2=A1.T @ delta2 + penalty_grad(params.W2, l2, l1),
        b2=column_sums(delta2),
    )


class State(NamedTuple):
    """What the changes of the loss start from: X transposed, A1, and P = softmax(Z2)."""

    XT: Floats
    A1: Floats
    P: Floats


@njit(cache=True)
def prepare(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> State:
    """The `State` at some parameters."""
    A1 = sigmoid_layer(X, params.W1, params.b1)
    P = A1 @ params.W2 + params.b2
    for s in range(P.shape[0]):
        P[s] = np.exp(P[s] - log_sum_exp(P[s]))
    return State(X.T.copy(), A1, P)


@njit(cache=True)
def delta_W1(params, state, index, h, work, X, y, l2=0.0, l1=0.0):  # type: ignore[no-untyped-def]  # noqa: N802
    """Z1[s, j] grows by h X[s, i]; what A1[s, j] grows by goes to Z2[s] along W2[j]."""
    i, j = index
    total = 0.0
    for s in range(y.size):
        x = state.XT[i, s]
        if x != 0.0:
            dA = sigmoid_change(state.A1[s, j], h * x)
            total += cross_entropy_change(state.P, s, y[s], dA, params.W2, j)
    return total / y.size + penalty_change(params.W1[i, j], h, l2, l1)


@njit(cache=True)
def delta_b1(params, state, j, h, work, X, y, l2=0.0, l1=0.0):  # type: ignore[no-untyped-def]
    """Z1[s, j] grows by h."""
    total = 0.0
    for s in range(y.size):
        dA = sigmoid_change(state.A1[s, j], h)
        total += cross_entropy_change(state.P, s, y[s], dA, params.W2, j)
    return total / y.size


@njit(cache=True)
def delta_W2(params, state, index, h, work, X, y, l2=0.0, l1=0.0):  # type: ignore[no-untyped-def]  # noqa: N802
    """Z2[s, k] grows by h A1[s, j]."""
    j, k = index
    total = 0.0
    for s in range(y.size):
        dz = h * state.A1[s, j]
        total += math.log1p(state.P[s, k] * expm1(dz)) - (dz if y[s] == k else 0.0)
    return total / y.size + penalty_change(params.W2[j, k], h, l2, l1)


@njit(cache=True)
def delta_b2(params, state, k, h, work, X, y, l2=0.0, l1=0.0):  # type: ignore[no-untyped-def]
    """Z2[s, k] grows by h."""
    total = 0.0
    for s in range(y.size):
        total += math.log1p(state.P[s, k] * expm1(h)) - (h if y[s] == k else 0.0)
    return total / y.size


@njit(cache=True)
def example_losses(Z2: Floats, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> Floats:
    """The cross-entropy of every example."""
    return cross_entropies(Z2, y)


incremental = Incremental(
    loss, prepare, {"W1": delta_W1, "b1": delta_b1, "W2": delta_W2, "b2": delta_b2}
)
layered = Layered(
    loss,
    [("W1", "b1"), ("W2", "b2")],
    example_losses,
    activations=sigmoid,
    penalty=entry_penalty,
)
register(loss, lambda: layered)
