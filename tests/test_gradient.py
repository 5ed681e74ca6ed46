"""grad and value_and_grad: accuracy, methods and steps, memory, and scipy's optimisers on top."""

import pickle
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

import fastgrad as fg
from fastgrad import models
from fastgrad.evaluate.adapters import bound_arguments
from tests.losses import (
    log_sum_exp,
    log_sum_exp_grad,
    quadratic,
    rosenbrock,
    rosenbrock_grad,
)

rng = np.random.default_rng(0)


@njit(cache=True)
def smooth_mix(x):
    """Value and gradient of one size."""
    total = 0.0
    for i in range(x.size):
        total += np.sin(x[i]) * np.exp(-0.5 * x[i] ** 2) + 0.1 * x[i] * x[i - 1]
    return total / x.size


def smooth_mix_grad(x):
    own = (np.cos(x) - x * np.sin(x)) * np.exp(-0.5 * x**2)
    return (own + 0.1 * (np.roll(x, 1) + np.roll(x, -1))) / x.size


A = rng.normal(size=(12, 12))
A = A @ A.T / 12

# loss, theta, args, exact gradient
SAME_SIZE = {
    "log sum exp": (log_sum_exp, rng.normal(size=20), (), log_sum_exp_grad),
    "smooth mix": (smooth_mix, rng.normal(size=15), (), smooth_mix_grad),
    "quadratic form": (quadratic, rng.normal(size=12), (A,), lambda x, A: A @ x),
    "one number": (
        lambda x: np.tanh(x) ** 3, 0.7, (), lambda x: 3 * np.tanh(x) ** 2 / np.cosh(x) ** 2
    ),
    "large parameters": (
        lambda x, c: c * np.sin(x / c).sum(), 1e4 * rng.normal(size=9), (1e4,),
        lambda x, c: np.cos(x / c),
    ),
}  # fmt: skip
ACCURACY = {
    "central 2": 1e-9,
    "central 4": 2e-11,
    "central 6": 1e-11,
    "forward": 1e-6,
    "backward": 1e-6,
}
METHODS = {
    "central 2": {"method": "central", "order": 2},
    "central 4": {"order": 4},
    "central 6": {"order": 6},
    "forward": {"method": "forward"},
    "backward": {"method": "backward"},
}


