"""Ladders: exact on polynomials, and trusted only where f is smooth on the scale of the steps."""

import numpy as np
import pytest

from fastgrad.numerics.richardson import RUNGS, few_bits, read_ladder, weights


def read(f, x, h, sigma=1e-16):
    """The reading of one function of one number at entries x, shape (m,)."""
    steps = few_bits(h * RUNGS * np.ones((x.size, 1)))
    values = [f(x[:, None] + steps), f(x[:, None] - steps)]
    noise = sigma * np.maximum(1.0, np.abs(values[0]).max(axis=1))
    return read_ladder(*values, f(x[:, None]), x, steps, noise)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_weights_reach_zero_from_polynomials_in_the_square(count):
    steps = few_bits(RUNGS[:count] * np.logspace(-3, 3, 7)[:, None])
    for power in range(count):
        got = np.sum(weights(steps) * (steps / steps[:, :1]) ** (2 * power), axis=1)
        np.testing.assert_allclose(got, float(power == 0), atol=1e-12)


def test_steps_of_few_bits_are_taken_exactly():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, 10_000)
    steps = few_bits(2.0 ** rng.uniform(-40, -6, x.size))
    assert np.count_nonzero((x + steps) - x != steps) <= 0.01 * x.size
    np.testing.assert_allclose(few_bits(RUNGS), RUNGS, rtol=2**-8)


def test_smooth_functions_are_read_to_the_noise():
    x = np.random.default_rng(0).uniform(-2, 2, 1000)
    for f, slope in ((np.sin, np.cos), (np.exp, np.exp), (lambda x: x**5, lambda x: 5 * x**4)):
        got = read(lambda x, f=f: f(x), x, 2.0**-9)
        assert (got.descent == 0).mean() > 0.99
        assert np.all(np.abs(got.D - slope(x)) <= got.bar)
        assert np.median(got.bar / np.maximum(1, np.abs(slope(x)))) < 1e-12


def test_no_wave_is_too_fast_for_the_ladder():
    """Of steps halved exactly, 1 in 20 frequencies of these looked slow."""
    k = 10 ** np.random.default_rng(0).uniform(3, 8, 20_000)
    got = read(
        lambda x: np.sin(k[:, None] * x),
        np.full(k.size, 0.3),
        2.0**-9,
        1e-14,
    )
    trusted = got.descent == 0
    wrong = trusted & (np.abs(got.D - k * np.cos(0.3 * k)) > got.bar + 1e-12 * k)
    assert np.count_nonzero(wrong) <= 1e-3 * k.size


@pytest.mark.parametrize("at", [0.0, 0.3, 1.0, 2.0, 5.0, 9.0])
def test_a_kink_on_the_ladder_is_seen(at):
    """At x itself, where every central difference is the same, and between the steps."""
    h = 2.0**-9
    got = read(lambda x: np.exp(x) + 0.01 * np.abs(x - at * h), np.zeros(1), h)
    assert got.descent[0] > 0


def test_values_that_are_not_finite_are_never_trusted():
    for bad in (np.nan, np.inf, -np.inf):
        for column in range(RUNGS.size):
            steps = RUNGS[None, :] * 2.0**-9
            above, below = np.exp(steps), np.exp(-steps)
            above[0, column] = bad
            assert read_ladder(above, below, 1.0, np.zeros(1), steps, np.ones(1)).descent[0] > 0
