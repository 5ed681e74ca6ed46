"""An implicit equation solved to 1e-9: 66% off with a step of 1e-9, right with 1e-4."""

import numpy as np

SOURCE = "pasteurlabs/tesseract-core#740, 2026-09-08"
REASON = "noise of solvers"

B = np.array([[0.2, -0.1, 0.3], [0.1, 0.25, -0.2], [-0.3, 0.1, 0.15]])
C = np.array([1.0, -2.0, 0.5])
theta = np.array([0.4, -0.6, 1.1])


def solved(x, tolerance):
    u = np.zeros(3)
    for _ in range(200):
        new = np.tanh(x + B @ u)
        if np.abs(new - u).max() < tolerance:
            return new
        u = new
    return u


def loss(x):
    return float(C @ solved(x, 1e-9))


def right(x):
    u = solved(x, 1e-15)
    slope = np.diag(1 - u**2)
    return np.linalg.solve((np.eye(3) - slope @ B).T, C) @ slope
