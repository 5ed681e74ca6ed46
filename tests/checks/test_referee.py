"""Rough losses: right gradients are not called wrong by one step, and errors are found."""

from collections import Counter

import numpy as np
import pytest

import fastgrad as fg
from tests.rough import (
    KINDS,
    SINGLE,
    SMOOTH,
    SOLVERS,
    fixed_point_loose,
    printed_coarsely,
    rough,
)

SEEDS = range(2)
MANY_SEEDS = range(20)
OPTIONS = {"backend": "python", "budget": None}
ERRORS = {"1.3 times": 1.3, "sign": -1.0, "zero": 0.0}


def verdicts_of_right_ones(kinds, seeds, strategy="sweep"):
    counts = Counter()
    for problem in rough(kinds, seeds):
        report = fg.check_grad(
            problem.loss, problem.gradient, problem.theta, strategy=strategy, **OPTIONS
        )
        assert report.verdict != "disagrees", f"{problem.kind}\n{report}"
        counts.update(report.counts if strategy == "sweep" else [report.verdict])
    return counts


def part_open(counts):
    told = counts["agrees"] + counts["kink: valid subgradient"]
    return 1 - told / counts.total()


def found_errors(kinds, seeds, errors, strategy="sweep"):
    """How many planted errors of the entry of largest effect are called wrong, and how many not."""
    counts = Counter()
    for problem in rough(kinds, seeds):
        k = int(np.abs(problem.gradient).argmax())
        for factor in errors:
            a = problem.gradient.copy()
            a[k] *= factor
            report = fg.check_grad(problem.loss, a, problem.theta, strategy=strategy, **OPTIONS)
            counts[report.verdict] += 1
            if strategy == "sweep":
                blamed = {e.index for e in report.entries if e.verdict == "disagrees"}
                assert blamed <= {(k,)}, f"{problem.kind}\n{report}"
    return counts


def test_no_right_gradient_is_called_wrong_at_any_step():
    verdicts_of_right_ones((*KINDS, printed_coarsely), SEEDS)


@pytest.mark.parametrize(
    ("kinds", "most"), [(SMOOTH, 0.0), (SINGLE, 0.15)], ids=["smooth", "float32"]
)
def test_few_entries_are_left_open(kinds, most):
    assert part_open(verdicts_of_right_ones(kinds, SEEDS)) <= most


def test_gross_errors_are_found_wherever_a_wide_or_a_fine_step_shows_them():
    kinds = tuple(kind for kind in KINDS if kind not in SOLVERS)
    counts = found_errors(kinds, range(1), ERRORS.values())
    assert counts["disagrees"] >= 0.95 * counts.total()
    assert counts["agrees"] == 0


@pytest.mark.slow
def test_right_gradients_of_rough_losses_counted():
    """20 seeds: 0 called wrong; at most 5% of smooth ones open, 15% in single precision."""
    verdicts_of_right_ones((*KINDS, printed_coarsely), MANY_SEEDS)
    assert part_open(verdicts_of_right_ones(SMOOTH, MANY_SEEDS)) <= 0.05
    assert part_open(verdicts_of_right_ones(SINGLE, MANY_SEEDS)) <= 0.15


@pytest.mark.slow
def test_errors_of_rough_losses_counted():
    """20 seeds: 99% of gross errors, and 99.9% of 1% in smooth float64 losses."""
    kinds = tuple(kind for kind in KINDS if kind not in SOLVERS)
    counts = found_errors(kinds, MANY_SEEDS, ERRORS.values())
    assert counts["disagrees"] >= 0.99 * counts.total()
    counts = found_errors(SMOOTH, MANY_SEEDS, (1.01,))
    assert counts["disagrees"] >= 0.999 * counts.total()


@pytest.mark.slow
def test_screens_of_rough_losses_call_no_right_gradient_wrong():
    verdicts_of_right_ones((*KINDS, printed_coarsely), MANY_SEEDS, "screen")


def note_of(kind, seed=0, scale=1.0):
    (problem,) = rough((kind,), range(seed, seed + 1))
    report = fg.check_grad(problem.loss, scale * problem.gradient, problem.theta, **OPTIONS)
    return " ".join([*(entry.note for entry in report.entries), *report.remarks])


