"""Defects of other checkers, each shown not to be ours."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg


@njit
def cubes(x):
    return (x * x * x).sum()


def slope(x):
    return 3 * x * x


X = np.random.default_rng(0).normal(size=3000)


def test_the_tolerance_does_not_grow_with_the_array():
    """jax multiplies it by the size: from 500 float32 entries on, anything passes."""
    wrong = slope(X).astype(np.float32)
    wrong[1234] *= 1.01
    report = fg.check_grad(cubes, wrong, X)
    assert [e.name for e in report.entries] == ["theta[1234]"]


def test_a_zero_that_should_not_be_one_is_seen():
    """scipy differences only on the pattern under test."""
    wrong = slope(X)
    wrong[7] = 0.0
    assert fg.check_grad(cubes, wrong, X).entries[0].name == "theta[7]"


def test_true_zeros_pass():
    """OpenMDAO: forward differences, relative tolerance, no absolute one."""

    def flat_in_b(p):
        return (p.a**2).sum() + 0.0 * p.b.sum()

    theta = {"a": np.arange(1.0, 4.0), "b": np.ones(3)}
    report = fg.check_grad(flat_in_b, lambda p: {"a": 2 * p["a"], "b": np.zeros(3)}, theta)
    assert report.verdict == "agrees"


def test_a_true_zero_by_cancellation_passes():
    def shifted(p, y):
        z = p.x + p.b
        z = z - z.mean()
        return (np.tanh(z) * y).sum()

    y = np.random.default_rng(1).normal(size=8)

    def gradient(p, y):
        z = p["x"] + p["b"]
        g = (1 - np.tanh(z - z.mean()) ** 2) * y
        return {"x": g - g.mean(), "b": 0.0}

    theta = {"x": np.random.default_rng(2).normal(size=8), "b": 0.3}
    assert fg.check_grad(shifted, gradient, theta, y).verdict == "agrees"


def test_every_entry_is_checked_once_and_a_step_is_what_it_says():
    """tesseract samples with replacement, and took a relative step for an absolute one."""
    x = np.array([1e3, 1.0, 1e-3])
    report = fg.check_grad(cubes, slope(x), x, step=2.0**-12, rtol=1e-3)
    assert sorted(e.name for e in report.entries) == ["theta[0]", "theta[1]", "theta[2]"]
    assert {e.step for e in report.entries} == {2.0**-12}


def test_the_step_does_not_depend_on_the_gradient_under_test():
    """pyPESTO keeps the step that agrees best."""
    right = fg.check_grad(cubes, slope(X[:5]), X[:5])
    wrong = fg.check_grad(cubes, slope(X[:5]) * 1.1, X[:5])
    assert {e.name: e.step for e in right.entries} == {e.name: e.step for e in wrong.entries}


def test_no_false_certainty_at_a_kink():
    """jacobi: derivative 0 with error 0 for |x| at 0."""
    result = fg.grad(abs_sum).estimate(np.zeros(2))
    assert np.all(result.error > 0.5)


@njit
def abs_sum(x):
    return np.abs(x).sum()


def test_the_central_step_is_not_the_forward_one():
    """optimagic: 100 times the error."""
    got = fg.grad(cubes)(X)
    assert np.abs(got - slope(X)).max() < 1e-9 * np.abs(slope(X)).max()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_errors_of_both_signs_are_errors(sign):
    """numDeriv's own tests compare signed errors."""
    wrong = slope(X)
    wrong[3] += 0.01 * sign
    assert fg.check_grad(cubes, wrong, X).verdict == "disagrees"


def test_a_huge_relative_error_never_passes():
    """warp printed 1.6e3 as a pass."""
    report = fg.check_grad(cubes, 1.6e3 * slope(X), X)
    assert not report
    assert all(block.verdict == "disagrees" for block in report.blocks)
