"""A budget is kept whatever the sweep turns out to need; the clock is the loss's own."""

import time

import numpy as np
import pytest

import fastgrad as fg

n = 400
x = np.random.default_rng(0).normal(size=n)


@pytest.fixture
def loss(monkeypatch):
    """Takes a second an evaluation; ``loss.seconds`` is the time."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def loss(theta):
        now[0] += 1.0
        loss.seconds = now[0]
        return float((theta**2).sum() + np.sin(theta).sum())

    return loss


def right(theta):
    return 2 * theta + np.cos(theta)


def check(loss, gradient, budget, **options):
    return fg.check_grad(loss, gradient, x, budget=budget, backend="python", **options)


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

    def loss(theta):
        now[0] += 1e-3 if (theta == x).all() else 1.0
        return float((theta**2).sum() + np.sin(theta).sum())

    fg.check_grad(loss, right, x, budget=100.0, backend="python")
    assert now[0] <= 1.2 * 100 + 3
