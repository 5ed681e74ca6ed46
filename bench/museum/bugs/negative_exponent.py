"""A transform of parameters, psi(u) = -exp(u): the factor that carries a gradient over lost its sign."""

import numpy as np

SOURCE = "sods/paramz 0.10.0 NegativeExponent.gradfactor, 2026-11-30"
KIND = "wrong sign"
LAWS = ("sign",)
SAYS = "every entry has the wrong sign"

target = np.array([-0.5, -2.0, -1.1, -0.2])
theta = np.array([0.3, -0.4, 1.0, 0.1])


def loss(u):
    return float(0.5 * ((-np.exp(u) - target) ** 2).sum() + (np.exp(u) ** 3).sum())


def by_value(u):
    return -np.exp(u) - target - 3 * np.exp(u) ** 2


def right(u):
    return by_value(u) * -np.exp(u)


def wrong(u):
    return by_value(u) * np.exp(u)
