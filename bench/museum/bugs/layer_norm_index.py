"""Layer norm from its output: gamma and beta were read at the thread's row, not at its column."""

import numpy as np

SOURCE = "deepspeedai/DeepSpeed#692, 2021-01-26"
KIND = "wrong axis"
LAWS = ()
SAYS = "gamma is wrong, beta is right"

rng = np.random.default_rng(20)
x, C = rng.normal(size=(4, 4)), rng.normal(size=(4, 4))
XHAT = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
theta = {"gamma": rng.uniform(0.5, 2, 4), "beta": rng.normal(size=4)}


def output(p):
    return p["gamma"] * XHAT + p["beta"]


def loss(p):
    return float((C * np.sin(output(p))).sum())


def backward(p, gamma, beta):
    d = C * np.cos(output(p))
    return {"gamma": (d * (output(p) - beta) / gamma).sum(axis=0), "beta": d.sum(axis=0)}


def right(p):
    return backward(p, p["gamma"], p["beta"])


def wrong(p):
    return backward(p, p["gamma"][:, None], p["beta"][:, None])
