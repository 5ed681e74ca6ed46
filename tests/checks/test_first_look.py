"""The first look: gross errors along the signs of the gradient, before anything else is known."""

import numpy as np
import pytest

import fastgrad as fg
from tests.problems import TANH, Net, data, net, net_grad, net_loss

SIZES = (30, 20, 5)
BLOCKS = len(Net._fields)
MOST = 12 + 2 * BLOCKS
ONE_BLOCK = {
    "the sign": lambda a: -a,
    "twice": lambda a: 2 * a,
    "zero": lambda a: 0 * a,
    "1.3 times": lambda a: 1.3 * a,
    "transposed": lambda a: a.reshape(a.shape[::-1]).T if a.ndim == 2 else a[::-1],
}


def counted(loss):
    def count(*args):
        count.calls += 1
        return float(loss(*args))

    count.calls = 0
    return count


def single(theta, *args):
    """The same in single precision."""
    halved = Net(*(np.float32(block) for block in theta))
    X, T, *rest = args
    return np.float32(net_loss.py_func(halved, np.float32(X), np.float32(T), *rest))


def problem(seed=0):
    theta = net(seed, *SIZES)
    args = (*data(seed, 20, SIZES[0], SIZES[2]), TANH, 0.0, 1.0, 0.0)
    return theta, args, net_grad(theta, *args)


def refuted_after(report):
    said = [remark for remark in report.remarks if remark.startswith("After ")]
    return int(said[0].split()[1]) if said else None


@pytest.mark.parametrize("name", Net._fields)
@pytest.mark.parametrize("fault", ONE_BLOCK)
def test_a_gross_error_in_any_block_is_refuted_within_12_and_2_a_block(fault, name):
    theta, args, right = problem()
    wrong = right._replace(**{name: ONE_BLOCK[fault](getattr(right, name))})
    report = fg.check_grad(net_loss, wrong, theta, *args, strategy="screen", budget=None)
    assert refuted_after(report) <= MOST
    assert {b.name for b in report.blocks if b.verdict == "disagrees"} == {name}
    assert f"along the signs of {name}'s gradient" in str(report)


def test_a_budget_of_so_many_evaluations_gives_the_verdict_and_the_factor(monkeypatch):
    theta, args, right = problem()
    loss = counted(lambda *a: net_loss(*a))
    # Time by the evaluations made: each takes a second.
    monkeypatch.setattr("fastgrad.checks.budget.Budget._now", staticmethod(lambda: loss.calls))
    monkeypatch.setattr("fastgrad.checks.budget.at_work", lambda: None)  # of the other clock
    for f, law in ((1.5, "scale"), (-1.0, "sign"), (0.0, "zero")):
        loss.calls = 0
        wrong = right._replace(W2=f * right.W2)
        report = fg.check_grad(
            loss, wrong, theta, *args, strategy="screen", budget=MOST, backend="python"
        )
        assert report.verdict == "disagrees"
        assert report.evaluations == loss.calls <= MOST
        assert [(d.block, d.law) for d in report.diagnoses] == [("W2", law)]
        if f:
            assert report.diagnoses[0].constants["factor"] == pytest.approx(f, rel=1e-3)
    loss.calls = 0
    report = fg.check_grad(
        loss, right, theta, *args, strategy="screen", budget=MOST, backend="python"
    )
    assert report.verdict == "inconclusive"
    assert "would do" in str(report)


@pytest.mark.parametrize("seed", range(3))
def test_a_right_gradient_takes_at_most_60_evaluations(seed):
    theta, args, right = problem(seed)
    report = fg.check_grad(net_loss, right, theta, *args, strategy="screen", budget=None, seed=seed)
    assert report.verdict == "agrees"
    assert report.evaluations <= 60


def test_single_precision_is_refuted_as_soon():
    theta, args, right = problem()
    for name in Net._fields:
        wrong = right._replace(**{name: -getattr(right, name)})
        report = fg.check_grad(
            single, wrong, theta, *args, strategy="screen", budget=None, backend="python"
        )
        assert report.verdict == "disagrees"
        assert refuted_after(report) <= MOST + 4


@pytest.mark.parametrize("convention", [-1.0, 0.0, 0.5, 1.0])
def test_subgradients_at_kinks_are_not_refuted(convention):
    x = np.zeros(40)

    def bent(x):
        return float(np.abs(x).sum() + x.sum() * 0.25)

    report = fg.check_grad(
        bent, np.full(40, convention + 0.25), x, strategy="screen", backend="python"
    )
    assert refuted_after(report) is None


def test_jumps_and_staircases_refute_nobody():
    x = np.random.default_rng(0).normal(size=60)

    def stairs(x):
        return float(np.round((x**2).sum() * 100) / 100)

    def saw(x):
        s = float((x**2).sum())
        return s + 1e-6 * ((3e5 * s) % 1.0)

    for loss in (stairs, saw):
        report = fg.check_grad(loss, 2 * x, x, strategy="screen", backend="python", budget=None)
        assert refuted_after(report) is None
