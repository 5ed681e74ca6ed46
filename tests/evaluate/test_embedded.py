"""Gradients that njit code calls."""

from collections import namedtuple

import numba
import numpy as np
import pytest
from numba import njit, prange
from numba.typed import List

import fastgrad as fg
from tests.losses import (
    log_sum_exp,
    log_sum_exp_grad,
    parallel_squares,
    rosenbrock,
    rosenbrock_grad,
)


@njit
def fitted(X, theta, y):
    r = X @ theta - y
    return r @ r


@pytest.mark.parametrize("method", [{}, {"order": 4}, {"order": 6}, {"method": "forward"}])
def test_it_is_the_gradient_that_grad_gives(method):
    g = fg.grad(rosenbrock, **method)
    far = 1e4 + np.random.default_rng(3).uniform(0.5, 1.5, 20)
    np.testing.assert_allclose(g.compiled(far), g(far), rtol=1e-12)
    for k in range(3):
        x = np.random.default_rng(k).uniform(0.05, 1.5, 5)
        np.testing.assert_allclose(g.compiled(x), g(x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(g.compiled(x), rosenbrock_grad(x), rtol=1e-5)


@pytest.mark.parametrize("method", [{}, pytest.param({"order": 4}, marks=pytest.mark.slow)])
def test_on_all_threads_it_is_the_same_bit_for_bit(method):
    """Also where another number of threads was asked for, and at more threads than entries."""
    g, asked = fg.grad(log_sum_exp, **method), numba.get_num_threads()
    serial, parallel = g.compiled, g.compiled_parallel
    try:
        for threads in (1, asked):
            numba.set_num_threads(threads)
            for n in (1, 3, 400):
                x = np.random.default_rng(n).normal(size=n)
                for _ in range(5):
                    np.testing.assert_array_equal(parallel(x), serial(x))
    finally:
        numba.set_num_threads(asked)
    np.testing.assert_allclose(parallel(x), log_sum_exp_grad(x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "name", ["compiled", pytest.param("compiled_parallel", marks=pytest.mark.slow)]
)
def test_an_optimiser_of_the_users_own_calls_it(name):
    slope = getattr(fg.grad(fitted, argnum=1), name)
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


Net = namedtuple("Net", "W b")


@njit
def net(p, x):
    total = 0.0
    for k in range(len(p[2])):
        total += (k + 1) * np.sin(p[2][k]).sum()
    return (np.tanh(x @ p[0].W) * p[0].b).sum() + p[1] ** 3 + total


@pytest.mark.slow
def test_structures_of_parameters():
    """Beside `grad` of the same structure, whose blocks have units of their own."""
    rng = np.random.default_rng(1)
    W, x = 1e-3 * rng.normal(size=(3, 2)), rng.normal(size=3)
    p = (Net(W, rng.normal(size=2)), 0.5, [rng.normal(size=2) for _ in range(9)])
    items = List()
    for item in p[2]:
        items.append(item)
    got = fg.grad(net).compiled((p[0], p[1], items), x)
    expected = fg.grad(net)(p, x)
    assert type(got[0]).__name__ == "Net"
    np.testing.assert_allclose(got[0].W, expected[0].W, rtol=1e-12)
    np.testing.assert_allclose(got[0].b, expected[0].b, rtol=1e-12)
    assert got[1] == pytest.approx(expected[1], rel=1e-12)
    np.testing.assert_allclose(np.array(list(got[2])), np.array(expected[2]), rtol=1e-12)
    np.testing.assert_allclose(got[0].b, np.tanh(x @ W), atol=1e-7)


@pytest.mark.slow
def test_it_runs_on_the_threads_of_its_caller():
    """A row that was allocated in a loop on threads was seen to lose its last store."""
    slope = fg.grad(log_sum_exp).compiled

    @njit(parallel=True)
    def everywhere(starts):
        made = np.empty_like(starts)
        for k in prange(starts.shape[0]):
            made[k] = slope(starts[k])
        return made

    starts = np.random.default_rng(0).normal(size=(500, 20))
    for _ in range(5):
        got = everywhere(starts)
        np.testing.assert_array_equal(got, np.array([slope(x) for x in starts]))
        expected = [log_sum_exp_grad(x) for x in starts]
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)


def test_what_it_does_not_know_is_said():
    for options in ({"trainable": "a"}, {"scale": 2.0}, {"step": "adaptive"}):
        with pytest.raises(ValueError, match=r"g\.compiled"):
            _ = fg.grad(rosenbrock, **options).compiled
    with pytest.raises(ValueError, match=r"runs on one thread.*g\.compiled "):
        _ = fg.grad(parallel_squares).compiled_parallel
    with pytest.raises(ValueError, match="one argnum"):
        _ = fg.grad(fitted, argnum=(0, 1)).compiled
