"""Batch norm: mean and variance taken for constants in the gradient of x."""

import numpy as np

SOURCE = "facebookresearch/CrypTen#143, 2020-06-29"
KIND = "normalisation layers"
LAWS = ("normalisation", "not-shift-free", "not-scale-free")
SAYS = "the loss does not change when a column is shifted or stretched; the gradient says it does"

rng = np.random.default_rng(1)
C, gamma = rng.normal(size=(7, 3)), rng.uniform(0.5, 2, 3)
theta = rng.normal(size=(7, 3))


def loss(x):
    return float((C * gamma * (x - x.mean(axis=0)) / x.std(axis=0)).sum())


def right(x):
    std = x.std(axis=0)
    xhat, d = (x - x.mean(axis=0)) / std, C * gamma
    return (d - d.mean(axis=0) - xhat * (d * xhat).mean(axis=0)) / std


def wrong(x):
    return C * gamma / x.std(axis=0)
