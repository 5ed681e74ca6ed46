"""The smallest rtol that would do, and the words for errors of one small size."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.checks.entry_checks import rounded_up
from tests.rough import fixed_point

X = np.random.default_rng(0).normal(size=12)
OPTIONS = {"backend": "python", "strategy": "sweep"}


def cubes(x):
    return float((x**3).sum() + (x[1:] * x[:-1]).sum())


def slopes(x):
    g = 3 * x * x
    g[1:] += x[:-1]
    g[:-1] += x[1:]
    return g


@pytest.mark.parametrize("size", [1e-7, 3e-5, 1e-3, 0.2])
def test_the_smallest_rtol_is_the_smallest(size):
    shake = size * np.random.default_rng(1).uniform(-1, 1, X.size)
    wrong = slopes(X) * (1 + shake)
    needed = fg.check_grad(cubes, wrong, X, rtol=1e-9, **OPTIONS).smallest_rtol
    assert needed == pytest.approx(np.abs(shake).max(), rel=0.15)
    assert fg.check_grad(cubes, wrong, X, rtol=needed, **OPTIONS).verdict == "agrees"
    assert fg.check_grad(cubes, wrong, X, rtol=0.8 * needed, **OPTIONS).verdict == "disagrees"


@pytest.mark.parametrize("factor", [-1.0, 0.0])
def test_no_rtol_would_do_for_a_sign_or_a_zero(factor):
    assert fg.check_grad(cubes, factor * slopes(X), X, **OPTIONS).smallest_rtol is None


@pytest.mark.parametrize(("factor", "advised"), [(1.03, True), (0.02, False), (1.5, False)])
def test_a_tolerance_that_any_factor_passes_is_no_advice(factor, advised):
    report = fg.check_grad(cubes, factor * slopes(X), X, **OPTIONS)
    assert report.verdict == "disagrees"
    assert ("It would agree with rtol=" in str(report)) == advised


def test_a_right_gradient_needs_none_and_points_have_the_largest():
    assert fg.check_grad(cubes, slopes, X, **OPTIONS).smallest_rtol == 0.0
    report = fg.check_grad(cubes, lambda x: slopes(x) * 1.001, X, points=2, **OPTIONS)
    assert report.smallest_rtol == max(point.smallest_rtol for point in report.points)


def test_an_inner_iteration_is_named_and_nothing_is_called_broken():
    named = broken = 0
    for seed in range(10):
        loss, x, right = fixed_point(np.random.default_rng(seed), 1e-4)
        report = fg.check_grad(loss, lambda t, right=right: right + 0.01 * (t - t), x, **OPTIONS)
        if report.verdict == "disagrees":
            named += report.diagnoses[0].law == "tolerance"
            broken += "broken" in str(report)
            assert f"rtol={report.smallest_rtol:g}" in str(report)
    assert named >= 8
    assert broken == 0


def test_rounding_up():
    assert [rounded_up(v) for v in (0.0, 4.1e-5, 4.11e-5, 0.999)] == [0.0, 4.1e-5, 4.2e-5, 1.0]
