"""Verdicts where differences have a hard time: kinks, jumps, poles, single precision, mixed scales."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg


@njit
def relu_layer(b, X, c):
    """Units with one sample exactly at their kink: X[0] = -b."""
    total = (b * b).sum()
    for i in range(X.shape[0]):
        for j in range(b.size):
            total += max(X[i, j] + b[j], 0.0) * c[i, j]
    return total


def relu_slope(b, X, c, at_zero):
    Z = X + b
    return 2 * b + (np.where(Z > 0, 1.0, np.where(Z == 0, at_zero, 0.0)) * c).sum(axis=0)


@pytest.fixture
def at_kinks():
    rng = np.random.default_rng(0)
    b, c = rng.normal(size=30), rng.normal(size=(5, 30))
    X = rng.normal(size=(5, 30))
    X[0] = -b
    return b, X, c


@pytest.mark.parametrize(
    ("at_zero", "entries", "verdict"),
    [
        (0.0, "kink: valid subgradient", "agrees"),
        (1.0, "kink: valid subgradient", "agrees"),
        (-3.0, "kink: outside", "inconclusive"),
        (4.0, "kink: outside", "inconclusive"),
    ],
)
def test_dead_relu_biases(at_kinks, at_zero, entries, verdict):
    report = fg.check_grad(relu_layer, lambda b, X, c: relu_slope(b, X, c, at_zero), *at_kinks)
    assert report.counts == {entries: 30}
    assert report.verdict == verdict
    assert report.blocks[0].kinks == 30


@njit
def l1(w):
    return np.abs(w).sum() + (w * w * w).sum()


def l1_slope(w, at_zero):
    return np.where(w == 0, at_zero, np.sign(w)) + 3 * w * w


@pytest.fixture
def sparse():
    w = np.random.default_rng(1).normal(size=100)
    w[:50] = 0.0
    return w


@pytest.mark.parametrize(
    ("at_zero", "kinks"),
    [(0.5, "kink: valid subgradient"), (1.0, "kink: valid subgradient"),
     (-1.0, "kink: valid subgradient"), (1.5, "kink: outside"), (-3.0, "kink: outside")],
)  # fmt: skip
def test_l1_at_zeros(sparse, at_zero, kinks):
    report = fg.check_grad(l1, lambda w: l1_slope(w, at_zero), sparse)
    assert report.counts == {"agrees": 50, kinks: 50}


def test_errors_of_a_thousandth_beside_kinks_are_caught(sparse):
    wrong = l1_slope(sparse, 0.0)
    large = np.abs(wrong) > 0.1
    wrong[large] *= 1.001
    report = fg.check_grad(l1, wrong, sparse)
    assert report.counts["disagrees"] == np.count_nonzero(large)


@njit
def near_kinks(x, kinks):
    return (np.maximum(x - kinks, 0.0) + x * x).sum()


@pytest.mark.parametrize("distance", [0.03, 0.3, 0.7, 0.89, 0.97, 3.0, 7.9])
def test_kinks_beside_an_entry_spoil_no_right_gradient_and_excuse_no_wrong_one(distance):
    x = np.random.default_rng(2).uniform(0.2, 0.9, 40)
    kinks = x + distance * 2.0**-17
    assert fg.check_grad(near_kinks, 2 * x, x, kinks).verdict == "agrees"
    assert fg.check_grad(near_kinks, 2 * x + 0.7, x, kinks).counts == {"disagrees": 40}


@njit
def step_at_one(x):
    return (x[0] > 1.0) * 0.5 + (x * x).sum()


def test_a_jump_is_inconclusive():
    x = np.array([1.0, 0.3])
    report = fg.check_grad(step_at_one, 2 * x, x)
    assert report.verdict == "inconclusive"
    assert report.entries[0].name == "theta[0]"
    assert "jumps" in report.entries[0].note


@njit
def logs(x):
    return np.log(x).sum()


def test_near_a_pole_the_step_shrinks():
    x = np.array([1e-6, 1e-3, 1.0])
    assert fg.check_grad(logs, 1 / x, x).verdict == "agrees"
    report = fg.check_grad(logs, 1 / x * np.array([1.001, 1, 1]), x)
    assert [e.name for e in report.entries] == ["theta[0]"]
    assert report.entries[0].verdict == "disagrees"


@njit
def square_roots(x):
    return np.sqrt(x).sum()


def test_no_finite_neighbourhood_is_inconclusive_and_says_so():
    x = np.array([0.0, 1.0])
    with np.errstate(divide="ignore"):
        report = fg.check_grad(square_roots, np.array([5.0, 0.5]), x)
    assert report.verdict == "inconclusive"
    assert "not finite at" in report.entries[0].note


@njit
def single(w, X):
    return np.tanh(X.astype(np.float32) @ w.astype(np.float32)).sum() / np.float32(X.shape[0])


def test_a_float32_loss_is_recognised_and_its_accuracy_stated():
    rng = np.random.default_rng(3)
    X, w = rng.normal(size=(30, 20)), 0.1 * rng.normal(size=20)
    right = ((1 - np.tanh(X @ w) ** 2)[:, None] * X).mean(axis=0)
    report = fg.check_grad(single, right, w, X)
    assert report.verdict == "agrees"
    assert any("float32" in remark for remark in report.remarks)
    assert 1e-6 < report.blocks[0].detection_limit < 1e-2
    assert fg.check_grad(single, 1.05 * right, w, X).verdict == "disagrees"


@njit
def two_scales(p):
    return (p.small * p.small).sum() * 1e12 + (p.large * p.large).sum() * 1e-12


def test_mixed_scales_hide_nothing():
    rng = np.random.default_rng(4)
    theta = {"small": 1e-6 * rng.normal(size=20), "large": 1e6 * rng.normal(size=20)}
    right = {"small": 2e12 * theta["small"], "large": 2e-12 * theta["large"]}
    assert fg.check_grad(two_scales, right, theta).verdict != "disagrees"
    for name in ("small", "large"):
        wrong = {**right, name: right[name] * np.where(np.arange(20) == 3, 1.5, 1.0)}
        report = fg.check_grad(two_scales, wrong, theta)
        assert {e.block for e in report.entries if e.verdict == "disagrees"} <= {name}


@njit
def flat(x):
    return 3.0 + 0.0 * x.sum()


def test_a_gradient_that_is_zero_everywhere():
    assert fg.check_grad(flat, np.zeros(4), np.ones(4)).verdict == "agrees"
    assert fg.check_grad(flat, np.full(4, 0.1), np.ones(4)).verdict == "disagrees"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_disagrees_by_name(value):
    x = np.random.default_rng(5).normal(size=20)
    wrong = l1_slope(x, 0.0)
    wrong[7] = value
    report = fg.check_grad(l1, wrong, x)
    assert [(e.name, e.verdict) for e in report.entries] == [("theta[7]", "disagrees")]
    assert "not finite" in report.entries[0].note


def noisy_bend(x, kink, noise):
    """A kink near zero in x[0], and the same noise for the same x."""
    shake = np.sin(1e9 * x[0] + 1e8 * x[1]) + np.sin(7e10 * x[0] + 3e9 * x[1])
    return float(3 * x[0] + max(x[0] - kink, 0.0) + x[1] ** 2 + noise * shake)


@pytest.mark.parametrize(
    "noise", [1e-10, *(pytest.param(noise, marks=pytest.mark.slow) for noise in (1e-9, 1e-8, 3e-8))]
)
def test_a_kink_that_noise_hides_within_the_step_never_convicts(noise):
    """Between two and a few tens of bars its bias once passed for an error at 0.7 to 1 of h/16."""
    h, x, right = 2.0**-17, np.array([0.0, 1.0]), np.array([3.0, 2.0])
    options = {"backend": "python", "step": h, "strategy": "sweep"}
    for part in np.linspace(0.02, 1.2, 60):
        args = (part * h, noise)
        assert fg.check_grad(noisy_bend, right, x, *args, **options).verdict != "disagrees"
        assert fg.check_grad(noisy_bend, -right, x, *args, **options).verdict != "agrees"
    far = fg.check_grad(noisy_bend, -right, x, 0.5 * h, noise, **options)
    assert far.verdict == "disagrees"
