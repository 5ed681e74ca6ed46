"""What a check leaves behind, and what it looks for along vectors like theta."""

import gc

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.differences.lattice import FEW_ULPS, finest_offset
from fastgrad.numerics.steps import power_of_two
from tests.losses import rosenbrock, rosenbrock_grad


@pytest.mark.parametrize("strategy", ["sweep", "screen"])
@pytest.mark.parametrize("backend", ["compiled", "python"])
def test_nothing_is_left_in_circles(strategy, backend):
    x = np.linspace(0.5, 1.5, 80)
    options = {"strategy": strategy, "backend": backend}
    assert fg.check_grad(rosenbrock, rosenbrock_grad(x), x, **options)
    gc.collect()
    gc.disable()
    try:
        assert fg.check_grad(rosenbrock, rosenbrock_grad(x), x, **options)
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("seed", range(5))
def test_thefinest_offset_moves_every_entry(seed):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=200) * 10.0 ** rng.integers(-200, 200, 200)
    units = power_of_two(np.abs(theta)) * 2.0 ** rng.integers(-60, 60, 200)
    v = units * rng.choice([-1.0, 0.0, 1.0], 200)
    moved = v != 0
    ulps = np.spacing(np.abs(theta[moved])) / np.abs(v[moved])
    expected = power_of_two(FEW_ULPS * max(float(ulps.max()), 2.0**-52))
    assert finest_offset(theta, v) == expected
