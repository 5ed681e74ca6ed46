"""Small losses that do what engines do, each with the right answer; `tests.rough` has whole kinds."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import NondeterministicLossError

f4 = np.float32
OPTIONS = {"backend": "python", "budget": None}
X32 = np.random.default_rng(0).normal(size=5).astype(f4).astype(float)
WEIGHTS = np.random.default_rng(1).normal(size=5)


def net():
    """ReLU and a mean of squares in single precision, with kinks 0.005 from theta."""
    rng = np.random.default_rng(9)
    X, W = rng.normal(size=(100, 5)).astype(f4), (0.5 * rng.normal(size=(5, 5))).astype(f4)
    v, y = rng.normal(size=5).astype(f4), rng.normal(size=100).astype(f4)

    def loss(w):
        hidden = np.maximum(X @ w.astype(f4).reshape(5, 5), 0)
        return float(((hidden @ v - y) ** 2).mean(dtype=f4))

    def gradient(w):
        Z = X.astype(float) @ w.reshape(5, 5)
        back = 2 / 100 * (np.maximum(Z, 0) @ v - y)[:, None] * v * (Z > 0)
        return (X.astype(float).T @ back).ravel()

    return loss, gradient, W.astype(float).ravel()


def dead_zone():
    x = np.array([0.1, -0.4, 0.7, 0.3, 1.1]).astype(f4).astype(float)

    def loss(t):
        t = t.astype(f4)
        z = t[3] - f4(x[3])
        soft = np.sign(z) * np.maximum(np.abs(z) - f4(4e-4), f4(0))
        return float(f4(1) + f4(0.5) * (t @ t) + f4(0.05) * soft)

    return loss, lambda t: t, x


def pair_near_its_cutoff():
    loss = lambda t: float(2.6e6 + 2 * t[0] + 100 * t[0] ** 2 + 2e-3 * max(t[0] - 1e-6, 0))  # noqa: E731
    return loss, lambda t: 2 + 200 * t, np.zeros(1)


def energy_in_single_precision():
    return lambda t: float(f4(-24000 + WEIGHTS @ np.sin(t))), lambda t: WEIGHTS * np.cos(t), X32


def energy_to_two_decimals():
    loss = lambda t: float(f"{-24000 + WEIGHTS @ np.sin(t):.2f}")  # noqa: E731
    return loss, lambda t: WEIGHTS * np.cos(t), X32


def accuracy_of_a_solver():
    period = 4e-5
    loss = lambda t: float((t - 2 * ((t + period / 2) % period - period / 2)).sum())  # noqa: E731
    return loss, np.ones_like, np.array([0.7, 1.3])


def trace_species():
    def loss(c):
        c = np.maximum(c, 0)
        return float(c[0] * c[2] - 2 * c[1] * c[2] + 3 * c[1] ** 2)

    def gradient(c):
        return np.array([c[2], -2 * c[2] + 6 * c[1], c[0] - 2 * c[1]])

    return loss, gradient, np.array([1e-20, 4e-5, 2e-3])


def stiff_and_slow():
    k = np.array([1.0, 30.0])
    x = np.random.default_rng(8).uniform(0, 6, 2)
    return lambda t: float((np.sin(k * t) / k).sum()), lambda t: np.cos(k * t), x


def jump_of_rounding_size_at_theta():
    loss = lambda t: float(2.5 * t[0] if t[0] <= 1000 else 2.5 * t[0] + 1e-6)  # noqa: E731
    return loss, lambda t: np.full(1, 2.5), np.array([1000.0])


TOLD = (
    net,
    pair_near_its_cutoff,
    accuracy_of_a_solver,
    trace_species,
    stiff_and_slow,
    jump_of_rounding_size_at_theta,
)
UNTOLD = (dead_zone, energy_in_single_precision, energy_to_two_decimals)
"""Of which no difference can tell every entry."""


@pytest.mark.parametrize("case", TOLD + UNTOLD, ids=lambda case: case.__name__)
def test_right_gradients(case):
    loss, gradient, theta = case()
    report = fg.check_grad(loss, gradient, theta, **OPTIONS)
    assert report.verdict in (("agrees",) if case in TOLD else ("agrees", "inconclusive"))


@pytest.mark.parametrize("case", TOLD, ids=lambda case: case.__name__)
def test_a_tenth_of_the_largest_entry_is_wrong(case):
    loss, gradient, theta = case()
    a = np.array(gradient(theta))
    k = int(np.abs(a).argmax())
    a[k] *= 0.1
    report = fg.check_grad(loss, a, theta, **OPTIONS)
    assert report.verdict != "agrees"
    assert {e.index for e in report.entries if e.verdict == "disagrees"} <= {(k,)}


def test_points_inherit_it():
    loss, gradient, theta = net()
    assert fg.check_grad(loss, gradient, theta, points=3, **OPTIONS).verdict == "agrees"


def test_a_gradient_cut_off_in_single_precision_is_wrong():
    """The widest steps move a loss of 1,000 in float32; at narrow ones it is flat."""
    loss = lambda t: float(f4(1000) + f4(4) * np.sin(t.astype(f4)).sum(dtype=f4))  # noqa: E731
    report = fg.check_grad(loss, np.zeros(5), X32, **OPTIONS)
    assert report.counts == {"disagrees": 5}


def test_the_unit_of_a_rounded_loss_is_said():
    loss, gradient, theta = energy_to_two_decimals()
    report = fg.check_grad(loss, gradient(theta), theta, **OPTIONS)
    assert any("the loss is given to 0.01" in entry.note for entry in report.entries)


def test_an_unused_parameter_changes_nothing_for_the_others():
    x = np.random.default_rng(3).normal(size=300)
    used = np.arange(300) != 7
    loss = lambda t: float(np.sin(t)[used].sum())  # noqa: E731
    report = fg.check_grad(loss, np.cos(x) * used * (1 + 1e-6), x, **OPTIONS)
    assert report.verdict == "agrees"
    assert report.evaluations <= 2 * 300 + 60


@pytest.mark.parametrize("wrapped", [True, False], ids=["named scalars", "a vector"])
def test_how_theta_is_wrapped_changes_nothing(wrapped):
    def value(a, m):
        return float(f4(100 + 30 * (a - 2) ** 2 + 20 * (m - 0.3) ** 2))

    if wrapped:
        theta, a = {"a": 1.0, "m": 0.305}, {"a": -60.0, "m": 0.2}
        report = fg.check_grad(lambda p: value(p["a"], p["m"]), a, theta, **OPTIONS)
    else:
        theta = np.array([1.0, 0.305])
        report = fg.check_grad(lambda p: value(*p), np.array([-60.0, 0.2]), theta, **OPTIONS)
    assert report.verdict == "agrees"


def test_a_loss_that_is_random_but_at_theta_is_refused():
    rng = np.random.default_rng(0)
    x = np.ones(3)
    loss = lambda t: float(np.sin(t).sum() + (t - x) @ rng.normal(size=3))  # noqa: E731
    with pytest.raises(NondeterministicLossError):
        fg.check_grad(loss, np.cos(x), x, **OPTIONS)


def test_the_rtol_at_which_it_would_agree_is_told():
    off = 1 + 4e-5 * np.random.default_rng(5).uniform(0.5, 1, 5)
    loss = lambda t: float(np.sin(t).sum())  # noqa: E731
    report = fg.check_grad(loss, np.cos(X32) * off, X32, **OPTIONS)
    assert report.verdict == "disagrees"
    assert 2e-5 < report.smallest_rtol < 5e-5
    again = fg.check_grad(loss, np.cos(X32) * off, X32, rtol=report.smallest_rtol, **OPTIONS)
    assert again.verdict == "agrees"
