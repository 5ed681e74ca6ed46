"""GELU by tanh: its derivative takes the tanh's value, and the exact normal density beside it."""

import numpy as np

SOURCE = "ddbourgin/numpy-ml b0359af activations.py GELU.grad, 2026-11-30"
KIND = "wrong activation derivative"
LAWS = ("tolerance",)
SAYS = "every entry is wrong, by about 1e-3: two forms of one function are mixed"

A, B = np.sqrt(2 / np.pi), 0.044715
rng = np.random.default_rng(38)
C = rng.normal(size=8)
theta = rng.normal(size=8)


def inner(x):
    return A * (x + B * x**3)


def loss(x):
    return float((C * 0.5 * x * (1 + np.tanh(inner(x)))).sum())


def right(x):
    t = np.tanh(inner(x))
    return C * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * A * (1 + 3 * B * x**2))


def wrong(x):
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return C * (0.5 * (1 + np.tanh(inner(x))) + x * density)
