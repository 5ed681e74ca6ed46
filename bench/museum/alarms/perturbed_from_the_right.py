"""A residual of a rotation: its Jacobian is by the right perturbation, and was read as by the left."""

import numpy as np

SOURCE = "hku-mars/FAST-LIVO#80, 2023-10-21"
REASON = "a convention misread"

P, Z = np.array([0.4, -1.1, 0.8]), np.array([0.2, 0.5, -0.9])
c, s = np.cos(0.7), np.sin(0.7)
R0 = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
theta = np.zeros(3)


def cross(v):
    return np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])


def loss(v):
    """At R0 exp(v^), which is R0 (1 + v^ + v^ v^ / 2) up to v^3."""
    turned = R0 @ (np.eye(3) + cross(v) + cross(v) @ cross(v) / 2) @ P
    return float(0.5 * ((turned - Z) ** 2).sum())


def right(v):
    """At v = 0."""
    return -(R0 @ P - Z) @ R0 @ cross(P)
