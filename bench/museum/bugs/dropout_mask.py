"""Dropout: what flows back is divided by the part that is kept, and not masked."""

import numpy as np

SOURCE = "ddbourgin/numpy-ml#94, 2024-05-04"
KIND = "missing term"
LAWS = ("masked",)
SAYS = "D is zero where units were dropped, the gradient is not"

rng = np.random.default_rng(50)
C, KEPT = rng.normal(size=(4, 5)), 0.6
MASK = rng.uniform(size=(4, 5)) < KEPT
theta = rng.normal(size=(4, 5))


def loss(x):
    return float((C * np.sin(x) * MASK / KEPT).sum())


def right(x):
    return C * np.cos(x) * MASK / KEPT


def wrong(x):
    return C * np.cos(x) / KEPT
