"""theta that is not the first argument, or several arguments: data-first losses."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import MutatedInputError


@njit
def nll(x, mu, sigma):
    z = (x - mu) / sigma
    return 0.5 * (z * z).sum() + x.size * np.log(sigma)


def nll_grad(x, mu, sigma):
    z = (x - mu) / sigma
    return -z.sum() / sigma, (x.size - (z * z).sum()) / sigma


X = np.random.default_rng(0).normal(1.0, 2.0, 50)
THETA = 0.5, 1.5
BACKENDS = ["auto", "python"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("argnum", [(1, 2), ("mu", "sigma"), [1, "sigma"]])
def test_the_gradient_by_several_arguments_is_their_tuple(argnum, backend):
    g = fg.grad(nll, argnum=argnum, backend=backend)
    expected = nll_grad(X, *THETA)
    np.testing.assert_allclose(g(X, *THETA), expected, rtol=1e-8)
    mu, sigma = g.bind(X)(*THETA)
    assert (mu, sigma) == tuple(g(X, *THETA))
    value, got = g.value_and_grad(X, *THETA)
    assert (value, got) == (nll(X, *THETA), (mu, sigma))
    assert np.abs(np.subtract(g.estimate(X, *THETA).gradient, expected)).max() < 1e-7


def test_the_order_of_argnum_is_that_of_the_gradient():
    sigma, mu = fg.grad(nll, argnum=("sigma", "mu"))(X, *THETA)
    np.testing.assert_allclose((mu, sigma), nll_grad(X, *THETA), rtol=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_call_checks_several_arguments(backend):
    report = fg.check_grad(nll, nll_grad, THETA, X, argnum=("mu", "sigma"), backend=backend)
    assert report.verdict == "agrees", report
    assert [block.name for block in report.blocks] == ["mu", "sigma"]

    def wrong(x, mu, sigma):
        by_mu, by_sigma = nll_grad(x, mu, sigma)
        return by_mu, -by_sigma

    report = fg.check_grad(nll, wrong, THETA, X, argnum=(1, 2), backend=backend)
    assert (report.verdict, report.entries[0].name) == ("disagrees", "sigma")
    assert fg.check_grad(
        nll, lambda x, mu, sigma: nll_grad(x, mu, sigma)[0], 0.5, X, 1.5, argnum="mu"
    )


def test_a_compiled_gradient_and_values_and_points():
    @njit
    def compiled(x, mu, sigma):
        z = (x - mu) / sigma
        return -z.sum() / sigma, (x.size - (z * z).sum()) / sigma

    assert fg.check_grad(nll, compiled, THETA, X, argnum=(1, 2), points=3)
    assert fg.check_grad(nll, nll_grad(X, *THETA), THETA, X, argnum=(1, 2))
    assert fg.check_grad(nll, np.array(nll_grad(X, *THETA)), THETA, X, argnum=(1, 2))
    names = {"sigma": 1.5, "mu": 0.5}
    assert fg.check_grad(nll, nll_grad, names, X, argnum=("mu", "sigma"), trainable="mu")


def test_an_argument_is_trainable_by_its_name_at_points_drawn_by_number():
    """The name that a report has for it, at every point."""

    def loss(a, x):
        return a * (x**3).sum()

    x = np.array([0.5, 1.0, 2.0])
    options = {"argnum": 1, "points": 3, "backend": "python"}
    report = fg.check_grad(loss, lambda a, x: 3 * a * x**2, x, 2.0, trainable="x", **options)
    assert report.verdict == "agrees", report
    assert [block.name for point in report.points for block in point.blocks] == 3 * ["x"]


def test_arrays_among_several_arguments_are_blocks():
    @njit
    def loss(X, w, y, b):
        return ((X @ w + b - y) ** 2).sum()

    def gradient(X, w, y, b):
        r = 2 * (X @ w + b - y)
        return X.T @ r, r.sum()

    A, y, w = np.random.default_rng(1).normal(size=(3, 4, 4))[0], np.ones(4), np.arange(4.0)
    report = fg.check_grad(loss, gradient, (w, 0.5), A, y, argnum=("w", "b"))
    assert report.verdict == "agrees"
    assert report.entries[0].name.startswith(("w[", "b"))


def test_a_check_by_argnum_names_what_was_written_to():
    def writes(x, mu, sigma):
        x[0] += 1.0
        return nll_grad(x, mu, sigma)

    with pytest.raises(MutatedInputError, match="argument number 0"):
        fg.check_grad(nll, writes, THETA, X.copy(), argnum=(1, 2))


@pytest.mark.parametrize("argnum", ["nu", (1, 1), -1, (), True])
def test_an_argument_that_is_not_there(argnum):
    with pytest.raises(ValueError, match=r"argnum="):
        fg.grad(nll, argnum=argnum)
    with pytest.raises(ValueError, match=r"argnum="):
        fg.check_grad(nll, nll_grad, THETA, X, argnum=argnum)


def test_a_theta_that_is_not_one_part_for_each():
    with pytest.raises(TypeError, match="expected theta to be a tuple of mu, sigma"):
        fg.check_grad(nll, nll_grad, 0.5, X, argnum=(1, 2))
