"""Digits and evaluations of numerical gradients of the models in SI units; `accuracy` has rivals too."""

import zlib
from functools import partial

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import NondeterministicLossError
from tests.units.accuracy import correct_digits
from tests.units.models import MODELS

ESTIMATES = {
    # options, and the median of all models: evaluations an entry at most, digits at least
    "default": ({}, 6.0, 8.0),
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


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_few_entries_take_four_each_and_few_more(size):
    """Two steps an entry; theta twice; two along a line through the first five; and, below five entries,
    a point more for each that is missing. Beyond five there are two lines."""
    x = np.geomspace(0.02, 40.0, size)  # no block of one unit
    got = fg.grad(lambda x: float(np.exp(-x @ x / 1e3)), backend="python").estimate(x)
    assert got.evaluations == 4 * size + 4 + max(0, 5 - size) + 2 * (size > 5)


@pytest.mark.parametrize("seeds", [15, pytest.param(400, marks=pytest.mark.slow)])
def test_noise_is_read_off_the_differences_of_few_entries(seeds):
    """Up to 30 times the rounding of the loss, of 450 and 12,000 entries: 3 lie outside."""
    outside = count = 0
    for size in (1, 2, 3, 4):
        for relative in (0.0, 1e-15, 1e-14):
            for seed in range(seeds):
                rng = np.random.default_rng([seed, size])
                x, c = rng.uniform(-2, 2, size), rng.uniform(-1, 1, size)

                def loss(y, c=c, relative=relative):
                    noise = relative * (zlib.crc32(y.tobytes()) / 2**31 - 1)
                    return float(np.exp(c * y).sum() * (1 + noise))

                got, exact = fg.grad(loss, backend="python").estimate(x), c * np.exp(c * x)
                outside += np.count_nonzero(np.abs(got.gradient - exact) > got.error)
                count += size
    assert count == 30 * seeds
    assert outside <= count / 2000


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
