"""Batch norm under ones: the sum of its outputs is constant, and float32 noise was taken for a slope."""

import numpy as np

SOURCE = "HomericIntelligence/Mnemosyne#310, 2026-03-05"
REASON = "near-zero gradients"

f4 = np.float32
rng = np.random.default_rng(42)
theta = rng.normal(size=(8, 2)).astype(f4)


def loss(x):
    x = x.astype(f4)
    return float(((x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + f4(1e-5))).sum(dtype=f4))


def right(x):
    return np.zeros((8, 2))
