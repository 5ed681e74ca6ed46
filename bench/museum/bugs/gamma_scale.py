"""Gamma regression: the likelihood estimates its scale from residuals, the score takes it as given."""

import numpy as np
from scipy.special import digamma, gammaln

SOURCE = "statsmodels/statsmodels#4616, 2018-05-10"
KIND = "likelihoods and link functions"
LAWS = ()
SAYS = "all entries are wrong: the path by way of the estimated scale is missing"


rng = np.random.default_rng(52)
X = np.c_[np.ones(20), rng.normal(size=(20, 2))]
y = rng.gamma(2.0, np.exp(X @ [0.5, 0.3, -0.4]) / 2)
theta = np.array([0.4, 0.2, -0.3])


def parts(b):
    mu = np.exp(X @ b)
    return mu, ((y / mu - 1) ** 2).sum() / 17


def loss(b):
    mu, scale = parts(b)
    k = 1 / scale
    return float((k * np.log(k * y / mu) - k * y / mu - np.log(y) - gammaln(k)).sum())


def right(b):
    mu, scale = parts(b)
    k = 1 / scale
    by_k = (np.log(k * y / mu) + 1 - y / mu - digamma(k)).sum()
    by_scale = X.T @ (-2 * (y / mu - 1) * y / mu) / 17
    return wrong(b) - by_k * k**2 * by_scale


def wrong(b):
    mu, scale = parts(b)
    return X.T @ (y / mu - 1) / scale
