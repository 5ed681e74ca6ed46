"""The generator of Frank's copula: its derivative has the wrong sign."""

import numpy as np

SOURCE = "statsmodels/statsmodels 0.15.0 TransfFrank.deriv, 2026-11-30"
KIND = "wrong sign"
LAWS = ("sign",)
SAYS = "every entry has the wrong sign"

A = 3.0
w = np.array([1.0, 0.4, 2.0, 0.7])
theta = np.array([0.2, 0.4, 0.65, 0.9])


def loss(t):
    return float(-(w * np.log(np.expm1(-A * t) / np.expm1(-A))).sum())


def right(t):
    return w * A * np.exp(-A * t) / np.expm1(-A * t)


def wrong(t):
    return -w * A * np.exp(-A * t) / np.expm1(-A * t)
