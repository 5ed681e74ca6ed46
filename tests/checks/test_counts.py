"""The promises that are statistical, counted: false alarms, detection, cost, calibration."""

from collections import Counter

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.parameters.layout import flatten
from tests.problems import (
    SIGMOID,
    TANH,
    Problem,
    correct_problems,
    model_problems,
    net_problem,
    trained,
)

SEEDS = range(15)


@pytest.mark.slow
@pytest.mark.parametrize("rtol", [1e-5, 0.0])
def test_no_false_disagreement_in_100_000_entries(rtol):
    counts: Counter[str] = Counter()
    for problem in correct_problems(SEEDS):
        report = fg.check_grad(problem.loss, problem.grad, problem.theta, *problem.args, rtol=rtol)
        counts.update(report.counts)
        assert report.verdict != "disagrees", problem.name
    assert counts.total() >= 100_000
    assert counts["agrees"] + counts["kink: valid subgradient"] >= 0.999 * counts.total()


def smooth_problems() -> list[Problem]:
    problems = []
    for seed in range(6):
        problems.append(net_problem(seed, TANH, "tanh"))
        problems.append(trained(net_problem(seed, SIGMOID, "sigmoid")))
        problems.append(next(p for p in model_problems(seed) if p.name.startswith("two_layer")))
    return problems


@pytest.mark.slow
@pytest.mark.parametrize(("bars", "caught"), [(3, 0.97), (10, 0.99), (100, 0.99), (10_000, 0.99)])
def test_planted_errors_are_caught_and_nothing_else_is_blamed(bars, caught):
    planted = found = 0
    for k, (loss, grad, theta, args) in enumerate(p[1:] for p in smooth_problems()):
        layout, _ = flatten(theta)
        g = flatten(grad(theta, *args))[1]
        sweep = fg.grad(loss).estimate(theta, *args)
        bar = 6 * sweep.noise / (np.sqrt(2) * flatten(sweep.step)[1])
        rng = np.random.default_rng(k)
        chosen = rng.choice(g.size, g.size // 5, replace=False)
        a = g.copy()
        a[chosen] += bars * bar[chosen] * rng.choice([-1.0, 1.0], chosen.size)
        report = fg.check_grad(loss, a, theta, *args, rtol=0)
        blamed = {e.name for e in report.entries if e.verdict == "disagrees"}
        names = {layout.name(int(i)) for i in chosen}
        assert not blamed - names
        planted += len(names)
        found += len(blamed)
    assert planted > 500
    assert found >= caught * planted


@pytest.mark.slow
def test_a_correct_gradient_costs_at_most_a_fifth_of_an_evaluation_beyond_two_an_entry():
    checked = 0
    for problem in model_problems(0):
        report = fg.check_grad(problem.loss, problem.grad, problem.theta, *problem.args)
        if report.checked >= 600:
            checked += 1
            assert report.evaluations - 2 * report.checked <= 0.2 * report.checked, problem.name
    assert checked == 6


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"order": 4}, marks=pytest.mark.slow),
        {"order": 6},
        {"step": "adaptive"},
    ],
    ids=["order 2", "order 4", "order 6", "adaptive"],
)
def test_error_bars_of_estimates_are_calibrated(options):
    outside = total = 0
    ratios = []
    for problem in correct_problems(range(3)):
        exact = flatten(problem.grad(problem.theta, *problem.args))[1]
        result = fg.grad(problem.loss, **options).estimate(problem.theta, *problem.args)
        error = np.abs(flatten(result.gradient)[1] - exact)
        bar = flatten(result.error)[1]
        outside += int(np.count_nonzero(error > bar))
        total += exact.size
        if (error > 0).any():
            ratios.append(np.median(bar) / np.median(error[error > 0]))
    assert total > 20_000
    assert outside <= 0.001 * total
    assert np.median(ratios) <= 25