def test_the_kind_is_said_with_both_slopes_and_their_steps():
    words = note_of(saw_with_wide_units)
    assert "the slope depends on the step: " in words
    assert "the loss jumps by " in words
    assert "computed to a tolerance?" in words
    assert "the loss is given to 0.01" in note_of(printed_coarsely)


def saw_with_wide_units(rng):
    period = 4e-5
    return (
        lambda t: float((t - 2 * ((t + period / 2) % period - period / 2)).sum()),
        np.array([0.7, 1.3]),
        np.ones(2),
    )


def test_a_wave_is_no_saw():
    """At wide steps any wave has mean slope 0, which acquits no zero."""
    x = np.array([0.7, 1.3])
    report = fg.check_grad(lambda t: float(np.sin(1e3 * t).sum()), np.zeros(2), x, **OPTIONS)
    assert report.counts == {"disagrees": 2}


def test_a_flat_float32_loss_hides_no_zero():
    x = np.random.default_rng(0).normal(size=5).astype(np.float32)

    def loss(t):
        return float(np.float32(1000) + np.float32(4) * np.sin(t).sum(dtype=np.float32))

    assert fg.check_grad(loss, np.zeros(5), x.astype(float), **OPTIONS).verdict == "disagrees"


def test_a_smooth_tolerance_is_wrong_by_its_error_alone():
    (problem,) = rough((fixed_point_loose,), range(1))
    report = fg.check_grad(problem.loss, problem.gradient, problem.theta, rtol=1e-3, **OPTIONS)
    assert report.verdict == "agrees"
    assert report.relative_error < 1e-3


def evaluations(loss, gradient, theta):
    return fg.check_grad(loss, gradient, theta, **OPTIONS).evaluations


def test_a_gross_error_of_a_smooth_loss_costs_a_few_looks():
    """One wrong entry: its first look takes nine evaluations."""
    x = np.random.default_rng(0).normal(size=20)
    right = 3 * x * x
    wrong = right.copy()
    wrong[3] *= -1
    cubes = lambda t: float((t**3).sum())  # noqa: E731
    assert evaluations(cubes, right, x) <= 2 * x.size + 12
    assert fg.check_grad(cubes, wrong, x, **OPTIONS).verdict == "disagrees"


def beside_an_edge(jump, at, factor):
    """A check of a function that jumps once, at a distance, with the first entry times a factor."""
    theta = np.array([0.99, 0.3])

    def loss(t):
        return float(30 * np.sin(t[0]) + t[1] ** 2 + jump * ((t[0] - theta[0]) / at > 1))

    wrong = np.array([30 * np.cos(theta[0]) * factor, 2 * theta[1]])
    return fg.check_grad(loss, wrong, theta, **OPTIONS)


@pytest.mark.parametrize("at", [1e-6, 1e-4, -0.009, 0.05])
@pytest.mark.parametrize("jump", [1e-4, 1.0, -70.0, 1e4])
def test_a_jump_that_stands_alone_hides_no_error(jump, at):
    """An edge of the domain, a cut-off or another branch: f is smooth on the other side of theta."""
    assert beside_an_edge(jump, at, 1.0).verdict == "agrees"
    for factor in (-1.0, 0.0, 1.01):
        report = beside_an_edge(jump, at, factor)
        assert [e.index for e in report.entries if e.verdict == "disagrees"] == [(0,)]


@pytest.mark.parametrize("slope", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("period", [0.01, 0.03, 0.1])
def test_jumps_that_come_again_convict_nobody(period, slope):
    """A saw, as of a solver that stops at a tolerance: the slope within a tooth means nothing."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, phase = rng.uniform(0.6, 1.6), rng.random()

        def loss(t, phase=phase):
            return float(np.sin(t[0]) + slope * period * ((t[0] / period + phase) % 1.0))

        verdict = fg.check_grad(loss, np.array([np.cos(x)]), np.array([x]), **OPTIONS).verdict
        assert verdict != "disagrees"
