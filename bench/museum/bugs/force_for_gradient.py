"""A training target made of forces: the gradient of the energy was handed out in their place."""

import numpy as np

SOURCE = "openforcefield/descent#70, 2024-07-27"
KIND = "wrong sign"
LAWS = ("sign",)
SAYS = "every entry has the wrong sign"

rng = np.random.default_rng(37)
theta = np.array([[0.0, 0, 0], [1.1, 0.1, 0], [0.4, 1.2, 0.3], [1.0, 0.9, 1.1]])
PAIRS = np.triu_indices(4, 1)


def loss(x):
    """Minus the energy of Lennard-Jones pairs: the potential whose gradient is the force."""
    r2 = ((x[PAIRS[0]] - x[PAIRS[1]]) ** 2).sum(axis=1)
    return float(-4 * (r2**-6 - r2**-3).sum())


def slope(x):
    d = x[PAIRS[0]] - x[PAIRS[1]]
    r2 = (d**2).sum(axis=1)
    pair = (4 * (-12 * r2**-7 + 6 * r2**-4))[:, None] * d
    g = np.zeros_like(x)
    np.add.at(g, PAIRS[0], pair)
    np.add.at(g, PAIRS[1], -pair)
    return g


def right(x):
    return -slope(x)


def wrong(x):
    return slope(x)
