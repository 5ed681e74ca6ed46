"""Layer norm: the gradients of weight and bias were handed out the other way round."""

import numpy as np

SOURCE = "Oneflow-Inc/oneflow#6149, 2021-09-03"
KIND = "wrong variable"
LAWS = ("swapped",)
SAYS = "weight has the gradient of bias, bias that of weight"

rng = np.random.default_rng(22)
x, C = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
XHAT = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
theta = {"weight": rng.uniform(0.5, 2, 4), "bias": rng.normal(size=4)}


def loss(p):
    return float((C * np.sin(p["weight"] * XHAT + p["bias"])).sum())


def right(p):
    d = C * np.cos(p["weight"] * XHAT + p["bias"])
    return {"weight": (d * XHAT).sum(axis=0), "bias": d.sum(axis=0)}


def wrong(p):
    g = right(p)
    return {"weight": g["bias"], "bias": g["weight"]}
