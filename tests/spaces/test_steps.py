"""Poses in float32 and far from the origin: steps from the retraction, so that no right one is wrong."""

from collections import Counter

import numpy as np
import pytest

import fastgrad as fg
from tests.spaces.engines import pose_near

FAR = 1e9
"""Metres: a last place is 1e-7 m."""


def registration(rng, kind, n=()):
    """Points moved by poses beside others, robustly, and the gradient."""
    P = 5 * rng.standard_normal((*n, 4, 3))
    T = pose_near(rng, n)
    T[..., :3, 3] = 5 * T[..., :3, 3] + (FAR * rng.standard_normal((*n, 3)) if kind == "far" else 0)
    T = T.astype(np.float32) if kind == "float32" else T

    def moved(T):
        T = T.astype(float)
        return P @ np.swapaxes(T[..., :3, :3], -1, -2) + T[..., None, :3, 3]

    Z = moved(T) + rng.standard_normal((*n, 4, 3))

    def loss(T):
        return np.sqrt(1 + ((moved(T) - Z) ** 2).sum(axis=-1)).sum()

    def grad(T):
        e = moved(T) - Z
        force = e / np.sqrt(1 + (e**2).sum(axis=-1, keepdims=True))
        body = force @ T[..., :3, :3].astype(float)
        return np.concatenate([np.cross(P, body).sum(axis=-2), body.sum(axis=-2)], axis=-1)

    return loss, grad, T


def verdicts(kind, seeds, wrong=1.0, n=(), **options):
    found = Counter()
    options = {"space": fg.spaces.pose(), "backend": "python", **options}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        loss, grad, T = registration(rng, kind, n)
        factor = np.ones((*n, 6))
        factor.reshape(-1)[rng.integers(factor.size)] = wrong
        report = fg.check_grad(loss, lambda T, g=grad, f=factor: f * g(T), T, **options)
        found[report.verdict] += 1
    return found


@pytest.mark.parametrize("kind", ["float32", "far"])
def test_right_poses_are_never_called_wrong_and_wrong_ones_are(kind):
    assert verdicts(kind, range(10)) == {"agrees": 10}
    assert verdicts(kind, range(10), wrong=1.02)["disagrees"] >= 9


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float32", "far"])
def test_of_300_right_poses_none_is_called_wrong_and_5_percent_stay_open(kind):
    found = verdicts(kind, range(300))
    assert found["disagrees"] == 0
    assert found["inconclusive"] <= 15


@pytest.mark.parametrize("kind", ["float32", "far"])
def test_batches_of_poses_are_stepped_as_single_ones(kind):
    """A pose has two units, radians and metres: entries of either are measured beside their like."""
    assert verdicts(kind, range(6), n=(5,)) == {"agrees": 6}
    assert verdicts(kind, range(3), wrong=1.1, n=(5,))["disagrees"] >= 2
    screened = {"n": (200,), "strategy": "screen", "budget": None}
    assert verdicts(kind, range(3), **screened) == {"agrees": 3}
    assert verdicts(kind, range(3), wrong=-5.0, **screened)["disagrees"] >= 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float32", "far"])
def test_of_300_right_batches_none_is_called_wrong_and_5_percent_stay_open(kind):
    """Seen: all agree."""
    found = verdicts(kind, range(200), n=(6,))
    found += verdicts(kind, range(100), n=(100,), strategy="screen", budget=None)
    assert found["disagrees"] == 0
    assert found["inconclusive"] <= 15
