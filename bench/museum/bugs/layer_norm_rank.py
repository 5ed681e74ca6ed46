"""Layer norm of three axes: the backward pass took all but the first for one row."""

import numpy as np

SOURCE = "flagos-ai/FlagGems#5392, 2026-08-11"
KIND = "wrong axis"
LAWS = ("normalisation", "not-shift-free", "not-scale-free")
SAYS = "the loss does not change when one (batch, step) is shifted; the gradient says it does"

rng = np.random.default_rng(21)
C = rng.normal(size=(2, 3, 5))
theta = rng.normal(size=(2, 3, 5))


def normalised(x):
    std = np.sqrt(x.var(axis=2, keepdims=True) + 1e-5)
    return (x - x.mean(axis=2, keepdims=True)) / std, std


def loss(x):
    return float((C * normalised(x)[0]).sum())


def backward(x, axes):
    xhat, std = normalised(x)
    mean, along = C.mean(axis=axes, keepdims=True), (C * xhat).mean(axis=axes, keepdims=True)
    return (C - mean - xhat * along) / std


def right(x):
    return backward(x, 2)


def wrong(x):
    return backward(x, (1, 2))
