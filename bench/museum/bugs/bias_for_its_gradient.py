"""An autoencoder: the momentum update of the biases is given the biases, not their gradients."""

import numpy as np

SOURCE = "apache/systemds#2330, 2025-09-23"
KIND = "wrong variable"
LAWS = ("theta",)
SAYS = "b: the parameters themselves were returned"

rng = np.random.default_rng(34)
X = rng.normal(size=(10, 4))
theta = {"W": rng.normal(size=(4, 4)) / 2, "b": rng.normal(size=4)}


def loss(p):
    return float(0.5 * ((np.tanh(X @ p["W"] + p["b"]) - X) ** 2).mean(axis=0).sum())


def right(p):
    A = np.tanh(X @ p["W"] + p["b"])
    d = (A - X) * (1 - A**2) / 10
    return {"W": X.T @ d, "b": d.sum(axis=0)}


def wrong(p):
    return {**right(p), "b": p["b"].copy()}
