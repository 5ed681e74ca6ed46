"""Centre loss: the mean over the batch reached the features' gradient, and not that of the centres."""

import numpy as np

SOURCE = "jxgu1016/MNIST_center_loss_pytorch#10, 2018-10-04"
KIND = "batch mean or sum"
LAWS = ("scale",)
SAYS = "centers: 10 times the right one, 10 being the batch"

rng = np.random.default_rng(35)
y = rng.integers(0, 3, 10)
theta = {"features": rng.normal(size=(10, 2)), "centers": rng.normal(size=(3, 2))}


def loss(p):
    return float(((p["features"] - p["centers"][y]) ** 2).sum() / 2 / 10)


def right(p):
    d = (p["features"] - p["centers"][y]) / 10
    dc = np.zeros((3, 2))
    np.add.at(dc, y, -d)
    return {"features": d, "centers": dc}


def wrong(p):
    g = right(p)
    return {**g, "centers": 10 * g["centers"]}
