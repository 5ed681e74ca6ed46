"""A force field: its gradient reads the distances that the last energy left behind."""

import numpy as np

SOURCE = "rdkit/rdkit 2026.9.1 ForceField.CalcGrad, 2026-11-30"
KIND = "stale cache"
LAWS = ("stale",)
SAYS = "the gradient depends on where the loss was evaluated last"

theta = np.array([0.0, 1.3, 2.1, 3.8])
kept = {}


def loss(x):
    kept["d"] = np.diff(x)
    return float(((kept["d"] - 1) ** 2).sum() + (1 / kept["d"]).sum())


def gradient(d):
    s = 2 * (d - 1) - 1 / d**2
    return np.r_[0, s] - np.r_[s, 0]


def right(x):
    return gradient(np.diff(x))


def wrong(x):
    return gradient(kept.get("d", np.diff(x)))
