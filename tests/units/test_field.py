"""Situations of users' own: parameters of unlike units, far from zero, at an optimum, beyond floats."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg

STRATEGIES = pytest.mark.parametrize("strategy", ["sweep", "screen"])


def decay(theta, t, y):
    return ((theta[1] * np.exp(-1e5 * theta[0] * t) + theta[2] - y) ** 2).sum()


def decay_slope(theta, t, y):
    e = np.exp(-1e5 * theta[0] * t)
    r = 2 * (theta[1] * e + theta[2] - y)
    return np.array([(r * theta[1] * e * -1e5 * t).sum(), (r * e).sum(), r.sum()])


def a_decay(rate):
    t = np.linspace(0, 4, 30)
    return np.array([rate, 1.5, 0.3]), (t, 1.4 * np.exp(-1.1e5 * rate * t) + 0.35)


@STRATEGIES
@pytest.mark.parametrize("rate", [5e-6, 5e-7])
def test_a_steep_entry_does_not_hide_the_sign_of_the_others(rate, strategy):
    theta, args = a_decay(rate)
    right = decay_slope(theta, *args)
    assert fg.check_grad(decay, right, theta, *args, strategy=strategy)
    for i in range(3):
        wrong = right.copy()
        wrong[i] *= -1
        report = fg.check_grad(decay, wrong, theta, *args, strategy=strategy)
        assert [e.name for e in report.entries if e.verdict == "disagrees"] == [f"theta[{i}]"]


def debye(p, w, y):
    return ((p[1] / (1 + (w * p[0]) ** 2) + p[2] - y) ** 2).mean()


def debye_slope(p, w, y):
    q = 1 / (1 + (w * p[0]) ** 2)
    r = 2 * (p[1] * q + p[2] - y) / y.size
    return np.array([(r * p[1] * -q * q * 2 * w * w * p[0]).sum(), (r * q).sum(), r.sum()])


@STRATEGIES
def test_a_relaxation_time_agrees_in_every_unit(strategy):
    evaluations = []
    for exponent in range(-15, 16, 3):
        tau = 3.3 * 10.0**exponent
        w = np.geomspace(0.03, 3, 40) / tau
        args = w, 5.0 / (1 + (1.1 * w * tau) ** 2) + 0.12
        report = fg.check_grad(
            debye, debye_slope, np.array([tau, 5.2, 0.1]), *args, strategy=strategy
        )
        assert report, tau
        evaluations.append(report.evaluations)
    assert max(evaluations) <= 2 * 3 + 60


@STRATEGIES
@pytest.mark.parametrize("size", [1e-250, 1e-200, 1e-154, 1e154, 1e200])
def test_sizes_whose_squares_leave_the_floats(size, strategy):
    def loss(x, k):
        return k * (x * x).sum()

    x = np.array([1.0, 2.0, 3.0])
    assert fg.check_grad(loss, lambda x, k: 2 * k * x, x, size, strategy=strategy)
    report = fg.check_grad(loss, lambda x, k: 4 * k * x, x, size, strategy=strategy)
    assert report.verdict == "disagrees"
    assert 0.2 < report.relative_error < 0.4
    assert all(0 < block.detection_limit < 1e-8 for block in report.blocks)


def affine(theta, g, x):
    return g @ (theta - x)


@pytest.mark.parametrize("n", [97, 1000])
def test_an_affine_loss_at_its_zero_is_screened(n):
    rng = np.random.default_rng(n)
    g, x = rng.normal(size=(2, n))
    x[::5] = 0
    x[1::7] *= 2000
    report = fg.check_grad(affine, g, x.copy(), g, x, strategy="screen")
    assert report
    assert report.evaluations <= 120
    wrong = g.copy()
    wrong[3] *= 1.01
    report = fg.check_grad(affine, wrong, x.copy(), g, x, strategy="screen")
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["theta[3]"]


def likelihood(p, y):
    return (0.5 * ((y - p[0]) / p[1]) ** 2 + np.log(p[1])).sum()


def likelihood_slope(p, y):
    r = y - p[0]
    return np.array([-(r / p[1] ** 2).sum(), (1 / p[1] - r**2 / p[1] ** 3).sum()])


def squares(x):
    return ((x - 1.0) ** 2).sum()


@STRATEGIES
@pytest.mark.parametrize("size", [1.0, 1e-9])
def test_a_maximum_of_likelihood_agrees_with_zero(size, strategy):
    y = size * np.random.default_rng(0).normal(2, 3, 50)
    best = np.array([y.mean(), y.std()])
    assert fg.check_grad(likelihood, likelihood_slope, best, y, strategy=strategy)
    # A hundredth of what it is a tenth of a standard deviation away.
    wrong = likelihood_slope(best, y) + 0.01 * likelihood_slope(
        best + np.array([0.1 * best[1], 0]), y
    )
    assert not fg.check_grad(likelihood, wrong, best, y, strategy=strategy)


@STRATEGIES
@pytest.mark.parametrize("n", [1, 5, 30])
def test_a_perfect_fit_agrees_with_zero(n, strategy):
    assert fg.check_grad(squares, lambda x: 2 * (x - 1), np.ones(n), strategy=strategy)
    report = fg.check_grad(squares, lambda x: 2 * (x - 1) + 0.01, np.ones(n), strategy=strategy)
    assert report.verdict == "disagrees"


def waves(x):
    return np.sin(3 * (x - 1e9)).sum()


def bells(x):
    return np.exp(-((x - 1e9) ** 2)).sum()


def carrier(x):
    return np.sin(1e9 * x).sum()


FAR = 1e9 + np.array([0.3, 1.1, 2.0, 0.7])
FAR_OFF = {
    "waves": (waves, lambda x: 3 * np.cos(3 * (x - 1e9)), FAR),
    "bells": (bells, lambda x: -2 * (x - 1e9) * np.exp(-((x - 1e9) ** 2)), FAR),
    "carrier": (carrier, lambda x: 1e9 * np.cos(1e9 * x), np.ones(1)),
}


@STRATEGIES
@pytest.mark.parametrize("name", FAR_OFF)
def test_far_from_zero(name, strategy):
    loss, grad, x = FAR_OFF[name]
    assert fg.check_grad(loss, grad, x, strategy=strategy)
    for factor in (-1.0, 0.0, 1.01):
        report = fg.check_grad(loss, factor * grad(x), x, strategy=strategy)
        assert report.verdict == "disagrees", factor


def test_the_curl_takes_steps_that_suit_a_point_far_from_zero():
    loss, grad, x = FAR_OFF["waves"]
    report = fg.check_grad(
        loss, lambda x: grad(x) + x[::-1] - 1e9, x
    )  # of a function, all the same
    assert report.verdict == "disagrees"
    assert "no function" not in str(report)


def sparse(x, w):
    return np.float32((w * np.sin(x.astype(np.float32))).sum())


def test_sparse_gradients_in_single_precision():
    """30 right ones agree, and of 30 with an error of 10% 29 are found or more."""
    found = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        w, x = np.zeros(30, np.float32), rng.normal(size=30).astype(np.float32)
        w[rng.choice(30, 3, replace=False)] = rng.normal(size=3)
        right = w * np.cos(x)
        assert fg.check_grad(sparse, right, x, w), seed
        wrong = right.copy()
        wrong[np.abs(right).argmax()] *= 1.1
        found += fg.check_grad(sparse, wrong, x, w).verdict == "disagrees"
    assert found >= 29


def two_sizes(p, large, small):
    return large * np.cos(p[0]) + small * np.cos(p[1])


@STRATEGIES
def test_an_entry_that_does_little_beside_another_is_told_by_longer_steps(strategy):
    p, args = np.array([0.7, 0.9]), (1e6, 1e-6)
    right = np.array([-1e6 * np.sin(0.7), -1e-6 * np.sin(0.9)])
    assert fg.check_grad(two_sizes, right, p, *args, strategy=strategy)
    report = fg.check_grad(two_sizes, right * [1, -1], p, *args, strategy=strategy)
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["theta[1]"]


@njit
def line_shape(m):
    return np.exp(-0.5 * ((6e-7 - m) / 1.5e-7) ** 2)


@STRATEGIES
def test_a_forgotten_gradient_by_a_wavelength(strategy):
    right = line_shape(5.25e-7) * (6e-7 - 5.25e-7) / 1.5e-7**2
    assert fg.check_grad(line_shape, right, 5.25e-7, strategy=strategy)
    assert fg.check_grad(line_shape, 0.0, 5.25e-7, strategy=strategy).verdict == "disagrees"


def test_agreement_within_rtol_and_within_bars_is_counted_apart():
    x = np.array([1.0, 2.0, 3e-9])

    def cubes(x):
        return (x**3).sum()

    report = fg.check_grad(cubes, 3 * x**2 * [1 + 1e-7, 1, 1], x)
    assert report.agreements == {"within its bar": 2, "within rtol": 1}
    assert report.to_dict()["agreements"] == report.agreements
    assert "2 within their error bars, 1 within rtol = 1e-05" in str(report)
    assert "within rtol" not in str(fg.check_grad(cubes, 3 * x**2, x))


def test_points_and_the_table_of_steps_are_in_units_of_theta():
    theta, args = a_decay(5e-7)
    report = fg.check_grad(decay, decay_slope, theta, *args, points=4)
    assert [point.verdict for point in report.points] == ["agrees"] * 4
    wrong = decay_slope(theta, *args)
    wrong[0] *= 1.01
    assert "settles" in fg.check_grad(decay, wrong, theta, *args).convergence().summary


def test_the_scale_is_the_users():
    epoch = np.array([1e9 + 0.3])
    assert fg.grad(waves, scale=1.0)(epoch) == pytest.approx(
        3 * np.cos(3 * (epoch - 1e9)), rel=1e-2
    )
    assert fg.check_grad(waves, lambda x: 3 * np.cos(3 * (x - 1e9)), epoch, scale=1.0)
    with pytest.raises(
        ValueError, match=r"scale is 0.0 for theta\[0\]: expected a positive number"
    ):
        fg.grad(waves, scale=0.0)(epoch)


TRACE_RATES = (3e3, 2e2, 5e4)


def of_traces(c):
    c = np.maximum(c, 0)
    k = TRACE_RATES
    return float(k[0] * c[0] * c[2] - k[1] * c[1] * c[2] + k[2] * c[1] ** 2)


def slopes_of_traces(c, factor=1.0):
    k = TRACE_RATES
    return np.array(
        [factor * k[0] * c[2], -k[1] * c[2] + 2 * k[2] * c[1], k[0] * c[0] - k[1] * c[1]]
    )


@pytest.mark.parametrize("trace", [1e-20, 1e-16, 1e-12, 1e-9])
@pytest.mark.parametrize("factor", [0.1, 10.0, -1.0, 0.0])
def test_a_trace_that_rounding_hides_is_not_called_right_against_its_far_side(trace, factor):
    c = np.array([trace, 4e-5, 2e-3])
    assert fg.check_grad(of_traces, slopes_of_traces, c, backend="python")
    if factor == 0.0:  # nothing is claimed of what does nothing
        return
    wrong = fg.check_grad(of_traces, lambda c: slopes_of_traces(c, factor), c, backend="python")
    assert not wrong
    assert wrong.entries[0].name == "theta[0]"


def test_zeros_among_parameters_of_unlike_units_spoil_nobody():
    """A lasso on columns that were not scaled: a third of the weights is 0, the others 1e-6 to 1e6."""
    rng = np.random.default_rng(5)
    for _ in range(10):
        n = 24
        units = 10.0 ** rng.uniform(-6, 6, n)
        X = rng.normal(size=(40, n)) / units
        w = units * rng.normal(size=n) * (np.arange(n) % 3 > 0)
        y = rng.normal(size=40)

        def loss(w, X=X, y=y, units=units):
            return float(((X @ w - y) ** 2).mean() + 0.1 * np.abs(w / units).sum())

        right = 2 * X.T @ (X @ w - y) / 40 + 0.1 * np.sign(w) / units
        report = fg.check_grad(loss, right, w, backend="python")
        assert report.verdict == "agrees"
        wrong = right * np.where(np.arange(n) == 4, 1.01, 1.0)
        report = fg.check_grad(loss, wrong, w, backend="python")
        assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["theta[4]"]
