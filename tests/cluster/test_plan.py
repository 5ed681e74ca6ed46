"""Plans are held against what then happened: evaluations, time and memory within 30%."""

import time
import tracemalloc
from concurrent.futures import Future
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.checks import budget as budgets
from fastgrad.cluster import pace, spread
from fastgrad.cluster.dispatch import Dispatch
from fastgrad.planning import Plan, _makespan
from tests.cluster.executors import Shuffled

WITHIN = 0.3


def near(got, expected):
    return abs(got - expected) <= WITHIN * expected


class Clock:
    """A clock that losses turn forward: what they take is the same on any machine."""

    running = None

    def __init__(self, monkeypatch):
        self.now, Clock.running = 0.0, self
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(budgets, "at_work", lambda: None)  # of the other clock

    def __reduce__(self):
        return getattr, (Clock, "running")  # one for all workers

    def loss(self, seconds):
        return partial(_quartic, self, seconds)


def _quartic(clock, seconds, p):
    """A loss at the module's top, that workers get without cloudpickle."""
    clock.now += seconds
    return float(sum((np.asarray(block) ** 4).sum() for block in p.values()))


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


@pytest.mark.parametrize(("strategy", "size"), [("sweep", 8_000), ("screen", 100_000)])
def test_memory_is_as_planned(strategy, size):
    x = np.linspace(1.0, 2.0, size)

    def loss(x):
        return float(x[0] ** 2)

    gradient = np.zeros(x.size)
    gradient[0] = 2 * x[0]
    plan = fg.plan(loss, x, backend="python")
    few = slice(0, 300)
    fg.check_grad(loss, gradient[few], x[few], backend="python", strategy=strategy)  # loads modules
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


class Virtual:
    """Workers on a clock of their own, each busy with one part after another, all at the same time."""

    def __init__(self, clock, workers):
        self._max_workers, self.clock = workers, clock
        self.free = [clock.now] * workers
        self.waiting = []

    def submit(self, function, *args):
        future = Future()
        self.waiting.append((future, self.clock.now, function, args))
        return future

    def step(self):
        """Do what waits, as soon as its worker is free, and answer what is ready first."""
        for k, (future, sent, *call) in enumerate(self.waiting):
            if len(call) > 1:
                function, args = call
                worker = int(np.argmin(self.free))
                now, self.clock.now = self.clock.now, max(self.free[worker], sent)
                answer = function(*args)
                self.free[worker], self.clock.now = self.clock.now, now
                self.waiting[k] = future, self.free[worker], answer
        future, ready, answer = min(self.waiting, key=lambda waits: waits[1])
        self.waiting = [waits for waits in self.waiting if waits[0] is not future]
        self.clock.now = max(self.clock.now, ready)
        future.set_result(answer)


@pytest.mark.parametrize("workers", [2, 10])
@pytest.mark.parametrize("n", [100, 1000])
def test_workers_take_what_is_planned(monkeypatch, workers, n):
    clock = Clock(monkeypatch)
    loss, theta = clock.loss(0.25), theta_of(n, 1)
    pool = Virtual(clock, workers)
    waits = Dispatch._next

    def waiting(dispatch):
        if dispatch._arrived.empty():
            pool.step()
        return waits(dispatch)

    monkeypatch.setattr(Dispatch, "_next", waiting)
    plan = fg.plan(loss, theta, backend="python", executor=pool)
    assert list(plan.workers) == [workers]
    began = clock.now
    gradient = {name: 4 * block**3 for name, block in theta.items()}
    report = fg.check_grad(loss, gradient, theta, backend="python", strategy="sweep", executor=pool)
    assert report.verdict == "agrees"
    assert f"on {workers} workers" in report.ran
    assert near(plan.seconds_on(workers), clock.now - began)
    assert clock.now - began < 2 * 0.25 * report.evaluations / workers  # they did share the work


def test_memory_with_workers_is_as_planned(monkeypatch):
    """That of the client, and in the same process here that of one worker."""
    monkeypatch.setattr(spread, "WORTH_SENDING", 0.0)
    monkeypatch.setattr(pace.Pace, "size", lambda self, left, workers=1: min(left, 500))
    x = np.linspace(1.0, 2.0, 8_000)
    gradient = np.zeros(x.size)
    gradient[0] = 2 * x[0]
    with Shuffled() as pool:
        plan = fg.plan(first_squared, x, backend="python", executor=pool)
        tracemalloc.start()
        report = fg.check_grad(
            first_squared, gradient, x, backend="python", strategy="sweep", executor=pool
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert pool.answers > 30
    assert report.verdict == "agrees"
    assert near(plan.memory_with_workers + plan.worker_memory, peak)


def first_squared(x):
    return float(x[0] ** 2)


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
