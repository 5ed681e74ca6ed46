"""The Laplace distribution: the sign of the residual is taken at log(scale), not at the location."""

import numpy as np

SOURCE = "stanfordmlgroup/ngboost#177, 2020-09-01"
KIND = "likelihoods and link functions"
LAWS = ("unread",)
SAYS = "both blocks are wrong: another variable stands where the location belongs"

rng = np.random.default_rng(17)
y = 2 + rng.laplace(size=25)
theta = {"loc": 1.7, "logscale": 0.4}


def loss(p):
    return float((np.abs(y - p["loc"]) * np.exp(-p["logscale"]) + p["logscale"]).sum())


def slopes(p, location):
    scale = np.exp(p["logscale"])
    return {
        "loc": np.sign(location - y).sum() / scale,
        "logscale": (1 - np.abs(location - y) / scale).sum(),
    }


def right(p):
    return slopes(p, p["loc"])


def wrong(p):
    return slopes(p, p["logscale"])
