"""An LSTM cell: what flows into the forget gate is multiplied by a sigmoid, not by its derivative."""

import numpy as np

SOURCE = "CaptainE/RNN-LSTM-in-numpy#1, 2023-10-22"
KIND = "recurrences and truncation"
LAWS = ("line-scale",)
SAYS = "the columns of W that make the forget gate are off by a factor of their own"

rng = np.random.default_rng(9)
z, c0, C = rng.normal(size=5), rng.normal(size=3), rng.normal(size=3)
theta = {name: rng.normal(size=(5, 3)) for name in ("Wf", "Wi", "Wg")}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gates(p):
    return sigmoid(z @ p["Wf"]), sigmoid(z @ p["Wi"]), np.tanh(z @ p["Wg"])


def loss(p):
    f, i, g = gates(p)
    return float(C @ np.tanh(f * c0 + i * g))


def backward(p, slope):
    f, i, g = gates(p)
    dc = C * (1 - np.tanh(f * c0 + i * g) ** 2)
    df, di, dg = dc * c0 * slope(f), dc * g * i * (1 - i), dc * i * (1 - g**2)
    return {"Wf": np.outer(z, df), "Wi": np.outer(z, di), "Wg": np.outer(z, dg)}


def right(p):
    return backward(p, lambda f: f * (1 - f))


def wrong(p):
    return backward(p, sigmoid)
