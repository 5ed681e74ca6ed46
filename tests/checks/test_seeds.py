"""seeds=: the mean of a - D over draws, its scatter, and how often it errs."""

import json

import numpy as np
import pytest

import fastgrad as fg

FORWARD = {"spot": 1.1, "vol": 0.3}
REWARDS = np.array([1.0, 2.0, 0.5])


def draws(seed, count, stream=0):
    return np.random.default_rng([seed, stream]).normal(size=count)


def payoff(p, z):
    return p["spot"] * np.exp(-0.5 * p["vol"] ** 2 + p["vol"] * z)


def price(p, seed, count=200):
    """A call, by Monte Carlo."""
    return float(np.maximum(payoff(p, draws(seed, count)) - 1, 0).mean())


def pathwise(p, seed, count=200, stream=1, bias=1.0):
    """Its pathwise gradient, of draws of its own."""
    z = draws(seed, count, stream)
    s = payoff(p, z)
    inside = s > 1
    spot = bias * (inside * s / p["spot"]).mean()
    return {"spot": spot, "vol": bias * (inside * s * (z - p["vol"])).mean()}


def rendered(x, seed):
    """A pixel: the integral of a texture over jittered samples."""
    u = np.random.default_rng(seed).random(16)
    return float((np.sin(3 * x[0] * u) * x[1] + x[2] * u**2).mean())


def rendered_grad(x, seed, bias=1.0):
    u = np.random.default_rng(seed + 12345).random(16)
    wave = 3 * u * np.cos(3 * x[0] * u) * x[1]
    return bias * np.array([wave.mean(), np.sin(3 * x[0] * u).mean(), (u**2).mean()])


def policy(t):
    e = np.exp(t - t.max())
    return e / e.sum()


def reward(t, seed, count=50):
    """The mean reward of sampled actions: it moves in jumps."""
    u = np.random.default_rng(seed).random(count)
    return float(REWARDS[np.searchsorted(np.cumsum(policy(t))[:-1], u)].mean())


def reinforce(t, seed, count=50, bias=1.0):
    """The score function with a baseline."""
    u = np.random.default_rng(seed + 777).random(count)
    p = policy(t)
    k = np.searchsorted(np.cumsum(p)[:-1], u)
    advantage = REWARDS[k] - p @ REWARDS
    return bias * (np.eye(3)[k] - p).T @ advantage / count


ESTIMATORS = {
    "pricing": (price, pathwise, FORWARD),
    "a renderer": (rendered, rendered_grad, np.array([0.7, 1.3, 0.4])),
    "REINFORCE": (reward, reinforce, np.array([0.1, 0.3, -0.2])),
}


