"""Parameters whose loss turns within a small part of their size, in units of their own.

A screen called right gradients wrong where single entries were looked at beyond those turns: f has a
slope of nothing there at every step, and two wider steps confirmed it.
"""

import numpy as np
import pytest

import fastgrad as fg

FAR = 1e9
SEEDS = [range(12), pytest.param(range(12, 112), marks=pytest.mark.slow)]


def waves(seed):
    """sin(3 (x - 1e9)) in units of 10^k, where products of units and numbers are rounded."""
    rng = np.random.default_rng([seed, 9])
    unit, x = 10.0 ** rng.integers(-15, 16, 4), FAR + rng.uniform(-2, 2, 4)

    def loss(theta):
        return float(np.sin(3.0 * (unit * theta - FAR)).sum())

    theta = x / unit
    return loss, 3.0 * np.cos(3.0 * (unit * theta - FAR)) * unit, theta


def bells(seed):
    """exp(-(x - 1e9)^2) likewise: f is flat all around."""
    rng = np.random.default_rng([seed, 10])
    unit = 10.0 ** rng.integers(-15, 16, 4)
    theta = (FAR + rng.uniform(0.2, 1.5, 4) * rng.choice([-1, 1], 4)) / unit

    def loss(theta):
        return float(np.exp(-((unit * theta - FAR) ** 2)).sum())

    u = unit * theta - FAR
    return loss, -2.0 * u * np.exp(-u * u) * unit, theta


@pytest.mark.parametrize("seeds", SEEDS, ids=["few", "many"])
@pytest.mark.parametrize("strategy", ["sweep", "screen"])
@pytest.mark.parametrize("problem", [waves, bells])
def test_right_entries_are_never_blamed_and_a_sign_is_found(problem, strategy, seeds):
    options = {"strategy": strategy, "backend": "python"}
    for seed in seeds:
        loss, g, theta = problem(seed)
        assert fg.check_grad(loss, g, theta, **options).verdict == "agrees", seed
        wrong = g * [-1.0, 1.0, 1.0, 1.0]
        report = fg.check_grad(loss, wrong, theta, **options)
        blamed = [entry.index for entry in report.entries if entry.verdict == "disagrees"]
        assert blamed == [(0,)], seed
