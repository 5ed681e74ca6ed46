"""The net of `two_layer` with inverted dropout on its hidden layer.

H = A1 * mask / keep,  Z2 = H W2 + b2, and the rest as in `two_layer`; the mask is 1 with
probability `keep`, so that H is A1 on average.

N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a simple way
to prevent neural networks from overfitting", *JMLR* 15 (2014): the model is section 4, the
backpropagation through the thinned net section 5.1, and the scaling by 1 / keep in training
section 10.

A gradient can only be checked against one fixed mask. `loss` takes the mask as an argument;
`seeded_loss` draws it, the same one on every call with the same seed. Numba keeps one random
generator a thread, so threads do not disturb each other's masks; the generator of the calling
thread is left reseeded.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fastgrad.models._terms import (
    Floats,
    Labels,
    column_sums,
    cross_entropy,
    cross_entropy_grad,
    penalty,
    penalty_grad,
    sigmoid_layer,
)
from fastgrad.models.two_layer import Parameters, init

__all__ = ["Parameters", "grad", "init", "loss", "mask", "seeded_grad", "seeded_loss"]

Mask = NDArray[np.bool_]


@njit(cache=True)
def mask(m: int, n_hidden: int, keep: float, seed: int) -> Mask:
    """The hidden units that stay, one row an example: True with probability `keep`.

    Examples
    --------
    >>> from fastgrad.models import dropout
    >>> kept = dropout.mask(1000, 50, 0.8, 0)
    >>> kept.shape, round(float(kept.mean()), 1)
    ((1000, 50), 0.8)
    """
    np.random.seed(seed)
    return np.random.random((m, n_hidden)) < keep


@njit(cache=True)
def loss(
    params: Parameters,
    X: Floats,
    y: Labels,
    mask: Mask,
    keep: float,
    l2: float = 0.0,
    l1: float = 0.0,
) -> float:
    """Mean cross-entropy of the thinned net plus (l2 / 2) ||W||^2 + l1 sum|W| over W1 and W2.

    Parameters
    ----------
    params : Parameters
    X : ndarray, shape (m, n_in)
    y : ndarray of int, shape (m,)
        Labels 0 to n_out - 1, which are not checked.
    mask : ndarray of bool, shape (m, n_hidden)
        The hidden units that stay.
    keep : float
        The probability with which the mask was drawn, in (0, 1].
    l2, l1 : float
        Weights of the penalties; the biases bear none.
    """
    H = sigmoid_layer(X, params.W1, params.b1) * mask / keep
    Z2 = H @ params.W2 + params.b2
    return cross_entropy(Z2, y) + penalty(params.W1, l2, l1) + penalty(params.W2, l2, l1)


@njit(cache=True)
def grad(
    params: Parameters,
    X: Floats,
    y: Labels,
    mask: Mask,
    keep: float,
    l2: float = 0.0,
    l1: float = 0.0,
) -> Parameters:
    """Gradient of `loss`, with its arguments."""
    A1 = sigmoid_layer(X, params.W1, params.b1)  # (m, n_hidden)
    H = A1 * mask / keep
    delta2 = cross_entropy_grad(H @ params.W2 + params.b2, y)  # (m, n_out)
    delta1 = (delta2 @ params.W2.T) * H * (1.0 - A1)  # mask / keep is in H
    return Parameters(
        W1=X.T @ delta1 + penalty_grad(params.W1, l2, l1),
        b1=column_sums(delta1),
        W2=H.T @ delta2 + penalty_grad(params.W2, l2, l1),
        b2=column_sums(delta2),
    )


@njit(cache=True)
def seeded_loss(
    params: Parameters,
    X: Floats,
    y: Labels,
    seed: int,
    keep: float,
    l2: float = 0.0,
    l1: float = 0.0,
) -> float:
    """`loss` under the mask that `seed` draws."""
    drawn = mask(X.shape[0], params.b1.size, keep, seed)
    return loss(params, X, y, drawn, keep, l2, l1)


@njit(cache=True)
def seeded_grad(
    params: Parameters,
    X: Floats,
    y: Labels,
    seed: int,
    keep: float,
    l2: float = 0.0,
    l1: float = 0.0,
) -> Parameters:
    """Gradient of `seeded_loss`, with its arguments."""
    drawn = mask(X.shape[0], params.b1.size, keep, seed)
    return grad(params, X, y, drawn, keep, l2, l1)
