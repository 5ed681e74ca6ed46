"""A likelihood summed over many points: forward differences of it have nothing to do with its slope."""

import numpy as np

SOURCE = "microsoft/ADBench#68, 2019-08-09"
REASON = "noise of solvers"

rng = np.random.default_rng(32)
x = rng.normal(size=50_000) + np.repeat([-2.0, 3.0], 25_000)
theta = np.array([-1.5, 2.5])


def shares(m):
    e = np.exp(-0.5 * (x[:, None] - m) ** 2)
    return e / e.sum(axis=1, keepdims=True), e


def loss(m):
    return float(-np.log(shares(m)[1].mean(axis=1)).sum())


def right(m):
    return -(shares(m)[0] * (x[:, None] - m)).sum(axis=0)
