"""A function that exists to one side of theta alone."""

import numpy as np

SOURCE = "PatWie/CppNumericalSolvers#92, 2017-11-09"
REASON = "bounds"

theta = np.array([0.0, 1.0, 0.4])


def loss(x):
    if np.any(x < 0) or np.any(x > 1):
        return float("nan")
    return float(((x - 0.3) ** 2).sum() + x[0] * x[1] + x[2] ** 3)


def right(x):
    return 2 * (x - 0.3) + np.array([x[1], x[0], 3 * x[2] ** 2])
