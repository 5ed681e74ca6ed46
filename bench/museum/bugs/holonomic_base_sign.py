"""The dual quaternion of a mobile base: one of the terms of its Jacobian has the wrong sign."""

import numpy as np

SOURCE = "dqrobotics/matlab#62, 2020-08-01"
KIND = "wrong sign"
LAWS = ()
SAYS = "phi alone is wrong"

C = np.array([0.3, -1.2, 0.8, 0.5])
theta = {"x": 0.7, "y": -0.4, "phi": 1.1}


def loss(q):
    x, y, c, s = q["x"], q["y"], np.cos(q["phi"] / 2), np.sin(q["phi"] / 2)
    return float(C @ np.array([c, s, 0.5 * (x * c + y * s), 0.5 * (y * c - x * s)]))


def jacobian(q, sign):
    x, y, c, s = q["x"], q["y"], np.cos(q["phi"] / 2), np.sin(q["phi"] / 2)
    by_phi = np.array([-s / 2, c / 2, (-x * s + y * c) / 4, (sign * x * c - y * s) / 4])
    return {"x": C @ [0, 0, c / 2, -s / 2], "y": C @ [0, 0, s / 2, c / 2], "phi": C @ by_phi}


def right(q):
    return jacobian(q, -1)


def wrong(q):
    return jacobian(q, 1)
