import numpy as np
import pytest

from fastgrad.models import garch


def naive_recursion(params, returns):
    """Negative log-likelihood and its gradient, with every h_t and dh_t/dtheta written down."""
    n = len(returns)
    h = np.empty(n)
    dh = np.zeros((n, 3))
    h[0] = np.mean(returns**2)
    for t in range(1, n):
        u = np.array([1.0, returns[t - 1] ** 2, h[t - 1]])
        h[t] = u @ np.array(params)
        dh[t] = u + params.beta * dh[t - 1]
    value = np.mean(np.log(2 * np.pi) + np.log(h) + returns**2 / h) / 2
    return value, ((1 / h - returns**2 / h**2) @ dh) / (2 * n)


@pytest.mark.parametrize("params", [garch.init(), garch.Parameters(0.3, 0.3, 0.5)])
def test_recursion(params):
    returns = garch.simulate(garch.init(), 300, seed=4)
    value, gradient = naive_recursion(params, returns)
    assert garch.loss(params, returns) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(garch.grad(params, returns), gradient, rtol=1e-11)


def test_a_recursion_forgotten_in_the_gradient_is_caught():
    params, returns = garch.init(), garch.simulate(garch.init(), 300, seed=4)
    h = np.empty(300)
    h[0] = np.mean(returns**2)
    for t in range(1, 300):
        h[t] = params.omega + params.alpha * returns[t - 1] ** 2 + params.beta * h[t - 1]
    weight = (1 / h - returns**2 / h**2)[1:] / 600
    without_recursion = [weight.sum(), weight @ returns[:-1] ** 2, weight @ h[:-1]]
    got = np.array(garch.grad(params, returns))
    assert np.abs(got - without_recursion).max() > 0.1 * np.abs(got).max()


def test_simulated_returns():
    returns = garch.simulate(garch.init(), 20_000, seed=1)
    assert returns.dtype == np.float64
    assert np.mean(returns**2) == pytest.approx(1.0, abs=0.15)
    squares = returns**2 - np.mean(returns**2)
    assert np.mean(squares[1:] * squares[:-1]) / np.mean(squares**2) > 0.05  # it clusters
    np.testing.assert_array_equal(returns, garch.simulate(garch.init(), 20_000, seed=1))
    assert not np.array_equal(returns, garch.simulate(garch.init(), 20_000, seed=2))


def test_the_score_vanishes_on_average_at_the_true_parameters():
    returns = garch.simulate(garch.init(), 20_000, seed=1)
    at_truth = np.abs(garch.grad(garch.init(), returns))
    elsewhere = np.abs(garch.grad(garch.Parameters(0.1, 0.1, 0.85), returns))
    assert at_truth.max() < 0.2 * elsewhere.max()


def test_an_infinite_variance_is_refused():
    with pytest.raises(ValueError, match=r"alpha \+ beta is 1\.0"):
        garch.simulate(garch.Parameters(0.1, 0.25, 0.75), 10)


def test_a_negative_variance_gives_nan():
    returns = garch.simulate(garch.init(), 60)
    assert np.isnan(garch.loss(garch.Parameters(-1.0, 0.1, 0.1), returns))
