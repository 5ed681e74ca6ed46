"""Optimisers, each a function from a gradient to the step to take, as their papers have them."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fastgrad.arrays import Floats

Optimiser: TypeAlias = Callable[[int], Callable[[Floats], Floats]]
"""``optimiser(n)`` is a function from a gradient to the step to take, for n parameters."""

SMALL = 1e-8
"""Keeps quotients finite where no gradient has come yet; the papers' own epsilon."""


def sgd(n: int, rate: float = 0.5) -> Callable[[Floats], Floats]:
    """Stochastic gradient descent (Robbins and Monro, 1951): -rate g."""
    return lambda g: -rate * g


def momentum(n: int, rate: float = 0.1, kept: float = 0.9) -> Callable[[Floats], Floats]:
    """Heavy ball (Polyak, 1964): v <- kept v - rate g, step v."""
    v = np.zeros(n)

    def step(g: Floats) -> Floats:
        v[:] = kept * v - rate * g
        return v

    return step


def nesterov(n: int, rate: float = 0.1, kept: float = 0.9) -> Callable[[Floats], Floats]:
    """Nesterov (1983), as rewritten for gradients at theta by Bengio et al. (2012), equation 7."""
    v = np.zeros(n)

    def step(g: Floats) -> Floats:
        v[:] = kept * v - rate * g
        return kept * v - rate * g

    return step


def adagrad(n: int, rate: float = 0.05) -> Callable[[Floats], Floats]:
    """Adagrad (Duchi, Hazan and Singer, 2011): the diagonal form."""
    G = np.zeros(n)

    def step(g: Floats) -> Floats:
        G[:] += g**2
        return -rate * g / (np.sqrt(G) + SMALL)

    return step


def adadelta(n: int, kept: float = 0.95, eps: float = 1e-4) -> Callable[[Floats], Floats]:
    """Adadelta (Zeiler, 2012), algorithm 1; its larger eps sets the size of the first steps."""
    G, D = np.zeros(n), np.zeros(n)

    def step(g: Floats) -> Floats:
        G[:] = kept * G + (1 - kept) * g**2
        d = -np.sqrt((D + eps) / (G + eps)) * g
        D[:] = kept * D + (1 - kept) * d**2
        return d

    return step


def adam(
    n: int, rate: float = 0.01, beta1: float = 0.9, beta2: float = 0.999
) -> Callable[[Floats], Floats]:
    """Adam (Kingma and Ba, 2015), algorithm 1."""
    m, v, t = np.zeros(n), np.zeros(n), 0

    def step(g: Floats) -> Floats:
        nonlocal t
        t += 1
        m[:] = beta1 * m + (1 - beta1) * g
        v[:] = beta2 * v + (1 - beta2) * g**2
        return -rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + SMALL)

    return step


OPTIMISERS: dict[str, Optimiser] = {
    "SGD": sgd,
    "momentum": momentum,
    "Nesterov": nesterov,
    "Adagrad": adagrad,
    "Adadelta": adadelta,
    "Adam": adam,
}
