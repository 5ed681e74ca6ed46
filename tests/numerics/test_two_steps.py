"""Differences at two steps: bars that hold, and steps beyond the reach of the Taylor series."""

import numpy as np
import pytest

from fastgrad.numerics.stencils import BACKWARD, CENTRAL, FORWARD
from fastgrad.numerics.two_steps import TwoSteps

ALL = [FORWARD, BACKWARD, *CENTRAL.values()]


def names(method):
    return f"{method.name} {method.order}"


def read(method, f, h, x=0.0, sigma=1e-15):
    """Of ``f(x, i)`` for the entries i of h."""
    i, x = np.arange(h.size)[:, None], np.full(h.size, x)
    both = TwoSteps(method)
    values = f(x[:, None] + h[:, None] * both.unit_offsets, i)
    return both.read(values, float(f(x[:1, None], i[:1])[0, 0]), x, h, np.full(h.size, sigma))


@pytest.mark.parametrize("method", ALL, ids=names)
def test_bars_hold_while_truncation_rises(method):
    h = 2.0 ** np.linspace(-30, -3, 200)
    got = read(method, lambda x, i: np.exp(x), h)
    assert got.converges.all()
    assert np.all(np.abs(got.D - 1.0) <= got.bar)


@pytest.mark.parametrize("order", [4, 6])
def test_no_wave_passes_for_a_slow_one(order):
    method = CENTRAL[order]
    k = 10 ** np.random.default_rng(0).uniform(2, 8, 20_000)
    h = np.full(k.size, method.step)
    got = read(
        method, lambda x, i: np.sin(k[i] * x) + 2 * np.sin(k[i] * x / 2) ** 2, h, sigma=1e-13
    )
    wrong = got.converges & got.smooth & (np.abs(got.D - k) > got.bar)
    assert np.count_nonzero(wrong) <= 1e-3 * k.size


@pytest.mark.parametrize("order", [2, 4, 6])
def test_a_pole_within_the_step_is_seen(order):
    method = CENTRAL[order]
    distance = method.step * 10 ** np.random.default_rng(0).uniform(-6, -0.5, 1000)
    i = np.arange(distance.size)
    for k in i[::50]:
        got = read(method, lambda x, i, k=k: 1 / (x + distance[k]), np.full(1, method.step))
        assert not (got.converges & got.smooth).any()


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("at", [0.0, 0.01, 0.3, 0.9])
def test_a_kink_is_seen_or_within_the_bar(order, at):
    method = CENTRAL[order]
    h = np.full(1, method.step)
    got = read(method, lambda x, i: np.exp(x) + 1e-3 * np.abs(x - at * h[0]), h)
    assert not got.smooth[0] or np.abs(got.D[0] - (1 - 1e-3)) <= got.bar[0]
