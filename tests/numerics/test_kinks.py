"""Orders and intervals on functions whose kinks are known."""

import numpy as np
import pytest

from fastgrad.numerics.kinks import Slopes, find_kinks

H = 2.0**-17
STEPS = H * np.array([[1 / 16, 1 / 2, 1.0, 8.0]])
SIGMA = np.array([1e-16])


def found(f):
    return find_kinks(Slopes.of(STEPS, f(STEPS), f(-STEPS), float(f(np.zeros(1))[0])), SIGMA)


@pytest.mark.parametrize(
    ("f", "order"),
    [
        (lambda x: x**2 + x, 2.0),
        (np.abs, 1.0),
        (lambda x: np.maximum(x, 0) + x**2, 1.0),
        (lambda x: np.where(x > 0, 1.0, 0.0), 0.0),
    ],
)
def test_order(f, order):
    assert found(f).order[0] == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize(("left", "right"), [(0.0, 1.0), (-1.0, 1.0), (2.0, -0.5)])
def test_the_interval_holds_the_one_sided_slopes_and_little_more(left, right):
    kinks = found(lambda x: np.where(x > 0, right, left) * x + 3 * x**2)
    low, high = min(left, right), max(left, right)
    assert kinks.kink[0]
    assert low - 1e-4 < kinks.low[0] <= low
    assert high <= kinks.high[0] < high + 1e-4


def test_smooth_is_no_kink_and_noise_has_no_order():
    assert not found(np.exp).kink[0]
    assert np.isnan(found(lambda x: 5.0 * x).order[0])


def test_a_kink_between_the_steps_is_not_at_x():
    kinks = found(lambda x: np.maximum(x - 0.6 * H, 0))
    assert not kinks.kink[0]
