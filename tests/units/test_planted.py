"""Right gradients in SI units agree, and planted errors are found: the counts of `planted`."""

import numpy as np
import pytest

import fastgrad as fg
from tests.units.models import HARD_UNITS, MODELS, Case
from tests.units.planted import Counts, judged, measure, measure_case, planted_errors

OPEN_AT_MOST = 0.01
FOUND_AT_LEAST = 0.999
FOUND_IN_FLOAT32 = 0.97
"""Errors of 1%, where bars may be as wide as that: 2,002 of 2,052 and 179 of 180 were found."""

FLOAT32 = [hard for hard in HARD_UNITS if "float32" in hard.name]
FLOAT64 = [hard for hard in HARD_UNITS if "float32" not in hard.name]


def squares(case_size, size):
    """A problem that needs no unit: sum x^2 at 1, 2, ..."""
    theta = size * np.arange(1.0, case_size + 1)
    return Case("squares", _sum_of_squares, lambda x: 2 * x, theta, (), theta)


def _sum_of_squares(x):
    return (x * x).sum()


def test_every_error_is_planted_once():
    planted = list(planted_errors(squares(3, 1.0)))
    assert [(p.error, p.entry) for p in planted] == [
        (error, i) for i in range(3) for error in ("sign", "zero", "1%")
    ]
    assert [list(p.gradient) for p in planted[3:6]] == [[2, -4, 6], [2, 0, 6], [2, 4.04, 6]]


def test_an_easy_problem_has_nothing_to_count():
    got = measure_case(squares(4, 1.0))
    assert (got.right, got.called_wrong, got.left_open) == (1, 0, 0)
    assert (got.planted, got.found, got.missed, got.passed) == (12, 12, 0, 0)
    assert got.neighbours_blamed == 0
    assert got.evaluations_median > 2 * 4
    twice = got + got
    assert (twice.right, twice.planted, len(twice.evaluations)) == (2, 24, 2)


def test_a_wrong_gradient_is_counted_as_called_wrong():
    case = squares(3, 1.0)._replace(grad=lambda x: 2.1 * x)
    got = measure_case(case)
    assert (got.right, got.called_wrong) == (1, 1)
    assert got.neighbours_blamed == 2 * 9


def require_the_goals(counts: Counts) -> None:
    assert counts.called_wrong == 0
    assert counts.neighbours_blamed == 0
    assert counts.left_open <= OPEN_AT_MOST * counts.right
    assert counts.found >= FOUND_AT_LEAST * counts.planted, counts.missed_errors


@pytest.mark.parametrize("strategy", [pytest.param("sweep", marks=pytest.mark.slow), "screen"])
def test_models_in_si_units(strategy):
    """Every third model: 18 right gradients, 150 planted errors."""
    counts = measure(MODELS[::3], range(1), strategy=strategy)
    require_the_goals(counts)
    if strategy == "sweep":
        assert counts.too_many <= counts.right / 2


@pytest.mark.slow
def test_all_models_in_si_units():
    """52 models at 3 seeds: 156 right gradients, 1,368 planted errors."""
    counts = measure(MODELS, range(3), strategy="sweep")
    require_the_goals(counts)
    assert counts.too_many <= counts.right / 2


@pytest.mark.slow
@pytest.mark.parametrize("hard", FLOAT64, ids=lambda h: h.name)
def test_hard_units(hard):
    require_the_goals(measure([hard], range(3), strategy="sweep"))


@pytest.mark.slow
@pytest.mark.parametrize("hard", FLOAT32, ids=lambda h: h.name)
def test_float32_inside(hard):
    """What float32 hides may pass: an error within the limit that the report states."""
    counts = Counts()
    for seed in range(20):
        case = hard.case(seed)
        right = case.grad(case.theta, *case.args)
        options = {"strategy": "sweep"}
        assert (
            fg.check_grad(case.loss, right, case.theta, *case.args, **options).verdict == "agrees"
        )
        for planted in planted_errors(case):
            report = fg.check_grad(case.loss, planted.gradient, case.theta, *case.args, **options)
            counts += judged(report, planted, f"seed {seed}")
            if report.verdict != "disagrees":
                error = abs(planted.gradient - right)[planted.entry]
                limit = report.blocks[0].detection_limit * np.sqrt(np.mean(right**2))
                assert error <= 2 * limit  # that of a from D, and of D from what is right
    assert counts.neighbours_blamed == 0
    assert counts.found >= FOUND_IN_FLOAT32 * counts.planted, counts.missed_errors
