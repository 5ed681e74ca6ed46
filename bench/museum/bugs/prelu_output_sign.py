"""PReLU: which side it is on is read from the output's sign, which a negative slope turns round."""

import numpy as np

SOURCE = "apache/mxnet#3277, 2016-09-10"
KIND = "wrong activation derivative"
LAWS = ("line-scale", "zero")
SAYS = "wrong where x < 0 and the channel's slope is negative"

rng = np.random.default_rng(30)
C = rng.normal(size=(6, 4))
theta = {"x": rng.normal(size=(6, 4)), "slope": np.array([0.25, -0.4, 0.1, -0.7])}


def output(p):
    return np.where(p["x"] > 0, p["x"], p["slope"] * p["x"])


def loss(p):
    return float((C * output(p)).sum())


def backward(p, side):
    dx = np.where(side > 0, C, C * p["slope"])
    return {"x": dx, "slope": np.where(side > 0, 0, C * p["x"]).sum(axis=0)}


def right(p):
    return backward(p, p["x"])


def wrong(p):
    return backward(p, output(p))
