"""Random directions together: how often chance alarms, and what is missed."""

import numpy as np
import pytest

from fastgrad.checks.screen.noisy.pooled import MISSED, Pooled
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
