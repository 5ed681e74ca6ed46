"""Compiled or Python: whichever is the quicker, and the report says which."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.evaluate import adapters, quicker, schedule

THETA = np.linspace(0.5, 1.5, 8)


def tanh_net(w, X):
    return np.tanh(X @ w).sum()


X = np.random.default_rng(0).normal(size=(300, 8))
EXACT = X.T @ (1 - np.tanh(X @ THETA) ** 2)


@pytest.mark.parametrize(
    ("python", "compiled", "expected"),
    [
        (1e-3, 4e-3, "Ran in Python, on one thread, where an evaluation takes 1 ms, compiled 4 ms"),
        (1e-3, 1.2e-3, "Ran compiled, on"),
        (4e-3, 1e-3, "Ran compiled, on"),
    ],
)
def test_the_quicker_runs(python, compiled, expected, monkeypatch):
    seconds = {"PythonEvaluator": python, "CompiledEvaluator": compiled}
    monkeypatch.setattr(quicker, "SUSPECTED", np.inf)
    monkeypatch.setattr(quicker, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(quicker, "seconds_each", lambda run, **_: seconds[type(run).__name__])

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

    def seconds_each(run, **_):
        if type(run).__name__ == "PythonEvaluator":
            return 1e-3
        run.coordinates(np.zeros(1, np.int64), np.zeros((1, 4)))
        ran.append(run.sharing.most)
        return 3e-3

    monkeypatch.setattr(quicker, "COLD_SECONDS", np.inf)
    monkeypatch.setattr(quicker, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(quicker, "seconds_each", seconds_each)
    monkeypatch.setattr(schedule, "available_threads", lambda: 2)
    monkeypatch.setattr(schedule, "pays", lambda work, threads: threads > 1)
    report = fg.check_grad(lambda w, X: np.tanh(X @ w).sum() + 0.0, EXACT, THETA, X)
    assert ran == [1]
    assert report.ran.startswith("Ran in Python")  # 1 ms beside 3 / 2


def test_both_are_timed():
    from fastgrad.evaluate.protocol import Inputs
    from fastgrad.evaluate.python import PythonEvaluator
    from fastgrad.parameters.layout import flatten

    layout, flat = flatten(THETA)
    calls = []
    run = PythonEvaluator(lambda w: float(calls.append(w) or w @ w), Inputs(layout, flat))
    assert quicker.seconds_each(run) > 0.0
    assert len(calls) == quicker.ROUNDS * quicker.TIMED


def made(scale):
    return lambda w: scale * (w * w).sum()


def test_what_is_made_afresh_is_compiled_some_times_and_then_called_from_python(monkeypatch):
    monkeypatch.setattr(quicker, "MOST_ALIKE", 2)
    before = len(adapters._jitted)
    for k in range(20):
        np.testing.assert_allclose(fg.grad(made(k + 1.0))(THETA), 2 * (k + 1.0) * THETA, rtol=1e-8)
    assert len(adapters._jitted) - before == 2
    again = fg.check_grad(made(1.0), 2 * THETA, THETA)  # equal values share one compilation
    assert again.ran.startswith("Ran compiled")
    report = fg.check_grad(made(50.0), 100 * THETA, THETA)
    assert report.ran.startswith("Ran in Python, on one thread, as compiling it once more")
    assert fg.check_grad(made(50.0), 101 * THETA, THETA).verdict == "disagrees"
    monkeypatch.setattr(quicker, "COMPILING_SECONDS", 0.0)  # no calls are so few and cheap
    assert fg.check_grad(made(51.0), 102 * THETA, THETA).ran.startswith("Ran compiled")
