"""A sum over grid points with weights that are normalised over atoms: the weights' slope is left out."""

import numpy as np

SOURCE = "Open-Quantum-Platform/openqp#385, 2026-08-28"
KIND = "missing term"
LAWS = ()
SAYS = "all entries are off: what the weights change by is missing"

rng = np.random.default_rng(36)
offsets = 0.6 * rng.normal(size=(5, 3))
theta = rng.normal(size=(3, 3))


def energy(x, with_weights):
    """Energy and gradient; every grid point moves with an atom a."""
    E, g = 0.0, np.zeros_like(x)
    for a in range(3):
        for o in offsets:
            d = x[a] + o - x
            w = np.exp(-(d**2).sum(axis=1))
            p, rho = w[a] / w.sum(), np.sqrt(w).sum()
            others = d * (np.arange(3) != a)[:, None]
            dp = -p * 2 * others * w[:, None] / w.sum()
            drho = others * np.sqrt(w)[:, None]
            dp[a], drho[a] = -dp.sum(axis=0), -drho.sum(axis=0)
            E, g = E + p * rho**2, g + with_weights * dp * rho**2 + 2 * p * rho * drho
    return E, g


def loss(x):
    return float(energy(x, 1)[0])


def right(x):
    return energy(x, 1)[1]


def wrong(x):
    return energy(x, 0)[1]
