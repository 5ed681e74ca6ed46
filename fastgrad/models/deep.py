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

from fastgrad.models._changes import entry_penalty, penalty_change, sigmoid_change
from fastgrad.models._terms import (
    Floats,
    Labels,
    column_sums,
    gaussian,
    penalty,
    penalty_grad,
    sigmoid,
    sigmoid_layer,
)
from fastgrad.structured import Incremental, Layered, register


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


class State(NamedTuple):
    """`a[l, s]`, the activations a^l of example s, a^0 its inputs; padded to the widest layer."""

    a: Floats


@njit(cache=True)
def prepare(params: Parameters, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> State:
    """The `State` at some parameters."""
    L = len(params.weights)
    widest = X.shape[1]
    for b in params.biases:
        widest = max(widest, b.size)
    a = np.zeros((L + 1, X.shape[0], widest))
    a[0, :, : X.shape[1]] = X
    for layer in range(L):
        w = params.weights[layer]
        inputs = np.ascontiguousarray(a[layer, :, : w.shape[0]])
        a[layer + 1, :, : w.shape[1]] = sigmoid_layer(inputs, w, params.biases[layer])
    return State(a)


@njit(cache=True)
def delta_weights(params, state, index, h, work, X, y, l2=0.0, l1=0.0):  # type: ignore[no-untyped-def]
    """z^(l+1)[s, j] grows by h a^l[s, i]."""
    layer, i, j = index
    total = 0.0
    for s in range(y.size):
        if state.a[layer, s, i] != 0.0:
            dz = h * state.a[layer, s, i]
            total += cost_change(params, state.a, layer, s, j, dz, work, y[s])
    return total / y.size + penalty_change(params.weights[layer][i, j], h, l2, l1)


@njit(cache=True)
def delta_biases(params, state, index, h, work, X, y, l2=0.0, l1=0.0):  # type: ignore[no-untyped-def]
    """z^(l+1)[s, j] grows by h."""
    layer, j = index
    total = 0.0
    for s in range(y.size):
        total += cost_change(params, state.a, layer, s, j, h, work, y[s])
    return total / y.size


@njit(cache=True)
def cost_change(params, a, layer, s, j, dz, work, label):  # type: ignore[no-untyped-def]
    """The change of the cost of example s when the input of unit j above `layer` grows by dz.

    da^(l+1) = sigmoid(z^l + dz^l) - a^(l+1) and dz^(l+1) = da^(l+1) w^(l+1), from that unit on.
    """
    L = len(params.weights)
    da, dz_next = work[: work.size // 2], work[work.size // 2 :]
    change = sigmoid_change(a[layer + 1, s, j], dz)
    if layer == L - 1:
        return squared_change(a[L, s, j], change, 1.0 if j == label else 0.0)
    w = params.weights[layer + 1]
    for k in range(w.shape[1]):
        da[k] = sigmoid_change(a[layer + 2, s, k], change * w[j, k])
    for above in range(layer + 2, L):
        w = params.weights[above]
        dz_next[: w.shape[1]] = 0.0
        for r in range(w.shape[0]):
            for k in range(w.shape[1]):
                dz_next[k] += da[r] * w[r, k]
        for k in range(w.shape[1]):
            da[k] = sigmoid_change(a[above + 1, s, k], dz_next[k])
    total = 0.0
    for k in range(w.shape[1]):
        total += squared_change(a[L, s, k], da[k], 1.0 if k == label else 0.0)
    return total


@njit(cache=True)
def squared_change(a: float, da: float, t: float) -> float:
    """The change of (a - t)^2 / 2."""
    return da * (a - t + 0.5 * da)


def scratch(params: Parameters, X: Floats, *args: Any) -> int:
    """Length of the vector `cost_change` works in: da and dz of the widest layer."""
    return 2 * max(b.size for b in params.biases)


@njit(cache=True)
def example_losses(Z: Floats, X: Floats, y: Labels, l2: float = 0.0, l1: float = 0.0) -> Floats:
    """The cost of every example, from the input of the last layer."""
    losses = np.zeros(Z.shape[0])
    for s in range(Z.shape[0]):
        for k in range(Z.shape[1]):
            t = 1.0 if k == y[s] else 0.0
            losses[s] += 0.5 * (sigmoid(Z[s, k]) - t) ** 2
    return losses


incremental = Incremental(
    loss, prepare, {"weights": delta_weights, "biases": delta_biases}, work=scratch
)
layered = Layered(
    loss,
    [("weights", "biases")],
    example_losses,
    activations=sigmoid,
    penalty=entry_penalty,
)
register(loss, lambda: layered)
