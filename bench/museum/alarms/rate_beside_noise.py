"""A rate of 1e-4 beside noise parameters: no one step suits all, and the slopes are right."""

import numpy as np

SOURCE = "AMICI-dev/AMICI#3226, 2026-08-07"
REASON = "scales"

t = np.linspace(0.5, 20, 12)
y = 3 * np.exp(-0.11 * t) + 0.4 * np.sin(9 * t)
theta = {"a": 1e-4, "k": 0.1, "std": 0.05}


def loss(p):
    u, h = np.full(12, 3.0), t / 400
    for _ in range(400):
        k1 = -(p["k"] + 100 * p["a"]) * u
        u = u + h * -(p["k"] + 100 * p["a"]) * (u + h / 2 * k1)
    return float((0.5 * ((y - u) / p["std"]) ** 2 + np.log(p["std"])).sum())


def right(p):
    k, h = p["k"] + 100 * p["a"], t / 400
    growth = 1 - h * k + (h * k) ** 2 / 2
    u = 3 * growth**400
    by_k = 3 * 400 * growth**399 * (-h + h**2 * k)
    d = -((y - u) / p["std"] ** 2 * by_k).sum()
    std = (-((y - u) ** 2) / p["std"] ** 3 + 1 / p["std"]).sum()
    return {"a": 100 * d, "k": d, "std": std}
