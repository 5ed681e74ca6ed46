"""A budget is kept whatever the sweep turns out to need; the clock is the loss's own."""

import re
import threading
import time

import numpy as np
import pytest
from numba.core import event

import fastgrad as fg
from fastgrad.checks import budget as budgets
from fastgrad.evaluate.compiling import seconds_compiling

n = 400
x = np.random.default_rng(0).normal(size=n)


@pytest.fixture
def loss(monkeypatch):
    """Takes a second an evaluation; ``loss.seconds`` is the time."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(budgets, "at_work", lambda: None)  # of the other clock

    def loss(theta):
        now[0] += 1.0
        loss.seconds = now[0]
        return float((theta**2).sum() + np.sin(theta).sum())

    return loss


def right(theta):
    return 2 * theta + np.cos(theta)


def check(loss, gradient, seconds, **options):
    return fg.check_grad(loss, gradient, x, budget=seconds, backend="python", **options)


@pytest.mark.parametrize("budget", [3 * n, 4 * n, 5 * n])
@pytest.mark.parametrize("wrong", [0, 1, n // 2, n])
def test_what_a_wrong_gradient_costs_more_is_kept_within_the_budget(loss, wrong, budget):
    def gradient(theta):
        return right(theta) * np.where(np.arange(n) < wrong, 2.0, 1.0)

    report = check(loss, gradient, budget)
    assert loss.seconds <= 1.2 * budget + 3
    assert report.verdict == ("disagrees" if wrong else "agrees")
    blamed = [entry for entry in report.entries if entry.verdict == "disagrees"]
    assert all(entry.index[0] < wrong for entry in blamed)


@pytest.mark.parametrize("count", [2, 5, 20, 60])
@pytest.mark.parametrize("factor", [1.0, -1.0, 0.0, 1.3])
def test_a_slow_smooth_loss_gets_its_verdict_in_a_few_evaluations_beside_two_an_entry(
    loss, count, factor
):
    """12 more for a right gradient, 20 for a gross error of its largest entry."""
    theta = x[:count]
    gradient = right(theta)
    gradient[int(np.abs(gradient).argmax())] *= factor
    more = 12 if factor == 1.0 else 20
    report = fg.check_grad(loss, gradient, theta, budget=2 * count + more, backend="python")
    assert report.verdict == ("agrees" if factor == 1.0 else "disagrees")
    assert report.evaluations <= 2 * count + more


def test_what_was_left_out_is_said(loss):
    report = check(loss, lambda theta: 2 * right(theta), 3 * n)
    assert report.counts["inconclusive"] > 0
    assert report.counts["disagrees"] > 0
    assert any("The budget of 1200 s was spent before" in remark for remark in report.remarks)
    assert "there was no time to look at it again" in "".join(e.note for e in report.entries)


def test_steps_of_their_own_are_reckoned_with(loss):
    assert check(loss, right, 3 * n, step="adaptive")
    assert loss.seconds <= 1.2 * 3 * n + 3


def test_evaluations_that_cost_more_beside_theta_are_noticed(monkeypatch):
    """At theta the loss answers at once, from a cache; elsewhere it takes a second."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(budgets, "at_work", lambda: None)  # of the other clock

    def loss(theta):
        now[0] += 1e-3 if (theta == x).all() else 1.0
        return float((theta**2).sum() + np.sin(theta).sum())

    fg.check_grad(loss, right, x, budget=100.0, backend="python")
    assert now[0] <= 1.2 * 100 + 3


# ---- compiling is not evaluating, and the cheapest that decides comes first ------------------------


def test_what_is_compiled_under_way_does_not_count(clock):
    """A minute of compiling beside a budget of ten seconds, at the first call and at the hundredth."""
    calls = 0

    def loss(theta):
        nonlocal calls
        calls += 1
        if calls in (1, 100):
            with event.trigger_event("numba:compiler_lock"):
                clock.passes(60.0)
        clock.passes(1e-3)
        return float((theta**2).sum() + np.sin(theta).sum())

    report = check(loss, right, 10.0)
    assert (report.verdict, report.strategy) == ("agrees", "sweep")


def test_what_a_first_call_loads_does_not_count(clock):
    """As a library that compiles what it is given, without a word to numba."""
    calls = 0

    def loss(theta):
        nonlocal calls
        calls += 1
        clock.passes(60.0 if calls == 1 else 1e-3)
        return float((theta**2).sum() + np.sin(theta).sum())

    assert check(loss, right, 10.0).verdict == "agrees"


def test_time_under_the_compiler_lock_is_counted_once_and_by_thread(clock):
    before = seconds_compiling()
    with event.trigger_event("numba:compiler_lock"):
        clock.passes(1.0)
        with event.trigger_event("numba:compiler_lock"):
            clock.passes(2.0)
    assert seconds_compiling() - before == 3.0
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(seconds_compiling()))
    thread.start()
    thread.join()
    assert elsewhere == [0.0]


