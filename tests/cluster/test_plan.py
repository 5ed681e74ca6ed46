"""Plans are held against what then happened: evaluations, time and memory within 30%."""

import time
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.planning import Plan, _makespan

WITHIN = 0.3


def near(got, expected):
    return abs(got - expected) <= WITHIN * expected


class Clock:
    """A clock that losses turn forward: what they take is the same on any machine."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def loss(self, seconds):
        def quartic(p):
            self.now += seconds
            return float(sum((np.asarray(block) ** 4).sum() for block in p.values()))

        return quartic


def theta_of(n, blocks):
    rng = np.random.default_rng(n)
    return {f"b{k}": rng.standard_normal(n // blocks) for k in range(blocks)}


@pytest.mark.parametrize(("n", "blocks"), [(12, 1), (60, 3), (400, 1), (2000, 4)])
@pytest.mark.parametrize("strategy", ["sweep", "screen"])
def test_evaluations_and_time_are_as_planned(monkeypatch, n, blocks, strategy):
    clock = Clock(monkeypatch)
    loss, theta = clock.loss(0.25), theta_of(n, blocks)
    plan = fg.plan(loss, theta, backend="python")
    assert plan.evaluation == pytest.approx(0.25)
    assert plan.evaluations <= 16  # a handful
    began = clock.now
    gradient = {name: 4 * block**3 for name, block in theta.items()}
    report = fg.check_grad(loss, gradient, theta, backend="python", strategy=strategy, budget=None)
    planned = getattr(plan, strategy)
    assert report.verdict == "agrees"
    assert near(planned.evaluations, report.evaluations)
    assert near(planned.seconds, clock.now - began)


@pytest.mark.parametrize("budget", [5.0, 60.0, 1e4])
def test_a_budget_allows_what_is_planned(monkeypatch, budget):
    clock = Clock(monkeypatch)
    loss, theta = clock.loss(0.25), theta_of(400, 1)
    plan = fg.plan(loss, theta, backend="python", budget=budget)
    gradient = {name: 4 * block**3 for name, block in theta.items()}
    report = fg.check_grad(loss, gradient, theta, backend="python", budget=budget)
    assert (plan.strategy or "inconclusive") == (
        report.strategy if report.checked or report.verdict == "agrees" else "inconclusive"
    )
    assert f"A budget of {budget:g} s allows" in str(plan)


@pytest.mark.parametrize("strategy", ["sweep", "screen"])
def test_memory_is_as_planned(strategy):
    x = np.linspace(1.0, 2.0, 8_000)

    def loss(x):
        return float(x[0] ** 2)

    gradient = np.zeros(x.size)
    gradient[0] = 2 * x[0]
    plan = fg.plan(loss, x, backend="python")
    tracemalloc.start()
    fg.check_grad(loss, gradient, x, backend="python", strategy=strategy, budget=None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert near(getattr(plan, strategy).memory, peak)


def test_workers_share_the_work_and_the_client_keeps_up():
    for evaluations, seconds in ((2000, 0.05), (10**6, 1.0), (2 * 10**7, 1.0)):
        alone = _makespan(evaluations, seconds, 1)
        assert alone == pytest.approx(evaluations * seconds)
        spans = [_makespan(evaluations, seconds, 10**k) for k in range(5)]
        assert all(after <= before for before, after in pairwise(spans))
        assert spans[1] == pytest.approx(alone / 10, rel=0.1)
    # parts of 50 s, so that it does: half of one is lost at the end
    assert _makespan(10**8, 1e-2, 10**4) == pytest.approx(100 + 25)


def test_what_may_be_perturbed_is_what_counts():
    theta = theta_of(40, 2)
    plan = fg.plan(quadratic, theta, trainable="b0", backend="python")
    assert isinstance(plan, Plan)
    assert plan.entries == 20
    assert repr(plan).startswith("Plan(20 entries, ")
    assert plan.seconds_on(4) <= plan.seconds_on(2)
    with pytest.raises(fg.errors.NonFiniteLossError):
        fg.plan(lambda p: float("nan"), theta, backend="python")


def quadratic(p):
    return float(sum((block**2).sum() for block in p.values()))
