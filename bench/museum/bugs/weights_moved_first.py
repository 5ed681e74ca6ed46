"""A two-layer net: the output's weights take their step before the hidden error is computed."""

import numpy as np

SOURCE = "joelgrus/data-science-from-scratch#31, 2017-01-06"
KIND = "in-place change"
LAWS = ("line-scale",)
SAYS = "V is right; W, computed with weights that had moved on, is wrong"

rng = np.random.default_rng(33)
x, t = rng.normal(size=4), np.array([1.0, 0.0])
theta = {"W": rng.normal(size=(4, 3)), "V": rng.normal(size=(3, 2))}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(p):
    return float(0.5 * ((sigmoid(sigmoid(x @ p["W"]) @ p["V"]) - t) ** 2).sum())


def backward(p, rate):
    V = p["V"].copy()
    h = sigmoid(x @ p["W"])
    o = sigmoid(h @ V)
    delta = (o - t) * o * (1 - o)
    dV = np.outer(h, delta)
    V -= rate * dV
    return {"W": np.outer(x, (V @ delta) * h * (1 - h)), "V": dV}


def right(p):
    return backward(p, 0)


def wrong(p):
    return backward(p, 1)
