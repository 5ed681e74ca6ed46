"""Steps that the values of a plain gradient show to be wrong are said once; others are not."""

import warnings

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import StepWarning
from fastgrad.evaluate import in_numpy, kernels
from tests.rough import printed_coarsely, rough, smooth_float32
from tests.test_estimates import FUNCTIONS


def chirp(x):
    return float((x**2 * np.sin(1 / x)).sum())


def log_far_from_its_edge(x):
    return float(np.log(x).sum())


def waves(x):
    return float(np.sin(x).sum())


def said(loss, x, **options):
    """What two calls say."""
    g = fg.grad(loss, backend="python", **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        g(x)
        g(x)
    assert all(w.category is StepWarning for w in caught)
    return [str(w.message) for w in caught]


SHOWN = {
    "a chirp": (chirp, np.array([1e-3, 2e-3]), {"order": 6}, "differences of order 6 and 4"),
    "waves": (waves, np.arange(4.0), {"order": 4, "step": 1.0}, "the step of 1 is too long"),
    "too short": (waves, np.arange(1.0, 5.0), {"step": 1e-15}, "but by rounding"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_its_values_show_of_a_step_is_said_once(name):
    loss, x, options, words = SHOWN[name]
    (message,) = said(loss, x, **options)
    assert words in message
    assert 'step="adaptive"' in message


@pytest.mark.parametrize(
    ("kind", "words"), [(smooth_float32, "single precision"), (printed_coarsely, "but by rounding")]
)
def test_coarse_losses_are_told(kind, words):
    for problem in rough((kind,), range(4)):
        (message,) = said(problem.loss, problem.theta)
        assert words in message


@pytest.mark.parametrize("order", [2, 4, 6])
def test_nothing_is_said_where_steps_suit(order):
    """The smooth functions of the benchmark, minima, and scales far apart."""
    smooth = [f for f in FUNCTIONS if f.group == "smooth"]
    for f in smooth:
        assert said(f.loss, f.x, order=order) == [], f.name
    assert said(lambda x: float((x**2).sum() + 1), np.zeros(3), order=order) == []
    if order > 2:  # over 2^-17 a cube moves it by rounding alone
        assert said(lambda x: float((x**3).sum() - 2), np.zeros(3), order=order) == []
    assert said(log_far_from_its_edge, np.array([1e-5, 1.0, 1e5]), order=order) == []


def test_sums_of_integers_are_no_single_precision():
    for size in (6, 12, 40):
        x = np.arange(float(size))
        assert said(lambda x: float(x.sum()), x) == []
        assert said(lambda x: float(3 * x[:5].sum()), x) == []


def test_the_slope_is_off_where_it_is_said():
    """Not a style of step: in both cases estimates differ by far more than their bars."""
    for loss, x, options, _ in (SHOWN["a chirp"], SHOWN["waves"]):
        exact = fg.grad(loss, backend="python").estimate(x)
        with pytest.warns(StepWarning):
            got = fg.grad(loss, backend="python", **options)(x)
        assert np.abs(got - exact.gradient).max() > 100 * exact.error.max()


def test_the_warning_points_at_the_caller():
    with pytest.warns(StepWarning) as caught:
        fg.grad(waves, backend="python", order=4, step=1.0)(np.arange(4.0))
    assert caught[0].filename == __file__


@njit
def far_from_zero(x):
    return 1e9 + 1e-3 * (x * x * x).sum()


@njit
def in_single_precision(x):
    return float(np.float32(np.sin(x[0]) + x[1] * x[2]))


@njit
def sum_of_integers(x):
    return 3.0 * x[0] + x[1] + 2.0 * x[2]


@pytest.mark.parametrize(
    ("loss", "words"),
    [(far_from_zero, "but by rounding"), (in_single_precision, "single precision")],
)
@pytest.mark.parametrize("bound", [False, True])
def test_compiled_code_tells_it_too(loss, words, bound):
    x = np.array([0.3, 0.7, 1.1])
    g = fg.grad(loss)
    g = g.bind() if bound else g
    with pytest.warns(StepWarning, match=words) as caught:
        found = [g(x) for _ in range(4)]
    assert len(caught) == 1
    assert all(np.array_equal(each, found[0]) for each in found)


@pytest.mark.parametrize("loss", [sum_of_integers, njit(lambda x: (x * x).sum())])
def test_compiled_code_that_is_right_says_nothing(loss):
    g = fg.grad(loss).bind()
    for x in (np.zeros(3), np.arange(3.0), np.array([0.3, 0.7, 1.1])):
        np.testing.assert_allclose(g(x), fg.grad(loss).estimate(x).gradient, atol=1e-9)


def test_kernels_and_who_calls_them_mean_the_same():
    for name in ("BAD", "GOOD", "SHOWS", "NOISE"):
        assert getattr(kernels, name) == getattr(in_numpy, name)


def test_a_bound_gradient_tells_what_it_comes_to_later():
    """At first it moves the loss by much; where that is flat, by rounding."""
    g = fg.grad(njit(lambda x: 1.0 + np.exp(-x * x).sum())).bind()
    for _ in range(3):
        g(np.full(3, 0.5))
    with pytest.warns(StepWarning, match="but by rounding"):
        g(np.full(3, 5.2))
    g(np.full(3, 5.2))
