"""Slopes at every scale: bars that hold, grains that are seen, plateaus and runs."""

import numpy as np
import pytest

from fastgrad.numerics.plateaus import Stretch, evidence_for, left_at
from fastgrad.numerics.windows import PAIRS, grain_of, windows_of

T = 2.0 ** -np.arange(2.0, 40.0) * (1 + 0.2 * np.sin(np.arange(38.0)))


def windows(f, x=0.0, t=T):
    above = np.array([f(x + s) for s in t])
    below = np.array([f(x - s) for s in t])
    grain = grain_of(np.concatenate([above, below, [f(x)]]))
    return windows_of(t, above, below, f(x), grain)


SMOOTH = {
    "sine": (np.sin, np.cos),
    "exponential": (np.exp, np.exp),
    "far up": (lambda x: 1e6 + np.sin(x), np.cos),
    "quartic": (lambda x: x**4 - x, lambda x: 4 * x**3 - 1),
    "steep": (lambda x: np.sin(30 * x) / 30, lambda x: np.cos(30 * x)),
    "single": (lambda x: float(np.float32(np.sin(x))), np.cos),
    "printed": (lambda x: round(float(np.sin(x)), 5), np.cos),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_bars_hold_over_200_points_and_all_scales(name):
    f, slope = SMOOTH[name]
    rng = np.random.default_rng(0)
    off = total = 0
    for x in rng.uniform(-1, 1, 200):
        found = windows(f, float(x))
        error = np.abs(found.slope - slope(float(x)))[found.resolved]
        off += int(np.count_nonzero(error > found.bar[found.resolved]))
        total += int(np.count_nonzero(found.resolved))
    assert total > 1000
    assert off <= 1e-3 * total


def test_a_staircase_is_not_resolved():
    found = windows(lambda x: np.floor(x * 2**10) / 2**10)
    assert found.resolved[0]
    assert not found.resolved[12:].any()


def test_the_bend_is_half_of_the_slope_jump_of_a_kink():
    found = windows(lambda x: x + 0.25 * abs(x) + x * x)
    np.testing.assert_allclose(found.slope[8:20], 1.0, atol=1e-6)
    np.testing.assert_allclose(found.bend[8:20], 0.25, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.25, 1.5, -0.75, 3.0, 0.01], 0.01),
        ([1e6 + 0.001 * k for k in range(7)], 0.001),
        ([float(np.float32(v)) for v in (0.1, 0.7, 0.3, 0.9)], float(np.spacing(np.float32(0.9)))),
        ([1.0, 2.0, 3.0, 5.0, 9.0], float(np.spacing(np.float32(9.0)))),
        ([np.pi, np.e, np.sqrt(2), np.sqrt(3)], float(np.spacing(np.pi))),
        ([np.nan], 0.0),
    ],
)
def test_grains(values, expected):
    assert grain_of(np.array(values)) == expected


def test_a_plateau_speaks_against_and_a_run_for_a_claim():
    found = windows(np.sin)
    for claim, against, held in ((1.0, 0, True), (1.001, 1, False), (-1.0, 1, False)):
        said = evidence_for(found, claim, 1.0, 0.0)
        assert (len(said.against) >= against, said.held is not None) == (True, held)
    assert evidence_for(found, 1.0 + 1e-7, 1.0, 1e-5).against == ()


def test_windows_that_cannot_tell_support_nobody():
    """Fine windows whose bars exceed the error hold any claim."""
    said = evidence_for(windows(np.sin), 1.0 + 1e-6, 1.0, 0.0)
    assert said.against
    assert said.held is None


@pytest.mark.parametrize("place", [3e-6, 3e-5, 3e-4])
def test_a_plateau_is_left_where_f_jumps(place):
    def f(x):
        return x + 0.01 * (x > place)

    above, below = (np.array([f(s * t) for t in T]) for s in (1, -1))
    found = windows(f)
    best = int(np.argmin(np.where(found.t < place / 2, found.bar, np.inf)))
    k = left_at(found, Stretch(best, best + PAIRS, best), T, (above - below) / 2)
    assert T[k] > place >= T[k + 1]
