"""Poses in float32 and far from the origin: steps from the retraction, so that no right one is wrong."""

from collections import Counter

import numpy as np
import pytest

import fastgrad as fg
from tests.spaces.engines import pose_near

FAR = 1e9
"""Metres: a last place is 1e-7 m."""


def registration(rng, kind):
    """Points moved by a pose beside others, robustly, and the gradient."""
    P = 5 * rng.standard_normal((4, 3))
    T = pose_near(rng)
    T[:3, 3] = 5 * T[:3, 3] + (FAR * rng.standard_normal(3) if kind == "far" else 0)
    T = T.astype(np.float32) if kind == "float32" else T

    def moved(T):
        return P @ T[:3, :3].T.astype(float) + T[:3, 3].astype(float)

    Z = moved(T) + rng.standard_normal((4, 3))

    def loss(T):
        return np.sqrt(1 + ((moved(T) - Z) ** 2).sum(axis=1)).sum()

    def grad(T):
        e = moved(T) - Z
        force = e / np.sqrt(1 + (e**2).sum(axis=1))[:, None]
        body = force @ T[:3, :3].astype(float)
        return np.concatenate([np.cross(P, body).sum(axis=0), body.sum(axis=0)])

    return loss, grad, T


def verdicts(kind, seeds, wrong=1.0):
    found = Counter()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        loss, grad, T = registration(rng, kind)
        factor = np.ones(6)
        factor[rng.integers(6)] = wrong
        report = fg.check_grad(
            loss, lambda T, g=grad, f=factor: f * g(T), T, space=fg.spaces.pose(), backend="python"
        )
        found[report.verdict] += 1
    return found


@pytest.mark.parametrize("kind", ["float32", "far"])
def test_right_poses_are_never_called_wrong_and_wrong_ones_are(kind):
    found = verdicts(kind, range(20))
    assert found["disagrees"] == 0
    assert found["inconclusive"] <= 1
    assert verdicts(kind, range(10), wrong=1.02)["disagrees"] >= 9


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float32", "far"])
def test_of_300_right_poses_none_is_called_wrong_and_5_percent_stay_open(kind):
    found = verdicts(kind, range(300))
    assert found["disagrees"] == 0
    assert found["inconclusive"] <= 15
