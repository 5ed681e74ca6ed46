"""A Gaussian process: the derivative of the log marginal likelihood by the constant mean."""

import numpy as np

SOURCE = "STOR-i/GaussianProcesses.jl#26, 2016-07-28"
KIND = "wrong sign"
LAWS = ("sign",)
SAYS = "mean has the wrong sign, the kernel's parameters are right"

rng = np.random.default_rng(2)
t = 2 * np.pi * rng.uniform(size=10)
y = 0.2 + np.sin(t) + 0.05 * rng.normal(size=10)
R2 = (t[:, None] - t) ** 2
theta = {"mean": 0.1, "log_ell": 0.3, "log_noise": -1.0}


def solved(p):
    S = np.exp(-R2 / (2 * np.exp(2 * p["log_ell"])))
    K = S + np.exp(2 * p["log_noise"]) * np.eye(10)
    return S, K, np.linalg.solve(K, y - p["mean"])


def loss(p):
    _, K, alpha = solved(p)
    return float(-0.5 * (y - p["mean"]) @ alpha - 0.5 * np.linalg.slogdet(K)[1])


def right(p):
    S, K, alpha = solved(p)
    Q = np.outer(alpha, alpha) - np.linalg.inv(K)
    ell = 0.5 * (Q * S * R2 / np.exp(2 * p["log_ell"])).sum()
    noise = np.exp(2 * p["log_noise"]) * np.trace(Q)
    return {"mean": alpha.sum(), "log_ell": ell, "log_noise": noise}


def wrong(p):
    g = right(p)
    return {**g, "mean": -g["mean"]}
