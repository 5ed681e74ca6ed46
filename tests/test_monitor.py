"""Monitor: gross errors at once, small ones as evidence adds up, and right gradients left in peace."""

import warnings
from itertools import pairwise

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import monitor as monitor_module
from fastgrad.errors import GradientAlarm
from fastgrad.monitoring.moment import Moment
from fastgrad.monitoring.watch import Watch
from fastgrad.parameters.layout import flatten

X, Y = fg.models.digits()
X = X.astype(np.float32)
SIZES = 64, 20, 10


@pytest.fixture(autouse=True)
def _unhurried_full_checks(monkeypatch):
    """They take about a second; what a busy machine leaves undone is not what is tested here."""
    monkeypatch.setattr(monitor_module, "FULL_CHECK_SECONDS", 60.0)


def initial(seed):
    rng = np.random.default_rng(seed)
    params = {}
    for k, (n, m) in enumerate(pairwise(SIZES)):
        params[f"W{k}"] = (rng.standard_normal((n, m)) / np.sqrt(n)).astype(np.float32)
        params[f"b{k}"] = np.zeros(m, np.float32)
    return params


def outputs(params, X):
    hidden = np.maximum(X @ params["W0"] + params["b0"], 0)
    return hidden, hidden @ params["W1"] + params["b1"]


def loss(params, X, y):
    """In float32, with ReLU: kinks and rounding, as nets are trained."""
    params = {name: value.astype(np.float32) for name, value in params.items()}
    Z = outputs(params, X)[1]
    Z = Z - Z.max(1, keepdims=True)
    return float((np.log(np.exp(Z).sum(1)) - Z[np.arange(len(y)), y]).mean())


def gradient(params, X, y, wrong=None):
    params = {name: value.astype(np.float32) for name, value in params.items()}
    hidden, Z = outputs(params, X)
    e = np.exp(Z - Z.max(1, keepdims=True))
    d = e / e.sum(1, keepdims=True)
    d[np.arange(len(y)), y] -= 1
    d /= np.float32(len(y))
    back = (d @ params["W1"].T) * (hidden > 0)
    found = {"W0": X.T @ back, "b0": back.sum(0), "W1": hidden.T @ d, "b1": d.sum(0)}
    for name, factor in (wrong or {}).items():
        found[name] = found[name] * np.float32(factor)
    return found


def train(seed, checks, wrong=None, monitor=None, steps=3):
    """A run of plain SGD, monitored; the parameters at its end, and the monitor."""
    rng, params = np.random.default_rng(1000 + seed), initial(seed)

    def claimed(params, X, y):
        return gradient(params, X, y, wrong)

    if monitor is None:
        monitor = fg.Monitor(loss, claimed, every=steps, on_alarm="record", seed=seed)
    for step in range(checks * steps):
        rows = rng.integers(len(Y), size=48)
        monitor(step, params, X[rows], Y[rows])
        g = gradient(params, X[rows], Y[rows])
        params = {name: params[name] - np.float32(0.1) * g[name] for name in params}
        if monitor.records and monitor.records[-1].alarm:
            break
    return params, monitor


@pytest.mark.parametrize(
    ("block", "factor"), [("W0", 0.98), ("b0", 1.02), ("W1", 1.02), ("b1", 0.98)]
)
def test_two_percent_of_a_block_is_found_within_60_checks(block, factor):
    _, monitor = train(1, 60, {block: factor})
    alarm = monitor.records[-1].alarm
    assert (alarm.kind, alarm.block) == ("evidence", block)
    assert alarm.report.verdict != "agrees"
    if block.startswith("b"):  # a large one takes longer than these tests allow
        assert [b.name for b in alarm.report.blocks if b.verdict == "disagrees"] == [block]


@pytest.mark.slow
def test_two_percent_is_found_in_29_of_30_runs():
    found = 0
    for seed in range(30):
        block = ("W0", "b0", "W1", "b1")[seed % 4]
        alarm = train(seed, 60, {block: 1.02})[1].records[-1].alarm
        found += alarm is not None and alarm.block == block
    assert found >= 29


@pytest.mark.parametrize("wrong", [{"W0": -1.0}, {"W1": 2.0}, {"W0": 48.0, "W1": 48.0}])
def test_gross_errors_are_found_at_once(wrong):
    _, monitor = train(2, 12, wrong)
    assert monitor.records[-1].alarm.kind == "gross"
    assert monitor.records[-1].alarm.report.verdict == "disagrees"


def test_a_right_run_has_no_alarm_and_stays_as_it_was():
    with_monitor, monitor = train(3, 40)
    expected, _ = train(3, 40, monitor=Idle())
    assert not any(record.alarm for record in monitor.records)
    for name, value in expected.items():
        assert value.tobytes() == with_monitor[name].tobytes()


class Idle:
    records = ()

    def __call__(self, *_):
        return None


