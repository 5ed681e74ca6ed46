"""Batch norm: everything that flows back to x was divided by the deviation before gamma came in."""

import numpy as np

SOURCE = "denizyuret/Knet.jl#288, 2018-03-20"
KIND = "normalisation layers"
LAWS = ("line-scale",)
SAYS = "each column of x is off by a factor of its own, 1 / gamma"

rng = np.random.default_rng(0)
C = rng.normal(size=(6, 4))
theta = {"x": rng.normal(size=(6, 4)), "gamma": rng.uniform(0.5, 2, 4), "beta": np.zeros(4)}


def forward(x):
    std = np.sqrt(x.var(axis=0) + 1e-5)
    return (x - x.mean(axis=0)) / std, std


def loss(p):
    return float((C * (p["gamma"] * forward(p["x"])[0] + p["beta"])).sum())


def right(p):
    xhat, std = forward(p["x"])
    d = C * p["gamma"]
    dx = (d - d.mean(axis=0) - xhat * (d * xhat).mean(axis=0)) / std
    return {"x": dx, "gamma": (C * xhat).sum(axis=0), "beta": C.sum(axis=0)}


def wrong(p):
    g = right(p)
    return {**g, "x": g["x"] / p["gamma"]}
