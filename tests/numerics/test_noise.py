"""ECnoise against noise that is known."""

import numpy as np
import pytest

from fastgrad.numerics.noise import POINTS, ecnoise
from fastgrad.numerics.noise_tables import table_noise
from fastgrad.numerics.rounding import rounding_noise

SEEDS = 200


def noisy(sigma: float, seed: int):
    rng = np.random.default_rng(seed)

    def sample(offsets):
        x = 0.7 + offsets
        return np.exp(x) + np.sin(3 * x) + sigma * rng.standard_normal(offsets.size)

    return sample


@pytest.mark.parametrize("sigma", [1e-12, 1e-8, 1e-4])
def test_known_noise_is_measured_within_a_factor_of_four_in_95_of_100_seeds(sigma):
    got = np.array([ecnoise(noisy(sigma, seed))[0] or 0.0 for seed in range(SEEDS)])
    inside = np.count_nonzero((got > sigma / 4) & (got < 4 * sigma))
    assert inside >= 0.95 * SEEDS


def test_a_smooth_function_has_the_noise_of_its_rounding():
    got, *_ = ecnoise(lambda t: np.exp(0.7 + t))
    assert 0.1 < got / rounding_noise(np.exp(0.7)) < 10


def test_a_constant_shows_no_noise():
    assert ecnoise(lambda t: np.full(t.size, 3.0))[0] is None


def test_a_smooth_table_is_not_noise():
    assert table_noise(np.exp(POINTS)) is None


def test_a_kink_in_the_point_itself_is_not_noise():
    got, *_ = ecnoise(lambda t: 1.0 + np.abs(t))
    assert got is None or got < 1e-15


def test_non_finite_values_narrow_the_spacing():
    def sample(offsets):
        with np.errstate(invalid="ignore"):
            return np.log(2.0**-31 - offsets)

    assert ecnoise(sample)[0] < 1e-14
