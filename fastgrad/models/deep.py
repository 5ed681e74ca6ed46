"""A net of any number of sigmoid layers with the quadratic cost.

a^0 = X,  z^l = a^(l-1) w^l + b^l,  a^l = sigmoid(z^l), one row an example;
C = 1/(2m) sum_i ||a^L_i - t_i||^2 + sum_l penalty(w^l), t_i the label y_i one-hot.

M. Nielsen, *Neural Networks and Deep Learning* (2015), chapter 2: the cost is equation (26), and
the gradient the four equations of backpropagation. His activations are columns and his w^l is the
transpose of ours; * is the entrywise product:

    delta^L = (a^L - t) / m * sigmoid'(z^L)                     (BP1)
    delta^l = (delta^(l+1) (w^(l+1))^T) * sigmoid'(z^l)         (BP2)
    dC/db^l = the sum of the rows of delta^l                    (BP3)
    dC/dw^l = (a^(l-1))^T delta^l                               (BP4)
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import overload

from fastgrad.models._terms import (
    Floats,
    Labels,
    column_sums,
    gaussian,
    penalty,
    penalty_grad,
    sigmoid_layer,
)


class Parameters(NamedTuple):
    """`weights[l]` of shape (sizes[l], sizes[l+1]) and `biases[l]` of shape (sizes[l+1],)."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]


def init(sizes: Sequence[int], seed: int = 0) -> Parameters:
    """Draw the weights and the bias of a unit from N(0, 1 / its number of inputs).

    Parameters
    ----------
    sizes : sequence of int
        Units of every layer, inputs first: (784, 30, 10) has one hidden layer.
    """
    rng = np.random.default_rng(seed)
    layers = list(pairwise(sizes))
    return Parameters(
        weights=tuple(gaussian(rng, n_in, n_in, n_out) for n_in, n_out in layers),
        biases=tuple(gaussian(rng, n_in, n_out) for n_in, n_out in layers),
    )


@njit(cache=True)
def loss(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> float:
    """Quadratic cost plus (l2 / 2) ||w||^2 + l1 sum|w| over the weights of all layers.

    Parameters
    ----------
    params : Parameters
    X : ndarray, shape (m, sizes[0])
    y : ndarray of int, shape (m,)
        Labels 0 to sizes[-1] - 1, which are not checked.
    l2, l1 : float
        Weights of the penalties; the biases bear none.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.models import deep
    >>> params = deep.Parameters(weights=(np.zeros((3, 2)),), biases=(np.zeros(2),))
    >>> deep.loss(params, np.eye(3), np.array([0, 1, 1]))  # every output is 1/2 off
    0.25
    """
    a = sigmoid_layer(X, params.weights[0], params.biases[0])
    for layer in range(1, len(params.weights)):
        a = sigmoid_layer(a, params.weights[layer], params.biases[layer])
    cost: float = quadratic_cost(a, y)
    for w in params.weights:
        cost += penalty(w, l2, l1)
    return cost


@njit(cache=True)
def grad(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> Parameters:
    """Gradient of `loss`, with its arguments."""
    weights, biases = params.weights, params.biases
    L = len(weights)
    a = [sigmoid_layer(X, weights[0], biases[0])]  # a[i] is the output of weights[i]
    for layer in range(1, L):
        a.append(sigmoid_layer(a[layer - 1], weights[layer], biases[layer]))

    delta = output_error(a[L - 1], y)  # (m, sizes[-1])
    nabla_w, nabla_b = [], []  # last layer first
    for layer in range(L - 1, 0, -1):
        nabla_w.append(a[layer - 1].T @ delta + penalty_grad(weights[layer], l2, l1))
        nabla_b.append(column_sums(delta))
        delta = (delta @ weights[layer].T) * a[layer - 1] * (1.0 - a[layer - 1])
    nabla_w.append(X.T @ delta + penalty_grad(weights[0], l2, l1))
    nabla_b.append(column_sums(delta))
    return Parameters(reversed_tuple(nabla_w, weights), reversed_tuple(nabla_b, biases))


@njit(cache=True)
def quadratic_cost(a: Floats, y: Labels) -> float:
    """1/(2m) sum_i ||a_i - t_i||^2."""
    total: float = 0.0
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            t = 1.0 if k == y[i] else 0.0
            total += (a[i, k] - t) ** 2
    return 0.5 * total / len(a)


@njit(cache=True)
def output_error(a: Floats, y: Labels) -> Floats:
    """BP1: (a - t) / m * a (1 - a)."""
    delta = np.empty_like(a)
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            t = 1.0 if k == y[i] else 0.0
            delta[i, k] = (a[i, k] - t) / a.shape[0] * a[i, k] * (1.0 - a[i, k])
    return delta


def reversed_tuple(blocks: list[Floats], like: tuple[Floats, ...]) -> tuple[Floats, ...]:
    """The list `blocks`, last block first, as a tuple of the length of `like`."""
    return tuple(reversed(blocks[: len(like)]))


@overload(reversed_tuple)
def _compiled_reversed_tuple(blocks: Any, like: Any) -> Any:
    # Numba knows the length of a tuple when it compiles, and recursion unrolls it.
    def none(blocks: Any, like: Any) -> Any:
        return ()

    def first_and_rest(blocks: Any, like: Any) -> Any:
        return (blocks[len(like) - 1], *reversed_tuple(blocks, like[1:]))

    return none if len(like) == 0 else first_and_rest
