"""How far an entry must go for f to change by so much, for functions whose reach is known."""

import numpy as np
import pytest

from fastgrad.numerics.reach import BRACKET, FURTHEST, reaches

MOST = 10
"""Steps that a search may take."""


def search(change, step, goal, floor=0.0):
    """The reach of one function, and how many steps it took."""
    asked = []

    def sample(which, steps):
        asked.append(float(steps[0]))
        return np.array([change(steps[0])])

    steps = np.array([step])
    found = reaches(sample, steps, np.array([change(step)]), goal, np.array([floor]))
    return float(found.step[0]), asked


@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("exponent", range(-24, 25, 6))
def test_the_reach_of_a_power_is_where_it_is_the_goal(power, exponent):
    reach = 3.0 * 10.0**exponent
    found, asked = search(lambda t: 0.7 * (t / reach) ** power, 2.0**-17, 0.7)
    assert reach / BRACKET <= found <= reach * BRACKET
    assert len(asked) <= MOST


@pytest.mark.parametrize("exponent", [-12, 0, 9])
def test_of_a_sine_that_never_gets_there_it_is_where_it_turns(exponent):
    unit = 10.0**exponent
    found, _ = search(lambda t: 1e-3 * max(abs(np.sin(t / unit)), 0.2), 2.0**-17, 1.0, 1e-12)
    assert not found > 16 * unit  # never further than it is known to move


@pytest.mark.parametrize("exponent", [-12, -9, -6])
def test_a_step_far_beyond_a_turn_is_shortened_to_it(exponent):
    unit = 10.0**exponent
    found, asked = search(lambda t: 1e-3 * np.tanh(t / unit), 2.0**-6, 1.0, 1e-12)
    assert 2.0**-7 * unit <= found <= unit
    assert len(asked) <= 2 * MOST


def test_what_does_not_move_has_none():
    found, asked = search(lambda t: 0.0, 2.0**-17, 1.0)
    assert np.isnan(found)
    assert max(asked) <= FURTHEST * 2.0**-17
    assert len(asked) <= 3


def test_noise_is_no_move():
    rng = np.random.default_rng(0)
    found, _ = search(lambda t: 1e-13 * rng.random(), 2.0**-17, 1.0, 1e-12)
    assert np.isnan(found)


def test_where_f_is_not_finite_it_is_too_far():
    def change(t):
        return 0.1 * t if t < 1e-9 else np.inf

    found, _ = search(change, 1.0, 1.0)
    assert 1e-9 / BRACKET**2 <= found <= 1e-9 * BRACKET


def test_all_entries_are_looked_at_together():
    reach = 10.0 ** np.arange(-15.0, 16.0, 5.0)
    calls = []

    def sample(which, steps):
        calls.append(which.size)
        return steps / reach[which]

    steps = np.full(reach.size, 2.0**-17)
    found = reaches(sample, steps, steps / reach, 1.0, np.zeros(reach.size))
    assert np.all(np.abs(np.log2(found.step / reach)) <= np.log2(BRACKET))
    assert len(calls) <= MOST


def test_a_hint_is_followed_and_not_believed():
    reach = 1e30

    def sample(which, steps):
        return steps / reach

    step, none = np.array([2.0**-17]), np.zeros(1)
    for hint in (1e30, 1e28, 1e36):
        found = reaches(sample, step, none, 1.0, np.array([1e-15]), np.array([hint]))
        assert abs(np.log2(found.step[0] / reach)) <= np.log2(BRACKET)
    blind = reaches(sample, step, none, 1.0, np.array([1e-15]))
    assert np.isnan(blind.step[0])
    assert blind.still[0] <= FURTHEST * 2.0**-17
