"""Forces as slopes of a log density: "they need a minus sign", which the density has already."""

import numpy as np

SOURCE = "lollcat/se3-augmented-coupling-flows#71, 2023-12-12"
REASON = "a convention misread"

BETA = 1.3
theta = np.array([[0.0, 0.1], [1.2, -0.2], [0.5, 1.0]])
FIRST, SECOND = np.triu_indices(3, 1)


def loss(x):
    r = np.sqrt(((x[FIRST] - x[SECOND]) ** 2).sum(axis=1))
    return float(-BETA * ((r - 1) ** 2).sum())


def right(x):
    d = x[FIRST] - x[SECOND]
    r = np.sqrt((d**2).sum(axis=1))
    pair = (-2 * (r - 1) / r)[:, None] * d
    force = np.zeros_like(x)
    np.add.at(force, FIRST, pair)
    np.add.at(force, SECOND, -pair)
    return BETA * force
