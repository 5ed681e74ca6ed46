"""Sweeps of ReLU nets in single precision, where kinks lie within every step that rounding allows."""

import numpy as np
import pytest

import fastgrad as fg
from tests.checks.nets import net

BUDGETS = 0.05, 0.3, 1.0, 30.0
"""Seconds, so that the sweep is cut short at any of its stages, wherever that is."""


def small_net(seed):
    return net(seed, (64, 10, 10), ("relu",))


def report_of(net, gradient, **options):
    def claimed(theta):
        return gradient

    return fg.check_grad(net.loss, claimed, net.theta, backend="python", **options)


def called_wrong(seeds):
    return [seed for seed in seeds if report_of(*right(seed)).verdict == "disagrees"]


def right(seed):
    made = small_net(seed)
    return made, made.grad(made.theta)


def test_right_gradients_are_never_called_wrong():
    assert called_wrong(range(3)) == []


@pytest.mark.slow
def test_right_gradients_are_never_called_wrong_counted():
    assert called_wrong(range(160, 220)) == []


@pytest.mark.parametrize("seconds", BUDGETS)
def test_no_time_to_look_again_is_no_proof_of_an_error(seconds):
    assert report_of(*right(2), budget=seconds).verdict != "disagrees"


@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.0])
def test_gross_errors_are_found(factor):
    made, gradient = right(1)
    report = report_of(made, {**gradient, "W1": np.float32(factor) * gradient["W1"]})
    assert report.verdict == "disagrees"
    assert [block.name for block in report.blocks if block.verdict == "disagrees"] == ["W1"]
