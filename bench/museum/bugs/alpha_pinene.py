"""A chain of reactions: the sensitivities are integrated without their own feedback, f_y S."""

import numpy as np

SOURCE = "scipy/scipy benchmarks/lsq_problems.py AlphaPineneDirect.jac, 2026-11-30"
KIND = "ODE sensitivities"
LAWS = ()
SAYS = "all entries are wrong: the state's part of the sensitivity equation is missing"

H, STEPS = 0.05, 30
target = np.array([0.35, 0.4, 0.2])
theta = np.array([0.9, 0.5, 0.3])


def rates(y, k):
    by_y = np.array([[-(k[0] + k[1]), 0, 0], [k[0], -k[2], 0], [k[1], k[2], 0]])
    by_k = np.array([[-y[0], -y[0], 0], [y[0], 0, -y[1]], [0, y[0], y[1]]])
    return by_y @ y, by_y, by_k


def solved(k, feedback=1):
    y, S = np.array([1.0, 0, 0]), np.zeros((3, 3))
    for _ in range(STEPS):
        f, by_y, by_k = rates(y, k)
        y, S = y + H * f, S + H * (feedback * by_y @ S + by_k)
    return y, (y - target) @ S


def loss(k):
    return float(0.5 * ((solved(k)[0] - target) ** 2).sum())


def right(k):
    return solved(k)[1]


def wrong(k):
    return solved(k, feedback=0)[1]
