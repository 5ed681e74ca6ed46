"""A point turned by a quaternion that the loss normalises: its Jacobian took it for a unit one."""

import numpy as np

SOURCE = "RobotLocomotion/drake#10654, 2019-02-12"
KIND = "missing term"
LAWS = ("not-scale-free", "not-projected")
SAYS = "the loss does not change with the quaternion's length; the gradient says it does"

POINT, C = np.array([0.4, -1.0, 0.7]), np.array([1.0, 0.5, -0.8])
theta = np.array([1.4, 0.6, -0.9, 0.8])


def rotated(u):
    w, v = u[0], u[1:]
    return (w * w - v @ v) * POINT + 2 * v * (v @ POINT) + 2 * w * np.cross(v, POINT)


def loss(q):
    return float(C @ rotated(q / np.linalg.norm(q)))


def of_unit(u):
    w, v = u[0], u[1:]
    by_w = 2 * w * (C @ POINT) + 2 * C @ np.cross(v, POINT)
    by_v = -2 * v * (C @ POINT) + 2 * C * (v @ POINT) + 2 * POINT * (C @ v)
    return np.r_[by_w, by_v + 2 * w * np.cross(POINT, C)]


def right(q):
    r = np.linalg.norm(q)
    g = of_unit(q / r)
    return (g - q * (q @ g) / r**2) / r


def wrong(q):
    return of_unit(q / np.linalg.norm(q))