def smooth(x):
    return float(np.sin(x).sum() + x[0] * x[-1])


def smooth_grad(x):
    a = np.cos(x)
    a[0] += x[-1]
    a[-1] += x[0]
    return a


SMOOTH = {
    "value 1": (lambda x: 1.0 + 0.01 * smooth(x), lambda x: 0.01 * smooth_grad(x)),
    "value 1e-250": (lambda x: 1e-250 * smooth(x), lambda x: 1e-250 * smooth_grad(x)),
    "value 0": (lambda x: smooth(x) - smooth(start(x.size)), smooth_grad),
}


def start(size):
    return np.random.default_rng(size).normal(size=size)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 10])
@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_right_gradient_takes_two_evaluations_an_entry_and_twelve(name, size):
    f, g = SMOOTH[name]
    report = fg.check_grad(f, g, start(size), backend="python")
    assert report.verdict == "agrees"
    assert report.evaluations <= 2 * size + 12


def test_a_perfect_fit_takes_two_more_an_entry():
    """A difference of exactly 0 is looked at again at a wide step: a flat loss would hide any zero."""
    x0 = start(4)
    report = fg.check_grad(
        lambda x: float(((x - x0) ** 2).sum()), lambda x: 2 * (x - x0), x0, backend="python"
    )
    assert report.verdict == "agrees"
    assert report.evaluations <= 2 * 4 + 12 + 2 * 4


@pytest.mark.parametrize(("size", "cost"), [(4, 0.14), (4, 0.06), (6, 0.23), (10, 0.3), (24, 0.15)])
@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_slow_losses_of_few_entries_get_their_verdict_within_the_budget(clock, size, cost, factor):
    def loss(x):
        clock.passes(cost)
        return smooth(x)

    report = fg.check_grad(loss, lambda x: factor * smooth_grad(x), start(size), backend="python")
    assert (report.verdict, report.strategy) == (
        "agrees" if factor == 1.0 else "disagrees",
        "sweep",
    )
    assert clock.now <= 10.0 + 3 * cost


@pytest.mark.parametrize("size", [4, 40, 3000])
@pytest.mark.parametrize("strategy", ["auto", "screen"])
def test_a_budget_that_would_do_does(clock, size, strategy):
    rng = np.random.default_rng(0)

    def loss(x):
        clock.passes(1.0 + 0.2 * rng.random())
        return smooth(x)

    def checked(budget):
        return fg.check_grad(
            loss, smooth_grad, start(size), backend="python", budget=budget, strategy=strategy
        )

    report = checked(5.0)
    assert report.verdict == "inconclusive"
    assert report.evaluations <= 12
    assert "cannot be told" not in str(report)
    (remark,) = (remark for remark in report.remarks if "would do" in remark)
    advised = float(re.search(r"budget=([\d.e+]+) would do", remark).group(1))
    assert advised <= 2 * (90 if strategy == "screen" else min(2 * size + 9, 66))
    began = clock.now
    report = checked(advised)
    assert report.verdict == "agrees"
    assert clock.now - began <= 1.05 * advised + 3


def test_time_is_kept_to_look_again_at_the_worst(clock):
    x = start(130)

    def loss(x):
        clock.passes(0.024)
        return float((x**3).sum() + np.sin(x).sum())

    def gradient(x):
        return (3 * x**2 + np.cos(x)) * np.where(np.arange(130) < 39, 1.1, 1.0)

    for budget in (7.0, 8.0, 10.0):
        clock.now = 0.0
        report = fg.check_grad(loss, gradient, x, backend="python", budget=budget)
        assert report.verdict == "disagrees"
        assert clock.now <= 1.05 * budget + 1
        blamed = [entry for entry in report.entries if entry.verdict == "disagrees"]
        assert all(entry.index[0] < 39 for entry in blamed)
        if report.counts.get("inconclusive") and report.strategy == "sweep":
            assert f"at least {len(blamed)} of 130 entries disagree" in str(report)


# ---- a busy machine -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waits", "preemptions", "verdict"),
    [(0, 0, "screen"), (0, 1, "sweep"), (1, 1, "screen")],
    ids=["slow by itself", "put aside for other processes", "waits for a device"],
)
def test_what_other_processes_take_is_no_cost_of_a_loss(
    clock, monkeypatch, waits, preemptions, verdict
):
    """Of 0.1 s an evaluation a microsecond is work: 300 entries do not fit in ten seconds."""
    calls = 0

    def loss(theta):
        nonlocal calls
        calls += 1
        clock.passes(0.1)
        return float((theta**2).sum() + np.sin(theta).sum())

    def at_work():
        return budgets.Work(1e-6 * calls, waits * calls, preemptions * calls)

    monkeypatch.setattr(budgets, "at_work", at_work)
    x = np.linspace(0.5, 2.0, 300)
    report = fg.check_grad(loss, lambda x: 2 * x + np.cos(x), x, backend="python")
    assert report.strategy == verdict
