"""Ackley's test function: the root of the mean square lacks its factor 1/2 in the derivative."""

import numpy as np

SOURCE = "scipy/scipy benchmarks/test_functions.py Ackley.der, 2026-11-30"
KIND = "missing term"
LAWS = ("radial",)
SAYS = "both entries are 1.24 times too large where the waves are flat"

theta = np.array([1.1, 2.2])


def loss(x):
    wave = np.exp(0.5 * np.cos(2 * np.pi * x).sum())
    return float(-20 * np.exp(-0.2 * np.sqrt(0.5 * (x @ x))) - wave + 20 + np.e)


def slope(x, half):
    r = np.sqrt(half * (x @ x))
    wave = np.pi * np.sin(2 * np.pi * x) * np.exp(0.5 * np.cos(2 * np.pi * x).sum())
    return 4 * np.exp(-0.2 * r) * half * x / r + wave


def right(x):
    return slope(x, 0.5)


def wrong(x):
    return slope(x, 1.0)
