"""The default step, and the adaptive one on functions that need it."""

import numpy as np
import pytest

from fastgrad.numerics.noise import ecnoise
from fastgrad.numerics.rounding import rounding_noise
from fastgrad.numerics.step_search import adaptive_steps
from fastgrad.numerics.steps import default_steps, largest_steps

DEFAULT = 2.0**-17


def test_default_steps_are_powers_of_two_that_grow_with_x():
    x = np.array([0.0, 0.3, -1.0, 1.9, 1e4, -3e6])
    got = default_steps(x, DEFAULT)
    expected = DEFAULT * np.array([1.0, 1.0, 1.0, 1.0, 2.0**13, 2.0**21])
    np.testing.assert_array_equal(got, expected)
    assert np.all((x + got) - got == x)


def quiet_log(x):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(x)


def float32_tanh_squared(x):
    return (np.tanh(np.float32(x)) ** 2).astype(float)


# name, f, f', x, relative error of the default step at least, of the adaptive step at most
CASES = [
    ("log near its pole", quiet_log, lambda x: 1 / x, 1e-6, np.nan, 1e-9),
    ("fast sine", lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x), 1.0, 1e-4, 1e-10),
    ("large offset", lambda x: 1e8 + x**2, lambda x: 2 * x, 0.7, 1e-5, 1e-6),
    ("float32", float32_tanh_squared,
     lambda x: 2 * np.tanh(x) / np.cosh(x) ** 2, 0.5, 1e-4, 1e-4),
]  # fmt: skip


@pytest.mark.parametrize(("name", "f", "slope", "x", "before", "after"), CASES)
def test_adaptive_steps_where_the_default_fails(name, f, slope, x, before, after):
    def error(h: float) -> float:
        return abs((f(x + h) - f(x - h)) / (2 * h) / slope(x) - 1)

    sigma = max(ecnoise(lambda t: f(x + t))[0] or 0.0, float(rounding_noise(f(x))))
    point = np.array([x])
    (h,) = adaptive_steps(
        lambda _, offsets: f(x + offsets),
        default_steps(point, DEFAULT),
        64 * np.spacing(point),
        largest_steps(point, sigma, float(f(x)), alone=True),
        sigma,
    )
    assert not error(DEFAULT) <= before
    assert error(h) <= after


def test_every_entry_gets_its_own_step():
    x = np.array([1e-6, 1e-3, 1.0])
    got = adaptive_steps(
        lambda which, offsets: quiet_log(x[which][:, None] + offsets),
        default_steps(x, DEFAULT),
        64 * np.spacing(x),
        largest_steps(x, 1e-16, 1.0, alone=False),
        1e-16,
    )
    assert np.all(got < 0.01 * x)
    assert got[0] < got[1] < got[2]
