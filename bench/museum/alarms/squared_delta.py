"""A sigmoid under squared error: its derivative belongs there, and was taken for an error."""

import numpy as np

SOURCE = "hunkim/DeepLearningZeroToAll#113, 2017-04-13"
REASON = "a convention misread"

rng = np.random.default_rng(25)
X, Y = rng.normal(size=(8, 3)), rng.uniform(size=(8, 2))
theta = {"W": rng.normal(size=(3, 2)), "b": np.zeros(2)}


def output(p):
    return 1 / (1 + np.exp(-(X @ p["W"] + p["b"])))


def loss(p):
    return float(0.5 * ((output(p) - Y) ** 2).sum())


def right(p):
    s = output(p)
    d = (s - Y) * s * (1 - s)
    return {"W": X.T @ d, "b": d.sum(axis=0)}
