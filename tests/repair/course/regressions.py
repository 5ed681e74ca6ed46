"""Likelihoods of regressions in statistics: normal, Poisson with exposure, Weibull."""

import numpy as np


def normal_loss(p, X, y):
    sigma = np.exp(p["log_sigma"])
    r = y - X @ p["beta"]
    return np.sum(0.5 * (r / sigma) ** 2 + p["log_sigma"])


def normal_grad(p, X, y):
    n = y.size
    sigma = np.exp(p["log_sigma"])
    r = y - X @ p["beta"]
    dbeta = -X.T @ r / sigma**2
    dlog_sigma = n - np.sum(r**2) / sigma**2
    return {"beta": dbeta, "log_sigma": dlog_sigma}


def normal_example(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(25 + seed, 3))
    theta = {"beta": rng.normal(size=3), "log_sigma": 0.4 + 0.1 * rng.normal()}
    return theta, (X, rng.normal(size=len(X)))


def poisson_loss(beta, X, y, exposure, tau):
    eta = X @ beta + np.log(exposure)
    return np.sum(np.exp(eta) - y * eta) + 0.5 * np.sum(beta**2) / tau**2


def poisson_grad(beta, X, y, exposure, tau):
    mu = exposure * np.exp(X @ beta)
    score = X.T @ (y - mu)
    return beta / tau**2 - score


def poisson_example(seed):
    rng = np.random.default_rng(seed)
    X = 0.5 * rng.normal(size=(18 + seed, 4))
    exposure = 0.5 + rng.random(len(X))
    counts = rng.poisson(2.0, len(X)).astype(float)
    return 0.5 * rng.normal(size=4), (X, counts, exposure, 1.5 + 0.2 * rng.random())


def weibull_loss(p, t, event):
    k, lam = np.exp(p[0]), np.exp(p[1])
    u = t / lam
    return -np.sum(event * (np.log(k) - np.log(lam) + (k - 1) * np.log(u)) - u**k)


def weibull_grad(p, t, event):
    k, lam = np.exp(p[0]), np.exp(p[1])
    u = t / lam
    g = np.empty(2)
    g[0] = -np.sum(event * (1 + k * np.log(u)) - k * u**k * np.log(u))
    g[1] = np.sum(event * k - k * u**k)
    return g


def weibull_example(seed):
    rng = np.random.default_rng(seed)
    t = rng.weibull(1.4, 30 + seed) + 0.05
    event = (rng.random(t.size) < 0.7).astype(float)
    return np.array([0.2, 0.1]) + 0.1 * rng.normal(size=2), (t, event)
