"""samples=: gradients that are estimates, biased or not; stochastic="seed": a function by its seed."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import NondeterministicLossError

TARGET = np.array([1.0, -0.5, 0.3])
DATA = np.random.default_rng(5).normal(size=(40, 3))


def bandit(theta):
    """The expected reward -|action - target|^2 of a Gaussian policy of mean theta and sd 1/2."""
    return float(-np.sum((theta["mean"] - TARGET) ** 2) - 3 / 4)


def reinforce(rng, factor=1.0, count=200):
    def gradient(theta):
        noise = 0.5 * rng.normal(size=(count, 3))
        reward = -np.sum((theta["mean"] + noise - TARGET) ** 2, axis=1)
        score = noise / 0.25
        baseline = -np.sum((theta["mean"] - TARGET) ** 2) - 0.75
        return {"mean": factor * ((reward - baseline)[:, None] * score).mean(axis=0)}

    return gradient


def bound(theta, seed):
    """A lower bound on the evidence of a Gaussian, by draws of its own."""
    z = theta["m"] + np.exp(theta["s"]) * np.random.default_rng(seed).normal(size=(100, 3))
    return float(np.mean(-0.5 * np.sum((z - TARGET) ** 2, axis=1)) + np.sum(theta["s"]))


def reparameterised(rng, factor=1.0, count=100):
    def gradient(theta):
        e = rng.normal(size=(count, 3))
        off = theta["m"] + np.exp(theta["s"]) * e - TARGET
        s = 1 - (off * e * np.exp(theta["s"])).mean(axis=0)
        return {"m": factor * -off.mean(axis=0), "s": factor * s}

    return gradient


def minibatch(rng, factor=1.0, count=8):
    def gradient(theta):
        rows = DATA[rng.integers(0, 40, count)]
        return factor * 2 * (theta - rows).mean(axis=0)

    return gradient


def whole(theta):
    return float(((theta - DATA) ** 2).sum(axis=1).mean())


ESTIMATORS = {
    "REINFORCE": (bandit, reinforce, {"mean": np.array([0.2, 0.1, -0.4])}, 1000),
    "a bound": (
        bound,
        reparameterised,
        {"m": np.array([0.2, 0.1, -0.6]), "s": np.full(3, -1.0)},
        200,
    ),
    "minibatches": (whole, minibatch, np.array([1.5, -1.0, 2.0]), 500),
}


def checked(name, seed, factor=1.0, samples=None):
    loss, estimator, theta, enough = ESTIMATORS[name]
    gradient = estimator(np.random.default_rng(seed), factor)
    return fg.check_grad(loss, gradient, theta, samples=samples or enough, seed=seed)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_right_estimators_are_not_called_biased(name):
    reports = [checked(name, seed, samples=60) for seed in range(6)]
    assert all(report.verdict != "disagrees" for report in reports)


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_right_estimators_are_not_called_biased_in_500_runs(name):
    verdicts = [checked(name, seed, samples=60).verdict for seed in range(500)]
    assert verdicts.count("disagrees") == 0


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_bias_of_5_per_cent_is_found_within_2000_calls(name):
    enough = ESTIMATORS[name][-1]
    found = 0
    for seed in range(3):
        report = checked(name, seed, 1.05)
        assert report.evaluations + enough <= 2000
        found += report.verdict == "disagrees"
        assert report.strategy == "samples"
    assert found == 3
    assert report.diagnoses[0].law == "biased"
    assert report.diagnoses[0].constants["bias"] == pytest.approx(0.05, abs=0.03)
    assert "would take about" in str(report)


def test_a_right_one_says_within_what():
    report = checked("minibatches", 0)
    assert report.verdict == "agrees"
    assert "is unbiased within" in str(report)
    assert report.over_seeds["samples_for_one_percent"]["theta"] > 500


def test_a_loss_that_draws_without_a_seed_is_refused_with_advice():
    rng = np.random.default_rng(0)

    def draws(theta):
        return float(((theta - DATA[rng.integers(0, 40, 8)]) ** 2).sum(axis=1).mean())

    with pytest.raises(NondeterministicLossError, match="exact expectation, or take seed="):
        fg.check_grad(draws, minibatch(rng), np.ones(3), samples=50)
    with pytest.raises(ValueError, match="at least 20"):
        fg.check_grad(whole, minibatch(rng), np.ones(3), samples=3)
    with pytest.raises(TypeError, match="can be called"):
        fg.check_grad(whole, np.ones(3), np.ones(3), samples=50)


def test_one_seed_makes_the_loss_a_function():
    def dropped(theta, seed):
        kept = np.random.default_rng(seed).random(theta.size) < 0.5
        return float((kept * theta**3).sum())

    def right(theta, seed):
        kept = np.random.default_rng(seed).random(theta.size) < 0.5
        return 3 * kept * theta**2

    x = np.linspace(1.0, 2.0, 12)
    assert fg.check_grad(dropped, right, x, stochastic="seed", backend="python", seed=3)
    wrong = fg.check_grad(dropped, lambda t, seed: 3 * t**2, x, stochastic="seed", backend="python")
    assert wrong.verdict == "disagrees"
    with pytest.raises(ValueError, match='expected "seed"'):
        fg.check_grad(dropped, right, x, stochastic="seeds")
