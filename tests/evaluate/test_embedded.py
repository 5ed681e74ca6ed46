"""Gradients that njit code calls."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from tests.losses import rosenbrock, rosenbrock_grad


@njit
def fitted(X, theta, y):
    r = X @ theta - y
    return r @ r


@pytest.mark.parametrize("method", [{}, {"order": 4}, {"order": 6}, {"method": "forward"}])
def test_it_is_the_gradient_that_grad_gives(method):
    g = fg.grad(rosenbrock, **method)
    for k in range(3):
        x = np.random.default_rng(k).uniform(0.5, 1.5, 5)
        np.testing.assert_allclose(g.compiled(x), g(x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(g.compiled(x), rosenbrock_grad(x), rtol=1e-5)


def test_an_optimiser_of_the_users_own_calls_it():
    slope = fg.grad(fitted, argnum=1).compiled
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)

    @njit
    def descend(X, y, steps):
        theta = np.zeros(X.shape[1])
        for _ in range(steps):
            theta -= 0.01 * slope(X, theta, y)
        return theta

    np.testing.assert_allclose(descend(X, y, 500), np.linalg.lstsq(X, y)[0], rtol=1e-6)


@pytest.mark.slow
def test_matrices_numbers_integers_and_steps_of_ones_own():
    @njit
    def cubes(W, scale):
        return scale * (W**3).sum()

    W = np.arange(6.0).reshape(2, 3)
    got = fg.grad(cubes).compiled(W, 2.0)
    np.testing.assert_allclose(got, 6 * W**2, rtol=1e-8, atol=1e-9)
    square = njit(lambda x: x**2)
    assert fg.grad(square).compiled(3) == pytest.approx(6.0)
    assert fg.grad(square, method="forward", step=0.5).compiled(3.0) == pytest.approx(6.5)


def test_theta_is_left_alone_and_poles_are_approached():
    logs = fg.grad(njit(lambda x: np.log(x).sum())).compiled
    x = np.array([1e-9, 1.0])
    np.testing.assert_allclose(logs(x), [1e9, 1.0], rtol=1e-3)
    assert np.array_equal(x, [1e-9, 1.0])
    assert np.isnan(logs(np.array([-1.0, 1.0]))[0])


def test_what_it_does_not_know_is_said():
    for options in ({"trainable": "a"}, {"scale": 2.0}, {"step": "adaptive"}):
        with pytest.raises(ValueError, match=r"g\.compiled"):
            _ = fg.grad(rosenbrock, **options).compiled
    with pytest.raises(ValueError, match="one argnum"):
        _ = fg.grad(fitted, argnum=(0, 1)).compiled
