"""A likelihood of stacked sources: its slopes were said not to match, and do."""

import numpy as np

SOURCE = "icecube/skyllh#87, 2021-10-19"
REASON = "near-zero gradients"

rng = np.random.default_rng(40)
signal, weight = rng.exponential(size=(60, 3)), np.array([0.5, 0.3, 0.2])
theta = {"ns": 7.0, "gamma": 2.1}


def ratio(p):
    tilted = signal ** (3 - p["gamma"]) * weight
    return tilted.sum(axis=1) - 1, -(tilted * np.log(signal)).sum(axis=1)


def loss(p):
    return float(np.log1p(p["ns"] / 60 * ratio(p)[0]).sum())


def right(p):
    x, by_gamma = ratio(p)
    inside = 1 + p["ns"] / 60 * x
    return {"ns": (x / 60 / inside).sum(), "gamma": (p["ns"] / 60 * by_gamma / inside).sum()}