def error_of(got, expected):
    """As a fraction of the largest entry of the exact gradient."""
    return np.max(np.abs(np.asarray(got) - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("problem", SAME_SIZE)
def test_accuracy_where_value_and_gradient_are_of_one_size(problem, method):
    loss, theta, args, exact = SAME_SIZE[problem]
    got = fg.grad(loss, **METHODS[method])(theta, *args)
    assert error_of(got, exact(theta, *args)) < ACCURACY[method]


def flat(params):
    return np.concatenate([np.ravel(block) for block in params])


DIGITS = models.digits()
NETS = {
    "two layers": (models.two_layer, (64, 12, 10), DIGITS[1]),
    "softmax": (models.softmax, (64, 10), DIGITS[1]),
    "logistic": (models.logistic, (64,), (DIGITS[1] == 3).astype(np.int64)),
    "linear": (models.linear, (64,), DIGITS[1].astype(np.float64)),
}


@pytest.mark.parametrize("net", NETS)
def test_accuracy_on_the_reference_models(net):
    model, sizes, y = NETS[net]
    params, X, y = model.init(*sizes), DIGITS[0][:60], y[:60]
    expected = flat(model.grad(params, X, y, 0.1))
    assert error_of(flat(fg.grad(model.loss)(params, X, y, 0.1)), expected) < 1e-8
    assert error_of(flat(fg.grad(model.loss, order=6)(params, X, y, 0.1)), expected) < 1e-11


def naive_central(loss, x, h):
    gradient = np.empty_like(x)
    for i in range(x.size):
        above, below = x.copy(), x.copy()
        above[i] += h
        below[i] -= h
        gradient[i] = (loss(above) - loss(below)) / (above[i] - below[i])
    return gradient


@pytest.mark.parametrize("backend", ["auto", "python"])
def test_central_differences_against_the_obvious_loop(backend):
    x = rng.normal(size=30)
    got = fg.grad(rosenbrock, step=1e-4, backend=backend)(x)
    np.testing.assert_array_equal(got, naive_central(rosenbrock, x, 1e-4))


def test_value_and_grad():
    x = rng.normal(size=8)
    for options in METHODS.values():
        value, gradient = fg.value_and_grad(rosenbrock, **options)(x)
        assert value == rosenbrock(x)
        np.testing.assert_array_equal(gradient, fg.grad(rosenbrock, **options)(x))


X8 = np.linspace(0.5, 2, 8)


@pytest.mark.parametrize(
    "step",
    [
        2.0**-10,
        np.float32(2.0**-10),
        np.full(8, 2.0**-10),
        [2.0**-10] * 8,
        np.array(2.0**-10),
    ],
)
def test_a_step_as_a_number_or_an_array(step):
    got = fg.grad(rosenbrock, step=step)(X8)
    np.testing.assert_array_equal(got, naive_central(rosenbrock, X8, 2.0**-10))


def test_a_step_of_thetas_structure():
    seen = []

    def loss(p):
        seen.append((p["a"][0] - 1.0, p["b"] - 2.0))
        return float(p["a"].sum() + p["b"])

    theta = {"a": np.ones(1), "b": 2.0}
    fg.grad(loss, step={"b": 0.5, "a": np.array([0.25])}, backend="python")(theta)
    assert sorted(seen) == [(-0.25, 0.0), (0.0, -0.5), (0.0, 0.5), (0.25, 0.0)]


@pytest.mark.parametrize(
    ("method", "near", "far"),
    [({"method": "forward"}, 2e-6, 1e-4), ({}, 1e-8, 1e-6), ({"order": 4}, 1e-10, 1e-8)],
)
def test_numbers_about_a_far_point_vary_over_their_width_or_over_its_distance(method, near, far):
    """Steps that suit but one of the two leave three digits of the other, or none."""
    away = np.linspace(-1.9, 1.9, 20)
    g = fg.grad(lambda x: float(np.exp(x - 1e4).sum()), backend="python", **method)
    np.testing.assert_allclose(g(1e4 + away), np.exp(away), rtol=near)
    g = fg.grad(lambda x: float(np.exp(x / 1e4).sum()), backend="python", **method)
    np.testing.assert_allclose(g(1e4 + away), np.exp(1 + away / 1e4) / 1e4, rtol=far)


def exp_with_noise(relative, stiff=0.0):
    """Also of one entry that turns within a longer step, and how often it is called."""

    def loss(x):
        loss.calls += 1
        noise = relative * (zlib.crc32(x.tobytes()) / 2**31 - 1)
        return float((np.exp(x).sum() + 0.1 * np.sin(stiff * x[5])) * (1 + noise))

    loss.calls = 0
    return loss


@pytest.mark.parametrize("relative", [1e-8, 1e-6, 1e-4])
def test_steps_that_are_lost_in_noise_are_lengthened(relative):
    """For six evaluations more, of five seeds."""
    better = []
    for seed in range(5):
        x = np.random.default_rng(seed).uniform(-2, 2, 40)
        loss = exp_with_noise(relative)
        got = fg.grad(loss, backend="python")(x)
        assert loss.calls == 2 * 40 + 6
        plain = fg.grad(loss, backend="python", step=2.0**-17)(x)
        better.append(np.abs(plain - np.exp(x)).max() / np.abs(got - np.exp(x)).max())
    assert min(better) > 20


def test_an_entry_that_turns_within_a_longer_step_keeps_its_own():
    x = np.random.default_rng(0).uniform(-2, 2, 40)
    loss = exp_with_noise(1e-6, stiff=3000.0)
    got = fg.grad(loss, backend="python")(x)
    exact = np.exp(x)
    exact[5] += 300 * np.cos(3000.0 * x[5])
    assert loss.calls == 2 * 40 + 6 + 2
    np.testing.assert_allclose(np.delete(got, 5), np.delete(exact, 5), atol=0.05)
    assert abs(got[5] - exact[5]) < 30  # 2e-6 of f, 60, over 2^-16


@pytest.mark.parametrize("stiff", [0.0, 3000.0])
def test_where_nothing_is_lost_nothing_more_is_evaluated(stiff):
    x = np.random.default_rng(0).uniform(-2, 2, 40)
    loss = exp_with_noise(0.0, stiff)
    fg.grad(loss, backend="python")(x)
    assert loss.calls == 2 * 40


def test_rates_below_one_bend_on_their_own_scale_and_round_on_that_of_one():
    """Errors beside the rms, of omega = 0.05, alpha = 0.1 and beta = 0.85: 1e-7 with steps of 2^-17 of
    their own size for the former and of 1 for the latter; no powers of two leave less than 1.6e-8."""
    theta = models.garch.init()
    returns = models.garch.simulate(theta, 2000)
    exact = np.array(models.garch.grad(theta, returns))
    got = np.array(fg.grad(models.garch.loss)(theta, returns))
    assert np.abs(got - exact).max() <= 4e-8 * np.sqrt(np.mean(exact**2))


def test_division_is_by_the_step_really_taken():
    """A decimal step beside 1e4 is off by 2e-7 of itself, which a linear loss shows undiluted."""
    x = np.full(3, 1e4)
    got = fg.grad(lambda x: 3.0 * (x - 1e4).sum(), step=1e-5)(x)
    np.testing.assert_allclose(got, 3.0, rtol=1e-12)


def test_steps_of_constants_do_not_matter():
    theta = {"w": np.ones(3), "scale": 1e12}
    got = fg.grad(lambda p: (p.w * p.w).sum() * p.scale, trainable="w", step=1e-5)(theta)
    np.testing.assert_allclose(got["w"], 2e12, rtol=1e-6)
    steps = {"w": 1e-5, "scale": 0.0}
    got = fg.grad(lambda p: (p.w * p.w).sum(), trainable="w", step=steps)(theta)
    np.testing.assert_allclose(got["w"], 2.0, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-4, 4), st.floats(-4, 4))
def test_the_gradient_is_linear_in_the_loss(seed, a, b):
    """Exactly so for powers of two; to rounding otherwise."""
    x = np.random.default_rng(seed).normal(size=5)

    def gradient_of(c, d):
        return fg.grad(two_losses)(x, c, d)

    got = gradient_of(a, b)
    expected = a * gradient_of(1.0, 0.0) + b * gradient_of(0.0, 1.0)
    np.testing.assert_allclose(got, expected, atol=1e-7 * (1 + abs(a) + abs(b)))


@njit
def two_losses(x, a, b):
    return a * np.sin(x).sum() + b * log_sum_exp(x)


def test_scipys_minimiser_finds_the_optimum_of_the_analytic_gradient():
    """Logistic regression on the digits 3 and 8, with an L2 term so that there is one optimum."""
    chosen = np.isin(DIGITS[1], (3, 8))
    X, y = DIGITS[0][chosen], (DIGITS[1][chosen] == 3).astype(np.int64)

    @njit
    def loss(w, X, y):
        z = X @ w
        total = 0.0
        for i in range(z.size):
            total += np.logaddexp(0.0, z[i]) - y[i] * z[i]
        return total / z.size + 0.005 * (w @ w)

    def exact(w, X, y):
        return X.T @ (1 / (1 + np.exp(-X @ w)) - y) / y.size + 0.01 * w

    options = {"gtol": 1e-8}
    start = np.zeros(64)
    by_differences = scipy.optimize.minimize(
        loss, start, args=(X, y), jac=fg.grad(loss), method="BFGS", options=options
    )
    by_hand = scipy.optimize.minimize(
        loss, start, args=(X, y), jac=exact, method="BFGS", options=options
    )
    assert by_hand.success
    np.testing.assert_allclose(by_differences.x, by_hand.x, atol=1e-5)
    assert by_differences.fun == pytest.approx(by_hand.fun, abs=1e-12)
    assert np.abs(exact(by_differences.x, X, y)).max() < 1e-7
    together = scipy.optimize.minimize(
        fg.value_and_grad(loss), start, args=(X, y), jac=True, method="L-BFGS-B"
    )
    np.testing.assert_allclose(together.x, by_hand.x, atol=2e-3)


def test_scipys_minimiser_on_the_reference_model():
    chosen = np.isin(DIGITS[1], (0, 1))
    X, y = DIGITS[0][chosen][:100], DIGITS[1][chosen][:100]

    def packed(gradient):
        return lambda w, X, y: flat(gradient(models.logistic.Parameters(w[:-1], w[-1]), X, y, 0.01))

    def loss(w, X, y):
        return models.logistic.loss(models.logistic.Parameters(w[:-1], w[-1]), X, y, 0.01)

    found = [
        scipy.optimize.minimize(
            loss, np.zeros(65), args=(X, y), jac=packed(gradient), options={"gtol": 1e-7}
        ).x
        for gradient in (fg.grad(models.logistic.loss), models.logistic.grad)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


@njit
def touches_a_few(x):
    return x[3] ** 2 + x[500_000] ** 3 + x[999_999]


@njit
def touches_a_few_blocks(p):
    return p.W[0, 3] ** 2 + p.b[2]


@pytest.mark.parametrize("structured", [False, True])
def test_memory_at_a_million_parameters(structured):
    """At most (threads + 4) 8 n bytes and 64 MB beyond the inputs."""
    import numba

    n = 1_000_000
    threads = numba.config.NUMBA_NUM_THREADS
    if structured:
        theta = {"W": np.ones((1000, 999)), "b": np.ones(1000)}
        trainable = {"W": np.zeros((1000, 999), bool), "b": np.arange(1000) < 3}
        trainable["W"][0, :5] = True
        g = fg.grad(touches_a_few_blocks, trainable=trainable)
        warm = {"W": np.ones((2, 5)), "b": np.ones(3)}
        fg.grad(touches_a_few_blocks)(warm)
    else:
        theta, trainable = np.ones(n), np.zeros(n, bool)
        trainable[[3, 500_000, 999_999]] = True
        g = fg.grad(touches_a_few, trainable=trainable)
    tracemalloc.start()
    try:
        got = g(theta)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= (threads + 4) * 8 * n + 64e6
    assert peak > 2 * 8 * n  # so numpy does report to it
    if structured:
        assert got["W"][0, 3] == pytest.approx(2.0)
        assert got["b"][2] == pytest.approx(1.0)
    else:
        np.testing.assert_allclose(got[[3, 500_000, 999_999, 5]], [2, 3, 1, 0], atol=1e-8)


def test_a_loss_of_theta_alone_is_bound_once(monkeypatch):
    g = fg.grad(rosenbrock)
    g(X8)
    made = []
    monkeypatch.setattr("fastgrad.evaluate.adapters.bind", lambda *args: made.append(args))
    g(X8)
    assert not made
    assert callable(bound_arguments)


def test_rosenbrock_at_its_minimum():
    np.testing.assert_allclose(fg.grad(rosenbrock)(np.ones(10)), 0, atol=1e-7)
    x = rng.normal(size=10)
    np.testing.assert_allclose(fg.grad(rosenbrock)(x), rosenbrock_grad(x), rtol=1e-7, atol=1e-6)


def test_a_gradient_function_can_be_pickled():
    g = pickle.loads(pickle.dumps(fg.grad(rosenbrock, order=4, trainable="theta")))
    np.testing.assert_array_equal(g(X8), fg.grad(rosenbrock, order=4)(X8))
