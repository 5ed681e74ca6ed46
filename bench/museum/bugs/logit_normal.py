"""The logit-normal distribution: log(x) where logit(x) belongs in the slope of its log density."""

import numpy as np

SOURCE = "JuliaStats/Distributions.jl#1221, 2020-11-12"
KIND = "likelihoods and link functions"
LAWS = ("function-of-theta",)
SAYS = "every entry is wrong; the error depends on the entry's own x"

MU, SIGMA = 0.3, 1.2
theta = np.random.default_rng(15).uniform(0.1, 0.9, 6)


def loss(x):
    z = (np.log(x / (1 - x)) - MU) / SIGMA
    return float((-0.5 * z**2 - np.log(x * (1 - x))).sum())


def slope(x, position):
    return ((MU - position) / SIGMA**2 + 2 * x - 1) / (x * (1 - x))


def right(x):
    return slope(x, np.log(x / (1 - x)))


def wrong(x):
    return slope(x, np.log(x))
