"""An L1 penalty: its value is the Euclidean norm, its gradient that of the sum of absolute values."""

import numpy as np

SOURCE = "eriklindernoren/ML-From-Scratch a2806c6 l1_regularization, 2026-11-30"
KIND = "missing term"
LAWS = ("extra-l1", "missing-l2", "extra-l1+missing-l2", "l1")
SAYS = "lambda sign(w) too much, lambda w / |w| missing"

rng = np.random.default_rng(42)
X, y, L1 = rng.normal(size=(15, 12)), rng.normal(size=15), 0.7
theta = rng.normal(size=12)


def loss(w):
    return float(0.5 * ((X @ w - y) ** 2).mean() + L1 * np.linalg.norm(w))


def data_part(w):
    return X.T @ (X @ w - y) / 15


def right(w):
    return data_part(w) + L1 * w / np.linalg.norm(w)


def wrong(w):
    return data_part(w) + L1 * np.sign(w)