def runs(name, count, seeds):
    loss, gradient, theta = ESTIMATORS[name]
    return [
        fg.check_grad(loss, gradient, theta, seeds=range(seeds * k, seeds * (k + 1)))
        for k in range(count)
    ]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_unbiased_estimators_raise_no_alarm(name):
    assert sum(report.verdict == "disagrees" for report in runs(name, 12, 20)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_unbiased_estimators_raise_no_alarm_in_500_runs(name):
    assert sum(report.verdict == "disagrees" for report in runs(name, 500, 20)) == 0


def test_a_bias_is_found_within_2000_calls():
    def biased(p, seed):
        return pathwise(p, seed, bias=1.05)

    report = fg.check_grad(price, biased, FORWARD, seeds=range(380))
    assert report.evaluations <= 2000
    assert report.verdict == "disagrees"
    assert report.diagnoses[0].law == "biased"
    assert "spot: the gradient is biased: along the mean of D it is off by +" in str(report)


def test_a_bias_of_a_renderer_is_found_within_2000_calls():
    def biased(x, seed):
        return rendered_grad(x, seed, bias=1.05)

    report = fg.check_grad(rendered, biased, ESTIMATORS["a renderer"][2], seeds=range(268))
    assert report.evaluations <= 2000
    assert report.verdict == "disagrees"
    assert report.diagnoses[0].law == "biased"


def biased_policy(t, seed):
    return reinforce(t, seed, bias=1.05)


def test_a_bias_of_a_policy_is_found_within_2000_calls_far_away():
    """50 actions a call: the mean reward jumps as one changes, and near differences tell nothing."""
    theta = ESTIMATORS["REINFORCE"][2]
    report = fg.check_grad(reward, biased_policy, theta, seeds=range(208))
    assert report.evaluations <= 2000
    assert report.verdict == "disagrees"
    assert report.diagnoses[0].law == "biased"
    assert "on a way of 2 units to either side along the mean gradient it is off by +" in str(
        report
    )
    over = fg.check_grad(reward, reinforce, theta, seeds=range(208)).over_seeds
    assert over["seeds_for_one_percent"]["theta"] < 5000


@pytest.mark.slow
def test_a_bias_of_5_percent_is_found_in_most_runs_and_twice_it_in_all():
    theta, found = ESTIMATORS["REINFORCE"][2], {1.05: 0, 1.1: 0}
    for bias in found:
        for k in range(10):
            report = fg.check_grad(
                reward,
                lambda t, seed, bias=bias: reinforce(t, seed, bias=bias),
                theta,
                seeds=range(208 * k, 208 * (k + 1)),
            )
            found[bias] += report.verdict == "disagrees"
    assert found[1.05] >= 9
    assert found[1.1] == 10


def test_a_way_that_leaves_the_domain_is_not_gone():
    """The width of what is sampled is positive: two units away it is not."""

    def hits(p, seed):
        if p["width"] <= 0:
            raise ValueError("no width")
        z = np.random.default_rng(seed).normal(size=50)
        return float((np.abs(p["width"] * z) < 1).mean())

    def score(p, seed):
        if p["width"] <= 0:
            raise ValueError("no width")
        x = p["width"] * np.random.default_rng(seed + 99).normal(size=50)
        return {
            "width": float(((np.abs(x) < 1) * (x**2 / p["width"] ** 3 - 1 / p["width"])).mean())
        }

    report = fg.check_grad(hits, score, {"width": 1.3}, seeds=range(40))
    assert report.verdict == "inconclusive"
    assert "units to either side" not in str(report)


def test_a_bias_that_shares_the_draws_is_found_at_once():
    def biased(p, seed):
        return pathwise(p, seed, stream=0, bias=1.05)

    report = fg.check_grad(price, biased, FORWARD, seeds=range(20))
    assert report.verdict == "disagrees"
    assert report.diagnoses[0].constants["bias"] == pytest.approx(0.05, rel=1e-3)


def test_what_is_right_by_seed_is_right_in_the_mean():
    def shared(p, seed):
        return pathwise(p, seed, stream=0)

    report = fg.check_grad(price, shared, FORWARD, seeds=range(10))
    assert report.verdict == "agrees"
    assert "unbiased within" in str(report)
    assert "called wrong with probability at most 0.001" in str(report)


def test_mean_scatter_and_price_are_in_the_json():
    over = json.loads(fg.check_grad(price, pathwise, FORWARD, seeds=range(20)).to_json())[
        "over_seeds"
    ]
    assert over["seeds"] == 20
    assert set(over["mean"]) == {"spot", "vol"}
    assert over["standard_error"]["spot"] > 0
    assert over["seeds_for_one_percent"]["vol"] > over["seeds_for_one_percent"]["spot"] > 1000


def test_few_seeds_and_values_are_refused():
    with pytest.raises(ValueError, match="at least 5 of them, got 3"):
        fg.check_grad(price, pathwise, FORWARD, seeds=range(3))
    with pytest.raises(TypeError, match="called with seed="):
        fg.check_grad(price, {"spot": 1.0, "vol": 1.0}, FORWARD, seeds=range(9))
