"""The geometric distribution: the slope of -log(p) got a factor 1 / (1 - p) too much."""

import numpy as np

SOURCE = "ReactiveBayes/ExponentialFamily.jl#293, 2026-08-02"
KIND = "likelihoods and link functions"
LAWS = ("factor-of-theta",)
SAYS = "a = D / (1 - p) in every entry"

w = np.array([1.0, 2.5, 0.7, 1.8, 1.1])
theta = np.array([0.2, 0.35, 0.5, 0.65, 0.8])


def loss(p):
    return float(-(w * np.log(p)).sum())


def right(p):
    return -w / p


def wrong(p):
    return w / (p**2 - p)
