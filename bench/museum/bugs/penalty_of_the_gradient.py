"""A net's penalty: lambda / m times the accumulated gradient was added, not lambda / m times W."""

import numpy as np

SOURCE = "trekhleb/homemade-machine-learning 7510d8e multilayer_perceptron.py, 2026-11-30"
KIND = "missing term"
LAWS = ("l2", "missing-l2", "scale")
SAYS = "W: 1 + lambda times the data's part, and no L2 term; b is right"

rng = np.random.default_rng(62)
X, y, L2 = rng.normal(size=(12, 3)), rng.integers(0, 4, 12), 0.8
theta = {"W": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}


def output(p):
    return 1 / (1 + np.exp(-(X @ p["W"] + p["b"])))


def loss(p):
    Y, s = np.eye(4)[y], output(p)
    data = -(Y * np.log(s) + (1 - Y) * np.log(1 - s)).sum() / 12
    return float(data + L2 / 24 * (p["W"] ** 2).sum())


def right(p):
    d = (output(p) - np.eye(4)[y]) / 12
    return {"W": X.T @ d + L2 / 12 * p["W"], "b": d.sum(axis=0)}


def wrong(p):
    d = (output(p) - np.eye(4)[y]) / 12
    return {"W": (1 + L2) * X.T @ d, "b": d.sum(axis=0)}
