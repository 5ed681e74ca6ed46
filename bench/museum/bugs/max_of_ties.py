"""The maximum of a column: every entry that equals it gets the whole gradient."""

import numpy as np

SOURCE = "apache/mxnet#18563, 2020-06-15"
KIND = "pooling and ties"
LAWS = ("ties",)
SAYS = "no subgradient: along all ones the loss grows by 1, the gradient says 4"

theta = np.ones((4, 3))
C = np.array([1.0, 0.6, 1.7])


def loss(x):
    return float(C @ x.max(axis=0))


def right(x):
    ties = x == x.max(axis=0)
    return C * ties / ties.sum(axis=0)


def wrong(x):
    return C * (x == x.max(axis=0))
