"""ReLU: the derivative x >= 0 was taken at its output, which is never below 0."""

import numpy as np

SOURCE = "iamtrask/Grokking-Deep-Learning#56, 2021-02-01"
KIND = "wrong activation derivative"
LAWS = ("masked",)
SAYS = "columns of W1 of units that are off have D = 0: the mask of the ReLU is missing"

rng = np.random.default_rng(8)
x, t = rng.normal(size=(1, 4)), 1.5
theta = {"W1": rng.normal(size=(4, 6)), "W2": rng.normal(size=(6, 1))}


def loss(p):
    return float(0.5 * ((np.maximum(x @ p["W1"], 0) @ p["W2"] - t) ** 2).sum())


def backward(p, mask):
    h = np.maximum(x @ p["W1"], 0)
    delta = h @ p["W2"] - t
    return {"W1": x.T @ (delta @ p["W2"].T * mask), "W2": h.T @ delta}


def right(p):
    return backward(p, x @ p["W1"] >= 0)


def wrong(p):
    return backward(p, np.maximum(x @ p["W1"], 0) >= 0)
