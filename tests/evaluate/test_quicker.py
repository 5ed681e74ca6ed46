"""Compiled or Python: whichever is the quicker, and the report says which."""

import sys
import time
from functools import partial

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.evaluate import adapters, schedule, which_is_quicker
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.python import PythonEvaluator
from fastgrad.parameters.layout import flatten

THETA = np.linspace(0.5, 1.5, 8)


def tanh_net(w, X):
    return np.tanh(X @ w).sum()


X = np.random.default_rng(0).normal(size=(300, 8))
EXACT = X.T @ (1 - np.tanh(X @ THETA) ** 2)


@pytest.mark.parametrize(
    ("python", "compiled", "expected"),
    [
        (1e-3, 4e-3, "Ran in Python, on one thread, where an evaluation takes 1 ms, compiled 4 ms"),
        (1e-3, 1.05e-3, "Ran compiled, on"),
        (4e-3, 1e-3, "Ran compiled, on"),
    ],
)
def test_the_quicker_runs(python, compiled, expected, monkeypatch):
    seconds = {"PythonEvaluator": python, "CompiledEvaluator": compiled}
    monkeypatch.setattr(which_is_quicker, "SUSPECTED", np.inf)
    monkeypatch.setattr(which_is_quicker, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(which_is_quicker, "available_threads", lambda: 1)
    monkeypatch.setattr(
        which_is_quicker, "seconds_each", lambda run, *_: seconds[type(run).__name__]
    )

    for run in adapters._jitted.copy():  # what an earlier case has decided
        if run[0] is tanh_net.__code__:
            del adapters._jitted[run]
    report = fg.check_grad(tanh_net, EXACT, THETA, X)
    assert report.verdict == "agrees"
    assert report.ran.startswith(expected)
    wrong = EXACT * np.where(np.arange(8) == 3, 1.01, 1.0)
    assert fg.check_grad(tanh_net, wrong, THETA, X).verdict == "disagrees"


def test_compiled_code_is_timed_on_one_thread(monkeypatch):
    """And what threads save is counted once: where two are taken, half of the time."""
    ran = []

    def seconds_each(run, *_):
        if type(run).__name__ == "PythonEvaluator":
            return 1e-3
        run.coordinates(np.zeros(1, np.int64), np.zeros((1, 4)))
        ran.append(run.sharing.most)
        return 3e-3

    monkeypatch.setattr(which_is_quicker, "COLD_SECONDS", np.inf)
    monkeypatch.setattr(which_is_quicker, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(which_is_quicker, "seconds_each", seconds_each)
    for module in (which_is_quicker, schedule):
        monkeypatch.setattr(module, "available_threads", lambda: 2)
    monkeypatch.setattr(schedule, "pays", lambda work, threads: threads > 1)
    report = fg.check_grad(lambda w, X: np.tanh(X @ w).sum() + 0.0, EXACT, THETA, X)
    assert set(ran) == {1}
    assert report.ran.startswith("Ran in Python")  # 1 ms beside 3 / 2


def test_evaluations_are_timed():
    layout, flat = flatten(THETA)
    calls = []
    run = PythonEvaluator(lambda w: float(calls.append(w) or w @ w), Inputs(layout, flat))
    assert which_is_quicker.seconds_each(run) > 0.0
    assert len(calls) == which_is_quicker.MOST_TIMED


@pytest.mark.skipif(sys.platform == "win32", reason="its clock of a thread is too coarse")
def test_waiting_is_not_working():
    """A core that others have is waited for as a sleep is."""
    began, wall = schedule.own_seconds(), time.perf_counter()
    time.sleep(0.05)
    assert schedule.own_seconds() - began < 0.5 * (time.perf_counter() - wall)


class Machine:
    """A busy one: caches are filled by others, and every second time a thread waits for its core."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.own = self.wall = 0.0

    def works(self, seconds):
        took = seconds * (1.0 + self.rng.exponential(0.25))
        self.own += took
        self.wall += took + (self.rng.random() < 0.5) * self.rng.exponential(4e-3)


class Timed:
    """An evaluator that takes so long."""

    theta = np.ones(3)

    def __init__(self, machine, seconds):
        self.machine, self.seconds, self.made = machine, seconds, []

    def coordinates(self, indices, offsets):
        self.made.append(offsets.size)
        for _ in range(offsets.size):
            self.machine.works(self.seconds)
        return np.zeros(offsets.shape)


@pytest.mark.parametrize("ratio", [1.4, 4.5])
def test_it_is_told_on_a_busy_machine_as_on_an_idle_one(ratio, monkeypatch):
    """Python must be 2.5 times as quick: where it is 1.4 or 4.5 times, 300 of 300 are told right.

    One look at the clock on the wall, which is the obvious way, errs in more than a tenth of them.
    """
    here, decides, right, naive = 1e-3, 2.5, 0, 0
    for seed in range(300):
        machine = Machine(seed)
        monkeypatch.setattr(which_is_quicker, "own_seconds", lambda machine=machine: machine.own)
        run, other = Timed(machine, here), Timed(machine, here / ratio)
        mine, theirs = which_is_quicker.compared((run, other), decides, here, 100)
        right += (mine > decides * theirs) == (ratio > decides)
        clock = partial(getattr, machine, "wall")
        walls = [which_is_quicker.seconds_each(each, 1, clock) for each in (run, other)]
        naive += (walls[0] > decides * walls[1]) == (ratio > decides)
    assert right == 300
    assert naive < 270


class Idle(Machine):
    def works(self, seconds):
        self.own += seconds
        self.wall += seconds


@pytest.mark.parametrize(
    ("ratio", "rounds"), [(0.3, 2), (40.0, 2), (1.0, 3), (6.0, 3), (2.2, 9), (2.8, 9)]
)
@pytest.mark.parametrize("evaluations", [6, 2000])
def test_what_is_clear_is_asked_less(evaluations, ratio, rounds, monkeypatch):
    machine = Idle(0)
    monkeypatch.setattr(which_is_quicker, "own_seconds", lambda: machine.own)
    run, other = Timed(machine, 1e-4), Timed(machine, 1e-4 / ratio)
    got = which_is_quicker.compared((run, other), 2.5, 1e-4, evaluations)
    np.testing.assert_allclose(got, [1e-4, 1e-4 / ratio])
    count = min(
        evaluations, which_is_quicker.MOST_TIMED, int(which_is_quicker.ROUND_SECONDS / sum(got))
    )
    assert run.made == other.made == [1] + [count] * rounds


def test_what_takes_long_is_asked_little(monkeypatch):
    """Single evaluations, and no more once the question has taken its time; by the clock on the wall
    where they may be made on another thread."""
    machine = Idle(0)
    monkeypatch.setattr(which_is_quicker.time, "perf_counter", lambda: machine.wall)
    monkeypatch.setattr(which_is_quicker, "own_seconds", lambda: machine.own)
    run, other = Timed(machine, 0.05), Timed(machine, 0.02)
    np.testing.assert_allclose(which_is_quicker.compared((run, other), 2.5, 0.05, 9), [0.05, 0.02])
    assert run.made == other.made == [1] * 4
    monkeypatch.setattr(which_is_quicker, "own_seconds", lambda: 0.0)
    run, other = Timed(machine, 2.0), Timed(machine, 0.5)
    np.testing.assert_allclose(which_is_quicker.compared((run, other), 2.5, 2.0, 9), [2.0, 0.5])
    assert run.made == other.made == [1]


def test_what_a_call_itself_costs_is_shared_by_as_many_as_the_work_has(monkeypatch):
    """As of a net in NumPy: 27 us in Python, but 57 where four are timed; 72 compiled, on 2 threads."""
    machine = Idle(0)
    monkeypatch.setattr(which_is_quicker, "own_seconds", lambda: machine.own)

    class Called(Timed):
        def coordinates(self, indices, offsets):
            machine.works(120e-6)
            return super().coordinates(indices, offsets)

    told = []
    for evaluations in (4, 1300):
        runs = Timed(machine, 72e-6), Called(machine, 27e-6)
        here, there = which_is_quicker.compared(runs, 2.2, 72e-6, evaluations)
        told.append(bool(here > 2.2 * there))
    assert told == [False, True]


def made(scale):
    return lambda w: scale * (w * w).sum()


def test_what_is_made_afresh_is_compiled_some_times_and_then_called_from_python(monkeypatch):
    monkeypatch.setattr(which_is_quicker, "MOST_ALIKE", 2)
    before = len(adapters._jitted)
    for k in range(20):
        np.testing.assert_allclose(fg.grad(made(k + 1.0))(THETA), 2 * (k + 1.0) * THETA, rtol=1e-8)
    assert len(adapters._jitted) - before == 2
    again = fg.check_grad(made(1.0), 2 * THETA, THETA)  # equal values share one compilation
    assert again.ran.startswith("Ran compiled")
    report = fg.check_grad(made(50.0), 100 * THETA, THETA)
    assert report.ran.startswith("Ran in Python, on one thread, as compiling it once more")
    assert fg.check_grad(made(50.0), 101 * THETA, THETA).verdict == "disagrees"
    monkeypatch.setattr(which_is_quicker, "COMPILING_SECONDS", 0.0)  # no calls are so few and cheap
    assert fg.check_grad(made(51.0), 102 * THETA, THETA).ran.startswith("Ran compiled")
