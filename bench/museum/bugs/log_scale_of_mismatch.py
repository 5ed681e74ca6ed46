"""A posterior over log(rho): the chain rule's factor rho is missing."""

import numpy as np

SOURCE = "alan-turing-institute/stat-fem#35, 2020-10-20"
KIND = "wrong variable"
LAWS = ("change-of-variables",)
SAYS = "log_rho: the derivative by exp(theta), not by theta"

rng = np.random.default_rng(14)
u, y = rng.normal(size=8), rng.normal(size=8)
theta = {"log_rho": 0.6, "log_sigma": -0.3}


def loss(p):
    r = y - np.exp(p["log_rho"]) * u
    return float(0.5 * (r @ r) * np.exp(-2 * p["log_sigma"]) + 8 * p["log_sigma"])


def by_rho(p):
    r = y - np.exp(p["log_rho"]) * u
    precision = np.exp(-2 * p["log_sigma"])
    return -(r @ u) * precision, 8 - (r @ r) * precision


def right(p):
    rho, sigma = by_rho(p)
    return {"log_rho": rho * np.exp(p["log_rho"]), "log_sigma": sigma}


def wrong(p):
    rho, sigma = by_rho(p)
    return {"log_rho": rho, "log_sigma": sigma}
