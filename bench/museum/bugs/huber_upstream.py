"""The Huber loss: its backward pass ignores what flows in from above."""

import numpy as np

SOURCE = "chainer/chainer#1175, 2016-05-12"
KIND = "batch mean or sum"
LAWS = ("scale",)
SAYS = "a constant times the right one: the factor of what stands above"

rng = np.random.default_rng(13)
t = rng.normal(size=12)
theta = 2 * rng.normal(size=12)
ABOVE = 0.3


def loss(x):
    r = np.abs(x - t)
    return float(ABOVE * np.where(r <= 1, 0.5 * r**2, r - 0.5).sum())


def right(x):
    return ABOVE * np.clip(x - t, -1, 1)


def wrong(x):
    return np.clip(x - t, -1, 1)