def test_a_check_takes_four_evaluations_and_one_gradient():
    calls = {"loss": 0, "grad": 0}

    def counted_loss(*args):
        calls["loss"] += 1
        return loss(*args)

    def counted_gradient(*args):
        calls["grad"] += 1
        return gradient(*args)

    monitor = fg.Monitor(counted_loss, counted_gradient, every=1)
    params = initial(0)
    monitor(0, params, X[:48], Y[:48])
    first = dict(calls)
    for step in range(1, 30):
        monitor(step, params, X[:48], Y[:48])
    assert first["grad"] == 1
    assert first["loss"] <= 24
    assert calls["grad"] - first["grad"] == 29
    assert calls["loss"] - first["loss"] == 4 * 29


def test_random_state_is_kept_and_frozen():
    def noisy(w, X):
        keep = np.random.random(X.shape) < 0.7
        return float((((X * keep) @ w) ** 2).mean())

    def noisy_gradient(w, X):
        keep = np.random.random(X.shape) < 0.7
        Z = X * keep
        return 2 * Z.T @ (Z @ w) / len(X)

    data, w = np.random.default_rng(0).standard_normal((40, 30)), np.ones(30)
    monitor = fg.Monitor(noisy, noisy_gradient, every=1, on_alarm="record")
    np.random.seed(0)
    expected = np.random.get_state()[1].tobytes()
    for step in range(20):
        monitor(step, w, data)
    assert np.random.get_state()[1].tobytes() == expected
    assert not any(record.alarm for record in monitor.records)
    assert all(abs(record.relative) < 1e-6 for record in monitor.records)


def test_what_an_alarm_does():
    wrong = {"W0": -1.0}
    with pytest.warns(GradientAlarm, match=r"step 0: along a line .*disagrees: W0"):
        run_once("warn", wrong)
    with pytest.raises(fg.errors.GradientMismatch, match="W0"):
        run_once("raise", wrong)
    heard = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_once(heard.append, wrong)
    assert heard[0].alarm.kind == "gross"


def run_once(on_alarm, wrong):
    monitor = fg.Monitor(
        loss, lambda *args: gradient(*args, wrong), every=1, on_alarm=on_alarm, seed=1
    )
    monitor(0, initial(0), X[:48], Y[:48])


def test_a_gradient_that_is_not_finite():
    def broken(*args):
        found = gradient(*args)
        found["b0"][3] = np.nan
        return found

    monitor = fg.Monitor(loss, broken, on_alarm="record")
    record = monitor(0, initial(0), X[:48], Y[:48])
    assert (record.alarm.kind, record.alarm.block) == ("not finite", "b0")


def test_summary():
    _, monitor = train(1, 60, {"W1": 1.02})
    text = monitor.summary()
    assert f"{len(monitor.records)} checks from step 0" in text
    assert "1 alarm." in text
    assert "W1" in text
    assert fg.Monitor(loss, gradient).summary() == "No check was made yet."


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every": 0}, "every=0"),
        ({"directions": 1.5}, "directions=1.5"),
        ({"alpha": 1}, "alpha=1"),
        ({"on_alarm": "shout"}, "on_alarm='shout'"),
    ],
)
def test_mistakes(options, said):
    with pytest.raises(ValueError, match=said):
        fg.Monitor(loss, gradient, **options)
    with pytest.raises(TypeError, match="grad is int"):
        fg.Monitor(loss, 3)


class Simulated(Moment):
    """A quadratic with noise of a kind, where the gradient is right to a part `off` of its blocks."""

    layout, _ = flatten({name: np.ones(8) for name in "abcde"})

    def __init__(self, rng, noise, off=0.0):
        self.rng, self.noise, self.off = rng, noise, off
        self.theta = rng.standard_normal(self.layout.size)
        self.g = rng.standard_normal(self.layout.size)
        self.bend = rng.standard_normal(self.layout.size)

    def gradient(self):
        return self.g * (1 + self.off * np.repeat([1, -1, 1, -1, 1], 8))

    def along(self, direction, offsets):
        t = offsets[:, None] * direction
        exact = t @ self.g + t**2 @ self.bend + t**3 @ self.bend
        return exact + 1e-7 * self.noise(self.rng, offsets.size)

    def check(self, block, budget):
        return None


NOISES = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "heavy": lambda rng, n: rng.standard_t(1.5, n),
    "kinks": lambda rng, n: rng.choice([0.0, 0.0, 0.0, 300.0], n) * rng.standard_normal(n),
}


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
def test_no_alarm_in_300_right_runs_of_400_checks(noise):
    """100 runs of each kind of noise, errors of the blocks up to half of what the null allows."""
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 7])
        watch = Watch(1e-3, 1, seed)
        for step in range(400):
            record = watch.look(step, Simulated(rng, NOISES[noise], off=5e-4 * (seed % 2)))
            alarms += record.alarm is not None
    assert alarms == 0


@pytest.mark.slow
def test_no_alarm_in_right_runs_of_a_float32_net():
    assert not any(r.alarm for seed in range(6) for r in train(seed, 400, steps=1)[1].records)
