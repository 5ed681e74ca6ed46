"""Regression with censored prices: the penalty is in the loss, and not in the gradient."""

import numpy as np
from scipy.stats import norm

SOURCE = "wush978/KDD2015wpp#11, 2017-10-12"
KIND = "likelihoods and link functions"
LAWS = ("missing-l2",)
SAYS = "the L2 term is missing"


rng = np.random.default_rng(7)
X = rng.normal(size=(30, 4))
price = X @ rng.normal(size=4) + rng.normal(size=30)
WON, L2 = price < 0.5, 0.2
bid = np.where(WON, price, 0.5)
theta = rng.normal(size=4) / 2


def loss(w):
    z = X @ w - bid
    logs = np.where(WON, norm.logpdf(z), norm.logcdf(z))
    return float(-logs.mean() + L2 / 2 * (w @ w))


def data_part(w):
    z = X @ w - bid
    slope = np.where(WON, z, -np.exp(norm.logpdf(z) - norm.logcdf(z)))
    return X.T @ slope / 30


def right(w):
    return data_part(w) + L2 * w


def wrong(w):
    return data_part(w)
