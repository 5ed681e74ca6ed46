"""Pooling where the second largest is nearer than the step: its difference is not zero."""

import numpy as np

SOURCE = "zplizzi/tensorflow-fast-rcnn#12, 2017-03-01"
REASON = "kinks"

theta = np.array([[0.3, 0.7], [0.7 - 3e-6, 0.1]])


def loss(x):
    return float(1.3 * x.max() ** 2)


def right(x):
    return 2.6 * x.max() * (x == x.max())
