"""The maximum of ties: a third for each of three is a subgradient, as the whole for one is."""

import numpy as np

SOURCE = "tensorflow/tensorflow#4886, 2016-10-11"
REASON = "kinks"

theta = np.array([1.0, 2.0, 2.0, 2.0])


def loss(x):
    return float(x.max())


def right(x):
    ties = x == x.max()
    return ties / ties.sum()
