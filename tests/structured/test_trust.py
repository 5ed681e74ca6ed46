"""A structure is trusted only once it was certified, and is known as one at a perfect fit too."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import StructureError


@njit
def squares(w, X, y):
    r = X @ w - y
    return 0.5 * r @ r


@njit
def residuals(w, X, y):
    return X @ w - y


@njit
def delta(w, r, j, h, work, X, y):
    return (h * X[:, j] * (r + 0.5 * h * X[:, j])).sum()


@njit
def twice_delta(w, r, j, h, work, X, y):
    return 2 * (h * X[:, j] * (r + 0.5 * h * X[:, j])).sum()


@njit
def shifted_delta(w, r, j, h, work, X, y):
    return (h * X[:, j] * (r + 0.5 * h * X[:, j])).sum() + h


def problem(noise):
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(30, 8)), rng.normal(size=8)
    return w, X, X @ w + noise * rng.normal(size=30)


@pytest.mark.parametrize("step", [None, "adaptive"])
def test_an_estimate_by_a_wrong_structure_is_refused(step):
    wrong = fg.structured.Incremental(squares, residuals, twice_delta)
    w, X, y = problem(noise=1.0)
    with pytest.raises(StructureError, match="not that of the loss"):
        fg.grad(wrong, step=step).estimate(w, X, y)


def test_an_estimate_by_a_right_structure_is_certified():
    right = fg.structured.Incremental(squares, residuals, delta)
    w, X, y = problem(noise=1.0)
    got = fg.grad(right).estimate(w, X, y)
    assert right.certificates  # of these inputs
    assert np.all(np.abs(got.gradient - X.T @ (X @ w - y)) <= got.error)


def test_a_screen_asks_the_plain_loss_at_a_perfect_fit_too():
    """f(theta) = 0 there, which once passed for "not structured": nothing certifies a screen's."""
    w, X, y = problem(noise=0.0)
    loss = fg.structured.Incremental(squares, residuals, shifted_delta)
    claimed = np.zeros(8)
    claimed[3] = 1.0  # as the wrong structure has it
    report = fg.check_grad(loss, claimed, w, X, y, strategy="screen", budget=None)
    assert report.verdict == "disagrees"
    assert report.entries[0].name == "theta[3]"
    assert abs(report.entries[0].numeric) <= report.entries[0].error_bar
