"""Random directions together: how often chance alarms, and what is missed."""

import numpy as np
import pytest

from fastgrad.checks.screen.noisy.pooled import MISSED, Pooled
from fastgrad.checks.screen.noisy.residual_echo import Echo
from fastgrad.differences.directions import UNIT_VARIANCE

COUNT = 12


def pooled(y, e):
    found = Pooled()
    found.y, found.e = list(y), list(e)
    return found


def directions(rng, entries):
    """What a direction shows of an error of norm 1 in so many entries alike."""
    signs = rng.choice([-1.0, 1.0], (COUNT, entries))
    return (UNIT_VARIANCE * signs * rng.uniform(0.5, 1.5, (COUNT, entries))).sum(1) / np.sqrt(
        entries
    )


def test_chance_alarms_once_in_a_thousand():
    rng = np.random.default_rng(0)
    alarms = sum(pooled(*rng.standard_normal((2, COUNT))).alarms for _ in range(5000))
    assert 0 < alarms <= 15


@pytest.mark.parametrize("entries", [1, 2, 3, 8, 100])
def test_an_error_of_the_limit_is_missed_once_in_a_hundred(entries):
    rng, missed = np.random.default_rng(entries), 0
    for _ in range(2000):
        e = rng.standard_normal(COUNT)
        size = pooled(e, e).limit
        missed += not pooled(rng.standard_normal(COUNT) + size * directions(rng, entries), e).alarms
    assert missed <= 2 * MISSED * 2000


def test_nothing_at_all_is_no_alarm():
    assert not pooled([0.0] * COUNT, [0.0] * COUNT).alarms
    assert not Pooled().alarms
    assert Pooled().limit == np.inf


# the residual itself


def echoed(rng, directions, size, entries):
    """An echo of an error of such a norm in so many of 300 entries alike, and its own first round."""
    signs = rng.choice([-1.0, 1.0], (directions, 300))
    V = UNIT_VARIANCE * signs * rng.uniform(0.5, 1.5, (directions, 300))
    r = np.zeros(300)
    r[:entries] = size / np.sqrt(entries)
    y, e = V @ r + rng.standard_normal(directions), rng.standard_normal(directions)
    v = y @ V
    v *= np.sqrt(300) / np.linalg.norm(v)
    return Echo(pooled(y, e), float(v @ r + rng.standard_normal()), rng.standard_normal(), 0.0)


def test_chance_echoes_once_in_a_thousand():
    rng = np.random.default_rng(0)
    assert sum(echoed(rng, COUNT, 0.0, 1).alarms for _ in range(3000)) <= 9


@pytest.mark.parametrize("entries", [1, 8, 300])
@pytest.mark.parametrize("directions", [12, 24])
def test_an_error_of_the_limit_with_its_echo_is_missed_once_in_a_hundred(directions, entries):
    rng, missed, runs = np.random.default_rng(entries), 0, 1000
    clean = [echoed(rng, directions, 0.0, 1).limit for _ in range(100)]
    first = [pooled(e, e).limit for e in rng.standard_normal((100, directions))]
    assert np.median(clean) < 0.8 * np.median(first)
    for _ in range(runs):
        found = echoed(rng, directions, float(np.median(clean)), entries)
        missed += not (found.alarms or found.first.alarms)
    assert missed <= 2 * MISSED * runs


def test_a_kink_at_theta_is_no_echo():
    first = pooled(np.ones(COUNT), np.ones(COUNT))
    assert Echo(first, 8.0, 1.0, 0.0).alarms
    assert not Echo(first, 8.0, 1.0, 8.0).alarms
