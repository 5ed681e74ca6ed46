"""strategy="auto" in noise: what a sweep leaves open is screened together, and both are said."""

import numpy as np
import pytest

import fastgrad as fg
from tests.checks.nets import changed, net

SMALL = (64, 10, 10)
"""760 parameters."""


def small_net(seed, dtype="float32"):
    return net(seed, SMALL, ("relu",), dtype)


def report_of(problem, gradient, **options):
    return fg.check_grad(problem.loss, gradient, problem.theta, backend="python", **options)


@pytest.fixture(scope="module")
def kinked():
    problem = small_net(0)
    right = problem.grad(problem.theta)
    return problem, right, report_of(problem, right, budget=None)


def test_a_right_net_with_kinks_agrees_though_entries_are_hidden(kinked):
    problem, right, report = kinked
    assert report.verdict == "agrees"
    assert report.strategy == "sweep"
    hidden = report.counts["inconclusive"]
    assert report.in_noise["open"] == hidden > 0
    assert hidden < report.size / 2
    assert f"{report.size - hidden} of {report.size} entries agree one by one" in str(report)
    alone = report_of(problem, right, strategy="sweep")
    assert alone.verdict == "agrees"
    assert alone.in_noise["each"] < 1
    assert "Each is known by its own differences alone" in str(alone)


@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.0, 0.5])
def test_a_sweep_alone_agrees_with_no_gross_error_that_noise_hides(factor):
    """Not one of an entry of the size of its block, whichever that is."""
    problem = small_net(3)
    right = problem.grad(problem.theta)
    b = right["b1"]
    entry = int(np.argmin(np.abs(np.abs(b) - np.sqrt(np.mean(b**2)))))
    wrong = b.copy()
    wrong[entry] *= np.float32(factor)
    report = report_of(problem, {**right, "b1": wrong}, strategy="sweep")
    assert report.verdict != "agrees", report


def test_limits_of_the_whole_hold_what_is_open(kinked):
    _, right, report = kinked
    told = report.in_noise
    assert told["whole_along"] <= 0.01
    assert told["whole_any_shape"] <= 0.1
    assert told["half"] <= 0.05 < told["each"] < 1
    for name in ("W1", "W2"):  # each of one unit
        arrays = report.arrays(name)
        off = np.abs(arrays.analytic - arrays.numeric) + arrays.error_bar
        size = np.linalg.norm(right[name].astype(float))
        assert told["any_shape"][name] <= (1 + 1e-9) * np.linalg.norm(off) / size


@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.0])
def test_a_single_wrong_entry_is_found_by_name(kinked, factor):
    problem, right, _ = kinked
    W = right["W1"].copy()
    row, column = np.unravel_index(np.abs(W).argmax(), W.shape)
    W[row, column] *= factor
    report = report_of(problem, {**right, "W1": W}, budget=None)
    assert report.verdict == "disagrees"
    wrong = [entry.name for entry in report.entries if entry.verdict == "disagrees"]
    assert wrong == [f"W1[{row}, {column}]"]


def test_an_error_of_all_that_is_open_is_found(kinked):
    problem, right, report = kinked
    hidden = report.arrays("W1").verdict == "inconclusive"
    wrong = changed(right, "W1", lambda a: np.where(hidden, 1.3 * a, a))
    report = report_of(problem, wrong, budget=None)
    assert report.verdict == "disagrees"
    assert [block.name for block in report.blocks if block.verdict == "disagrees"] == ["W1"]


def test_where_nearly_nothing_is_told_one_by_one_all_is_screened():
    problem = small_net(1, "bfloat16")
    report = report_of(problem, problem.grad(problem.theta), budget=None)
    assert report.strategy == "screen"
    assert report.verdict != "disagrees"


def counted(seeds):
    reports = []
    for seed in seeds:
        problem = small_net(seed)
        reports.append(report_of(problem, problem.grad(problem.theta), budget=None, seed=seed))
    return [report.verdict for report in reports]


@pytest.mark.slow
def test_right_nets_with_kinks_agree_counted():
    verdicts = counted(range(400, 440))
    assert verdicts.count("disagrees") == 0
    assert verdicts.count("agrees") >= 36


def test_a_round_value_of_a_loss_in_float64_is_no_half_precision():
    """300 has few digits, and the loss beside theta has all of them: its entries are swept."""
    report = fg.check_grad(lambda x: float((x**2).sum()), lambda x: 2 * x, np.ones(300))
    assert (report.verdict, report.strategy) == ("agrees", "sweep")
