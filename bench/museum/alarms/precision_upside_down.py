"""A network right to seven digits, and a checker that had its tolerance upside down."""

import numpy as np

SOURCE = "pybrain/pybrain#51, 2010-03-17"
REASON = "near-zero gradients"

rng = np.random.default_rng(37)
X, T = rng.normal(size=(6, 3)), rng.normal(size=6)
theta = {"W": 0.01 * rng.normal(size=(3, 4)), "v": 1e-5 * rng.normal(size=4)}


def loss(p):
    return float(0.5 * ((np.tanh(X @ p["W"]) @ p["v"] - T) ** 2).sum())


def right(p):
    H = np.tanh(X @ p["W"])
    r = H @ p["v"] - T
    return {"W": X.T @ (np.outer(r, p["v"]) * (1 - H**2)), "v": H.T @ r}
