"""A margin loss whose examples sit on the margin: any slope between the two is right."""

import numpy as np

SOURCE = "BVLC/caffe#1334, 2014-10-20"
REASON = "kinks"

X = np.array([[1.0, 0.5], [2.0, -1.0], [-1.0, 1.0], [0.5, 0.25]])
y = np.array([1.0, 1.0, -1.0, 1.0])
theta = np.array([1.0, 0.0])


def loss(w):
    return float(np.maximum(0, 1 - y * (X @ w)).sum() + 0.05 * w @ w)


def right(w):
    active = 1 - y * (X @ w) > 0
    return -(X * y[:, None])[active].sum(axis=0) + 0.1 * w
