"""The eight schools: the slope by mu has its prior alone. All effects equal to mu hide it."""

import numpy as np

SOURCE = "pints-team/pints#1136, 2020-05-14"
KIND = "likelihoods and link functions"
LAWS = ("only-l2",)
SAYS = "mu: only the prior's part is there, mu / 25"

y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
s = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
rng = np.random.default_rng(16)
theta = {"mu": 4.0, "tau": 3.0, "effect": 4 + 3 * rng.normal(size=8)}


def loss(p):
    prior = p["mu"] ** 2 / 50 + np.log(1 + (p["tau"] / 5) ** 2)
    spread = ((p["effect"] - p["mu"]) ** 2).sum() / (2 * p["tau"] ** 2) + 8 * np.log(p["tau"])
    return float(prior + spread + (((y - p["effect"]) / s) ** 2).sum() / 2)


def right(p):
    d, tau = p["effect"] - p["mu"], p["tau"]
    return {
        "mu": p["mu"] / 25 - d.sum() / tau**2,
        "tau": 2 * tau / (25 + tau**2) - (d**2).sum() / tau**3 + 8 / tau,
        "effect": d / tau**2 - (y - p["effect"]) / s**2,
    }


def wrong(p):
    return {**right(p), "mu": p["mu"] / 25}
