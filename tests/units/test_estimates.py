"""Digits and evaluations of numerical gradients of the models in SI units; `accuracy` has rivals too."""

from functools import partial

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import NondeterministicLossError
from tests.units.accuracy import correct_digits
from tests.units.models import MODELS

ESTIMATES = {
    # options, and the median of all models: evaluations an entry at most, digits at least
    "default": ({}, 7.5, 8.0),
    "adaptive": ({"step": "adaptive"}, 12.0, 9.0),
}


@pytest.mark.parametrize("name", ESTIMATES)
def test_estimates_of_few_entries_in_si_units(name):
    """52 models, 152 entries, all inside their bars."""
    options, most, least = ESTIMATES[name]
    evaluations, digits = [], []
    for model in MODELS:
        theta, x, y = model.draw(0)
        loss, exact = partial(model.interpreted_loss, x=x, y=y), model.grad(theta, x, y)
        with np.errstate(all="ignore"):
            got = fg.grad(loss, backend="python", **options).estimate(theta)
        evaluations.append(got.evaluations / theta.size)
        digits += correct_digits(got.gradient - exact, exact).tolist()
        assert np.all(np.abs(got.gradient - exact) <= got.error), model.name
    assert np.median(evaluations) <= most
    assert np.median(digits) >= least


def test_the_default_takes_two_an_entry():
    digits, calls = [], 0
    for model in MODELS:
        theta, x, y = model.draw(0)

        def loss(theta, model=model, x=x, y=y):
            nonlocal calls
            calls += 1
            return model.interpreted_loss(theta, x, y)

        exact = model.grad(theta, x, y)
        digits += correct_digits(fg.grad(loss, backend="python")(theta) - exact, exact).tolist()
    assert calls == 2 * len(digits)
    assert np.median(digits) >= 6


@pytest.mark.parametrize("size", [2, 3, 5])
def test_few_entries_take_four_each_and_ten_more(size):
    """Two steps an entry; theta twice and six points of noise; two along a line through all."""
    got = fg.grad(lambda x: float(np.exp(-x @ x)), backend="python").estimate(np.full(size, 0.3))
    assert got.evaluations <= 4 * size + 10


def drifting():
    calls = iter(range(1000))
    return lambda x: float(np.sin(x).sum()) + 1e-3 * next(calls)


def drawing():
    rng = np.random.default_rng(0)
    return lambda x: float(np.sin(x).sum()) + 1e-3 * rng.normal()


def drawing_now_and_then():
    rng = np.random.default_rng(0)
    return lambda x: float(np.sin(x).sum()) + (rng.random() < 0.5)


@pytest.mark.parametrize("kind", [drifting, drawing, drawing_now_and_then])
@pytest.mark.parametrize("options", [{}, {"step": "adaptive"}])
def test_what_is_not_the_same_twice_is_refused(kind, options):
    with pytest.raises(NondeterministicLossError):
        fg.grad(kind(), backend="python", **options).estimate(np.arange(1.0, 4.0))
