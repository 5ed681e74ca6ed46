"""Thetas without a space that look like they had one are asked about."""

import numpy as np
import pytest

import fastgrad as fg
from tests.spaces.engines import pose_near

rng = np.random.default_rng(0)
S = rng.standard_normal((5, 5))
S = S + S.T
x = rng.standard_normal(5)
x /= np.linalg.norm(x)


def rayleigh(x):
    return x @ S @ x / (x @ x)


def unprojected(x):
    return 2 * S @ x


def test_a_projection_that_is_missing_asks_for_the_sphere():
    report = fg.check_grad(rayleigh, unprojected, x, backend="python")
    sentence = report.diagnoses[0].sentence
    assert "the part that normalising removes" in sentence
    assert "theta has norm 1: if it lives on the sphere, say so" in sentence


def test_points_that_leave_the_sphere_ask_for_it():
    def right_on_it(x):
        return 2 * (S @ x - (x @ S @ x) * x)

    report = fg.check_grad(rayleigh, right_on_it, x, points=2, backend="python")
    assert report.verdict == "disagrees"
    assert report.remarks[0].startswith(
        "theta has norm 1: if it lives on the sphere, say so, by space"
    )
    assert fg.check_grad(
        rayleigh, right_on_it, x, points=3, space=fg.spaces.sphere(), backend="python"
    )


def test_a_loss_that_refuses_every_neighbour_asks_for_its_set():
    def strict(P):
        if not np.array_equal(P, P.T):
            raise ValueError("not symmetric")
        return (P * S).sum()

    report = fg.check_grad(strict, lambda P: S, S.copy(), backend="python")
    assert report.verdict == "inconclusive"
    assert any("theta is symmetric: if it lives on the symmetric" in r for r in report.remarks)


def test_six_numbers_for_sixteen_ask_for_a_space():
    with pytest.raises(ValueError, match=r"a gradient in a tangent space\? Say which by space="):
        fg.check_grad(lambda T: T[0, 3], lambda T: np.zeros(6), pose_near(rng), backend="python")
