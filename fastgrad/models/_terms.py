"""Terms that several models share: the penalty, the sigmoid layer, the softmax cross-entropy.

Every function here is compiled into the losses that call it, and writes to none of its arguments.

The models are cached on disk, since a loss and its gradient take about 2 s to compile and 0.2 s to
load. Numba looks at the file of the cached function alone: after a change here delete
``__pycache__/*.nbi``, as the tests of the models do by themselves.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]


def gaussian(rng: np.random.Generator, n_in: int, *shape: int) -> Floats:
    """Initial weights or biases of a unit with `n_in` inputs, drawn from N(0, 1 / n_in)."""
    return rng.normal(scale=1.0 / np.sqrt(n_in), size=shape)


SAFE = 1e-290
"""A sum of exponentials between this and its inverse needs no shift, which costs a fifth."""

SMALLEST_EXPONENT, LARGEST_EXPONENT = -708.0, 709.0
"""Arguments of which exp is a normal number."""
PER_LOG_2 = 1.0 / math.log(2.0)
LOG_2_HIGH = float.fromhex("0x1.62e42feep-1")
LOG_2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
"""log 2 in two parts: the product of the first with a whole number below 2^20 is exact."""
TO_WHOLE = 1.5 * 2.0**52
"""Added and taken away, it rounds to a whole number."""
SERIES = tuple(1.0 / math.factorial(k) for k in range(13, -1, -1))
"""The series of exp; the next power is 4e-18 at most where it is used."""


@njit(cache=True)
def penalty(W: Floats, l2: float, l1: float) -> float:
    """(l2 / 2) ||W||^2 + l1 sum|W|."""
    w = W.ravel()
    value: float = 0.0
    if l2 != 0.0:
        value += 0.5 * l2 * np.dot(w, w)
    if l1 != 0.0:
        value += l1 * np.abs(w).sum()
    return value


@njit(cache=True)
def penalty_grad(W: Floats, l2: float, l1: float) -> Floats:
    """The gradient of `penalty`; at a weight of 0 it takes the subgradient 0 of \\|w\\|."""
    return l2 * W + l1 * np.sign(W)


@njit(cache=True)
def sigmoid(z: float) -> float:
    """1 / (1 + exp(-z)); compiled, exp(-z) may be inf and the value then 0, as it should be."""
    return 1.0 / (1.0 + math.exp(-z))


@njit(cache=True)
def softplus(z: float) -> float:
    """log(1 + exp(z)) without overflow."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


@njit(cache=True)
def sigmoid_layer(X: Floats, W: Floats, b: Floats) -> Floats:
    """sigmoid(X W + b), row by row in the memory of the product."""
    A = X @ W
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] = sigmoid(A[i, j] + b[j])
    return A


@njit(cache=True)
def column_sums(delta: Floats) -> Floats:
    """``delta.sum(axis=0)``, which numba takes 1.8 s to compile."""
    total = np.zeros(delta.shape[1])
    for i in range(delta.shape[0]):
        for j in range(delta.shape[1]):
            total[j] += delta[i, j]
    return total


@njit(cache=True)
def log_sum_exp(z: Floats) -> float:
    """log(sum exp(z)) of one row, shifted by its largest entry so that no exp overflows."""
    largest: float = z[0]
    for k in range(1, z.size):
        largest = max(largest, z[k])
    total: float = 0.0
    for k in range(z.size):
        total += math.exp(z[k] - largest)
    return largest + math.log(total)


@njit(cache=True)
def cross_entropy(Z: Floats, y: Labels) -> float:
    """Mean over the rows of -log softmax(Z[i])[y[i]]."""
    total: float = 0.0
    for i in range(Z.shape[0]):
        total += log_sum_exp(Z[i]) - Z[i, y[i]]
    return total / len(Z)


@njit(cache=True)
def cross_entropy_grad(Z: Floats, y: Labels) -> Floats:
    """Gradient of `cross_entropy` in Z: (P - T) / m, P the softmax of Z, T the labels one-hot."""
    m, n_out = Z.shape
    delta = np.empty((m, n_out))
    for i in range(m):
        log_total = log_sum_exp(Z[i])
        for k in range(n_out):
            delta[i, k] = math.exp(Z[i, k] - log_total) / m
        delta[i, y[i]] -= 1.0 / m
    return delta


@njit(cache=True)
def exponentials(Z: Floats) -> Floats:
    """exp of every entry; below SMALLEST_EXPONENT and above LARGEST_EXPONENT it stays what it is there.

    exp(z) = 2^k exp(r) with z = k log 2 + r, and the series of exp(r) for |r| <= log(2) / 2. LLVM
    makes vectors of this, where it calls math.exp entry by entry: that takes 3.5 times as long.
    """
    E = np.empty(Z.shape)
    z, e = Z.ravel(), E.ravel()
    exponents = e.view(np.int64)
    for i in range(z.size):
        x = SMALLEST_EXPONENT if z[i] < SMALLEST_EXPONENT else z[i]  # a NaN stays one
        x = LARGEST_EXPONENT if x > LARGEST_EXPONENT else x
        k = (x * PER_LOG_2 + TO_WHOLE) - TO_WHOLE
        r = (x - k * LOG_2_HIGH) - k * LOG_2_LOW
        series = SERIES[0]
        for coefficient in SERIES[1:]:
            series = series * r + coefficient
        e[i] = series
        exponents[i] += np.int64(k) << np.int64(52)
    return E


@njit(cache=True)
def cross_entropies(Z: Floats, y: Labels) -> Floats:
    """-log softmax(Z[i])[y[i]] of every row."""
    m, n_out = Z.shape
    losses = np.empty(m)
    E = exponentials(Z)
    for i in range(m):
        total = 0.0
        for k in range(n_out):
            total += E[i, k]
        if SAFE < total < 1.0 / SAFE:
            losses[i] = math.log(total) - Z[i, y[i]]
        else:
            losses[i] = log_sum_exp(Z[i]) - Z[i, y[i]]
    return losses
