"""Bars of `estimate` on losses whose slope depends on the step: counted, and that they say something."""

import numpy as np
import pytest

import fastgrad as fg
from tests.rough import (
    KINDS,
    SINGLE,
    bisection,
    far_points,
    fixed_point_tight,
    printed_coarsely,
    rough,
    saw,
    tanh_regression,
    weak_kink,
)
from tests.test_estimates import FAMILIES, N, counted

HELD_TO = tuple(kind for kind in (*KINDS, printed_coarsely) if kind is not fixed_point_tight)
"""What a tolerance leaves is a smooth function of its own, whose slope no step tells from the other."""
METHODS = {"default": {}, "adaptive": {"step": "adaptive"}}
USEFUL = 0.1


def errors_and_bars(problem, options):
    found = fg.grad(problem.loss, backend="python", **options).estimate(problem.theta)
    assert np.isfinite(found.error).all()
    return np.abs(found.gradient - problem.gradient), found.error


def worst_of(kinds, seeds, options):
    """Errors in bars, of all entries."""
    parts = []
    for problem in rough(kinds, seeds):
        error, bar = errors_and_bars(problem, options)
        parts.append(np.where(error > 0, error / np.maximum(bar, 1e-300), 0.0))
    return np.concatenate(parts)


@pytest.mark.parametrize("method", METHODS)
def test_bars_hold_at_every_kind_of_roughness(method):
    assert worst_of(HELD_TO, range(2), METHODS[method]).max() <= 1.0


@pytest.mark.slow
def test_bars_of_20000_entries():
    """60 seeds of every kind, and 25 of the families of `test_estimates`, by both methods."""
    off = [worst_of(HELD_TO, range(60), options) for options in METHODS.values()]
    for options in METHODS.values():
        for family in FAMILIES.values():
            for seed in range(25):
                rng = np.random.default_rng([seed, 1])
                x = rng.uniform(-2, 2, N)
                f, slope = family(rng, x)
                error, bar = counted(options, lambda z, f=f: f(z).sum(), slope, x)
                off.append(error / np.maximum(bar, 1e-300))
    worst = np.concatenate(off)
    assert worst.size >= 20_000
    assert np.mean(worst <= 1.0) >= 0.999
    assert worst.max() <= 3.0


@pytest.mark.parametrize("kind", [*SINGLE, saw, bisection, far_points])
def test_bars_are_not_bought_by_width(kind):
    """Most are within a tenth of the largest entry."""
    narrow = []
    for problem in rough((kind,), range(2)):
        _, bar = errors_and_bars(problem, METHODS["adaptive"])
        narrow += (bar <= USEFUL * np.abs(problem.gradient).max()).tolist()
    assert np.mean(narrow) >= 0.5


def test_between_jumps_the_slope_is_that_of_wide_steps():
    """The saw falls by 1 between its teeth, and rises by 1 on the whole."""
    (problem,) = rough((saw,), range(1))
    found = fg.grad(problem.loss, backend="python").estimate(problem.theta)
    np.testing.assert_allclose(found.gradient, problem.gradient, rtol=0.02)


def test_a_kink_within_the_noise_widens_the_bar():
    """Its slope step is 0.002, at a distance at which noise hides it."""
    (problem,) = rough((weak_kink,), range(6, 7))
    error, bar = errors_and_bars(problem, {})
    assert error <= bar <= 4e-3


def test_smooth_losses_pay_six_evaluations_an_entry_beside_the_noise():
    (problem,) = rough((tanh_regression,), range(1))
    found = fg.grad(problem.loss, backend="python").estimate(problem.theta)
    assert found.evaluations <= 6 * problem.theta.size + 45
