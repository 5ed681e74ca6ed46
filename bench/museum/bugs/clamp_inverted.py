"""Clamp between two tensors: below the least and above the greatest at once is nowhere."""

import numpy as np

SOURCE = "tenstorrent/tt-metal#48201, 2026-06-26"
KIND = "clipping"
LAWS = ("zero",)
SAYS = "the gradient is zero, the loss does depend on x"

rng = np.random.default_rng(18)
C, low, high = rng.normal(size=10), np.full(10, -0.8), np.full(10, 0.9)
theta = rng.normal(size=10)


def loss(x):
    return float((C * np.clip(x, low, high) ** 3).sum())


def right(x):
    return 3 * C * x**2 * ((x >= low) & (x <= high))


def wrong(x):
    return 3 * C * x**2 * ((x <= low) & (x >= high))
