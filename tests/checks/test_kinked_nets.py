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


ACTIVATIONS = {
    "leaky ReLU": (lambda z: np.where(z > 0, z, z / 100), lambda z: np.where(z > 0, 1, 0.01)),
    "hard tanh": (lambda z: np.clip(z, -1, 1), lambda z: np.abs(z) < 1),
    "abs": (np.abs, np.sign),
    "soft shrinkage": (
        lambda z: np.sign(z) * np.maximum(np.abs(z) - np.float32(0.5), 0),
        lambda z: np.abs(z) > 0.5,
    ),
}


def regression(kind, seed):
    """The loss of a net of one activation in float32, its gradient, and theta; two units are far off."""
    rng, (act, slope) = np.random.default_rng([seed, 77]), ACTIVATIONS[kind]
    theta = {"W1": rng.normal(size=(5, 8)) / 2, "b1": rng.normal(size=8) / 10}
    theta |= {"W2": rng.normal(size=(8, 2)) / 3, "b2": rng.normal(size=2) / 10}
    theta["b1"][:2] = -8
    theta = {name: a.astype(np.float32) for name, a in theta.items()}
    X = rng.normal(size=(40, 5)).astype(np.float32)
    Y = rng.normal(size=(40, 2)).astype(np.float32)

    def forward(t):
        z = X @ t["W1"].astype(np.float32) + t["b1"].astype(np.float32)
        h = act(z)
        return z, h, h @ t["W2"].astype(np.float32) + t["b2"].astype(np.float32) - Y

    def loss(t):
        return float((forward(t)[2] ** 2).mean())

    def grad(t):
        z, h, off = forward(t)
        d = 2 * off / off.size
        back = (d @ t["W2"].T) * slope(z)
        found = {"W1": X.T @ back, "b1": back.sum(0), "W2": h.T @ d, "b2": d.sum(0)}
        return {name: np.float32(a) for name, a in found.items()}

    return loss, grad, theta


def swept(kind, seed, factor=None):
    loss, grad, theta = regression(kind, seed)
    gradient = grad(theta)
    if factor is not None:
        gradient["W2"] = np.float32(factor) * gradient["W2"]
    return fg.check_grad(
        loss, gradient, theta, backend="python", strategy="sweep", budget=None
    ).verdict


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_right_ones_of_other_activations_agree_by_a_sweep(kind):
    assert swept(kind, 1) == "agrees"
    assert swept(kind, 1, 1.1) == "disagrees"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_right_ones_of_other_activations_counted(kind):
    verdicts = [swept(kind, seed) for seed in range(20)]
    assert verdicts.count("disagrees") == 0
    assert verdicts.count("agrees") >= 18
    assert [swept(kind, seed, 1.1) for seed in range(20)].count("disagrees") == 20
