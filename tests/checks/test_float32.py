"""Losses that are computed in single precision, in their own unit or another: no error hides in chance.

A window of a few pairs leans towards a claim, or shows a bend, by chance once in some hundred profiles.
"""

from collections import Counter

import numpy as np
import pytest

import fastgrad as fg
from tests.checks.nets import net

OPTIONS = {"backend": "python", "budget": None}
FACTORS = (-1.0, 0.0, 1.3, 2.0)
TOLD = 1e-3
"""Entries that do less than this part of what the largest does to the loss may be hidden by noise."""


def smooth_in_float32(seed):
    """A smooth loss of two to five numbers; every other one in a unit of which no value is a float32."""
    f32 = np.float32
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 6)
    A = rng.normal(size=(12, n)).astype(f32)
    x = (rng.normal(size=n) * 10 ** rng.uniform(-1, 0.5)).astype(f32).astype(float)
    unit = 1.0 if seed % 2 else 10.0 ** rng.uniform(-20, 20)

    def loss(t):
        z = A @ t.astype(f32) * f32(0.5)
        return unit * float((np.sin(z) * z + f32(0.3) * np.tanh(z)).sum(dtype=f32))

    z = A.astype(float) @ x / 2
    slope = (np.cos(z) * z + np.sin(z) + 0.3 / np.cosh(z) ** 2) / 2
    return loss, unit * A.astype(float).T @ slope, x


def counted(seeds):
    counts = Counter()
    for seed in seeds:
        loss, right, x = smooth_in_float32(seed)
        counts["right", fg.check_grad(loss, right, x, **OPTIONS).verdict] += 1
        effect = np.abs(right * x)
        for k in np.flatnonzero(effect > TOLD * effect.max()).tolist():
            for factor in FACTORS:
                wrong = right.copy()
                wrong[k] *= factor
                report = fg.check_grad(loss, wrong, x, **OPTIONS)
                counts["wrong", report.verdict] += 1
                blamed = {e.index for e in report.entries if e.verdict == "disagrees"}
                assert blamed <= {(k,)}
    return counts


def test_a_bend_of_one_window_is_no_kink():
    """A sign passed for a subgradient of a kink that one window showed."""
    counts = counted((84, 87, 104))
    assert counts["right", "agrees"] == 3
    assert counts["wrong", "agrees"] == 0
    assert counts["wrong", "disagrees"] >= 46


def test_what_leans_the_claims_way_is_open_and_does_not_agree():
    loss, right, x = smooth_in_float32(145)
    wrong = right * np.where(np.arange(x.size) == 1, 1.3, 1.0)
    report = fg.check_grad(loss, wrong, x, **OPTIONS)
    assert report.verdict == "inconclusive"
    assert report.counts["inconclusive"] == 1


def zeros_of_one_number(seeds):
    """Verdicts on a slope of 0, of a loss that no fine step moves one way more than the other."""
    f32 = np.float32
    counts = Counter()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        a, b = f32(rng.normal(scale=0.3, size=12)), f32(rng.uniform(-1, 1))
        x = np.array([float(f32(rng.normal() * 0.3))])

        def loss(t, a=a, b=b):
            return float(b + f32(0.1) * np.sin(a * f32(t[0])).sum(dtype=f32))

        counts[fg.check_grad(loss, np.zeros(1), x, **OPTIONS).verdict] += 1
    return counts


def test_a_bend_that_is_rounding_hides_no_zero():
    seeds = (24, 168, 203, 232, 268, 281, 291, 314, 319, 332)
    assert zeros_of_one_number(seeds) == {"disagrees": 10}


@pytest.mark.slow
def test_zeros_in_float32_counted():
    counts = zeros_of_one_number(range(1000, 1400))
    assert counts["agrees"] == 0
    assert counts["disagrees"] >= 390


@pytest.mark.slow
def test_errors_in_float32_counted():
    counts = counted(range(150))
    assert counts["right", "agrees"] == 150
    assert counts["wrong", "agrees"] == 0
    assert counts["wrong", "disagrees"] >= 0.99 * (counts.total() - 150) > 2000


@pytest.mark.parametrize(
    ("seed", "sizes"), [(13, (20, 16, 16, 5)), (2071, (8, 24, 6))], ids=["a bend", "a lean"]
)
def test_a_kink_nearer_than_the_plateau_of_wider_steps(seed, sizes):
    """Three octaves say one slope, and finer ones another: a bend tells, or finer steps that lean."""
    problem = net(seed, sizes, ("relu",) * (len(sizes) - 2), "float32")
    report = fg.check_grad(problem.loss, problem.grad(problem.theta), problem.theta, **OPTIONS)
    assert report.verdict == "agrees"
