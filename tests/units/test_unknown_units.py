"""Entries at zero among others in units of their own: their units are found by what they do to the loss.

Until they were, a right gradient of an l1 penalty at zeros was called wrong where a guessed unit was so
long that the loss had turned at every step, and errors of entries passed where it was so short that
nothing moved.
"""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.checks import sweep
from fastgrad.checks.stages import first_differences
from fastgrad.differences.unknown_units import found_units

N = 8
PENALTY = 0.3
SEEDS = range(6)
COUNTED = pytest.mark.parametrize(
    "seeds", [SEEDS, pytest.param(range(6, 66), marks=pytest.mark.slow)], ids=["few", "many"]
)


def problem(seed, zeros, penalty=0.0):
    """A robust regression in u = theta / unit, with units of 10^-15 to 10^15, and some of theta zero."""
    rng = np.random.default_rng([seed, 21])
    unit = 10.0 ** rng.integers(-15, 16, N)
    A = rng.normal(size=(20, N))
    y = rng.normal(size=20)
    u = rng.normal(size=N)
    u[zeros] = 0.0

    def loss(theta):
        v = theta / unit
        return float(np.log(np.cosh(A @ v - y)).sum() + penalty * np.abs(v).sum())

    def grad(theta):
        v = theta / unit
        return (A.T @ np.tanh(A @ v - y) + penalty * np.sign(v)) / unit

    return loss, grad, u * unit, unit


def check(loss, gradient, theta, **options):
    return fg.check_grad(loss, gradient, theta, strategy="sweep", backend="python", **options)


ZEROS = {"one": [3], "half": [0, 2, 5, 7], "all": list(range(N))}


@COUNTED
@pytest.mark.parametrize("penalty", [0.0, PENALTY], ids=["smooth", "l1"])
@pytest.mark.parametrize("zeros", ZEROS.values(), ids=ZEROS)
def test_right_gradients_agree_whatever_the_units_of_zeros(seeds, zeros, penalty):
    for seed in seeds:
        loss, grad, theta, _ = problem(seed, zeros, penalty)
        assert check(loss, grad, theta).verdict == "agrees", seed


@COUNTED
@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.01], ids=["sign", "zero", "1%"])
@pytest.mark.parametrize("zeros", ZEROS.values(), ids=ZEROS)
def test_an_error_at_a_zero_is_found_and_placed(seeds, zeros, factor):
    for seed in seeds:
        loss, grad, theta, _ = problem(seed, zeros)
        g = grad(theta)
        wrong = zeros[seed % len(zeros)]
        g[wrong] *= factor
        report = check(loss, g, theta)
        assert report.verdict == "disagrees", seed
        blamed = [entry.index for entry in report.entries if entry.verdict == "disagrees"]
        assert blamed == [(wrong,)], seed


@COUNTED
def test_what_is_beyond_the_slopes_of_a_kink_at_zero_is_found(seeds):
    for seed in seeds:
        loss, grad, theta, unit = problem(seed, ZEROS["half"], PENALTY)
        g = grad(theta)
        g[2] += 3 * PENALTY / unit[2]
        (entry,) = (e for e in check(loss, g, theta).entries if e.verdict == "kink: outside")
        assert entry.index == (2,)


@COUNTED
def test_an_entry_that_does_nothing_stays_unknown_and_does_no_harm(seeds):
    for seed in seeds:
        loss, grad, theta, unit = problem(seed, ZEROS["half"])
        with_another = np.append(theta, 0.0)

        def of_eight(t, loss=loss):
            return loss(t[:N])

        g = np.append(grad(theta), 0.0)
        assert check(of_eight, g, with_another).verdict == "agrees", seed
        g[N] = 1.0 / unit[0]
        assert check(of_eight, g, with_another).verdict == "disagrees", seed


def test_a_unit_that_is_given_is_not_sought():
    loss, grad, theta, unit = problem(0, ZEROS["half"])
    told = check(loss, grad, theta, scale=unit)
    found = check(loss, grad, theta)
    assert told.evaluations <= 2 * N + 12 < found.evaluations <= 2 * N + 12 + 4 * 14


def test_a_guess_that_does_costs_nothing():
    rng = np.random.default_rng(0)
    A, y = rng.normal(size=(20, 5)), rng.normal(size=20)
    report = check(lambda w: float(((A @ w - y) ** 2).mean()), 2 * A.T @ (-y) / y.size, np.zeros(5))
    assert report.verdict == "agrees"
    assert report.evaluations <= 2 * 5 + 12


def test_what_raises_far_away_is_not_the_domain_of_the_loss():
    """Steps of 1e9 units on the way to a unit are no matter of the report."""

    def loss(theta):
        if abs(theta[1]) > 1.0:
            raise ValueError("no concentration is above 1")
        return float((theta[0] * 1e3 + 1e9 * theta[1] - 2.0) ** 2 + (theta[0] * 1e3) ** 2)

    theta = np.array([1.5e-3, 0.0])
    r = 2 * (theta[0] * 1e3 - 2.0)
    g = np.array([1e3 * r + 2e6 * theta[0], 1e9 * r])
    assert check(loss, g, theta).verdict == "agrees"
    assert check(loss, g * [1, -1], theta).verdict == "disagrees"


@COUNTED
@pytest.mark.parametrize("penalty", [0.0, PENALTY], ids=["smooth", "l1"])
@pytest.mark.parametrize("zeros", ZEROS.values(), ids=ZEROS)
def test_a_screen_takes_units_that_the_claim_makes_plausible(seeds, zeros, penalty):
    for seed in seeds:
        loss, grad, theta, _ = problem(seed, zeros, penalty)
        g = grad(theta)
        assert screened(loss, g, theta).verdict == "agrees", seed
        if penalty == 0.0:
            wrong = zeros[seed % len(zeros)]
            g[wrong] *= -1.0
            report = screened(loss, g, theta)
            assert report.verdict == "disagrees", seed
            blamed = [entry.index for entry in report.entries if entry.verdict == "disagrees"]
            assert blamed == [(wrong,)], seed


def screened(loss, gradient, theta):
    return fg.check_grad(loss, gradient, theta, strategy="screen", backend="python")


def test_a_screen_leaves_open_what_nothing_tells_of_zeros_that_are_said_to_do_nothing():
    """A net of zeros in units of 1e-15 to 1e15: the first weights do nothing until the second do."""
    rng = np.random.default_rng(3)
    unit = 10.0 ** rng.integers(-15, 16, 60)
    X, y = rng.normal(size=(30, 6)), rng.normal(size=30)

    def loss(theta):
        v = theta / unit
        hidden = np.tanh(X @ v[:48].reshape(6, 8))
        return float(((hidden @ v[48:56] + v[56:].sum() - y) ** 2).mean())

    g = np.append(np.zeros(56), np.full(4, -2 * y.mean())) / unit
    assert screened(loss, g, np.zeros(60)).verdict != "disagrees"
    g[58] *= -1.0
    assert screened(loss, g, np.zeros(60)).verdict != "agrees"


def test_units_are_not_sought_where_there_is_no_time_for_them(monkeypatch):
    asked = []

    def spy(entries, first, agrees, claims):
        asked.append(entries.loss.units.unknown.sum())
        return found_units(entries, first, agrees, claims)

    monkeypatch.setattr(first_differences, "found_units", spy)
    loss, grad, theta, _ = problem(0, ZEROS["half"])
    options = {"strategy": "auto", "backend": "python", "budget": 1e3}
    fg.check_grad(loss, grad, theta, **options)
    assert asked == [4]
    monkeypatch.setattr(sweep, "EACH_UNIT", 1e12)
    report = fg.check_grad(loss, grad, theta, **options)
    assert asked == [4]
    assert report.verdict != "disagrees"


@pytest.mark.parametrize("strategy", ["sweep", "screen"])
@pytest.mark.parametrize("n", [2, 5, 12])
def test_a_value_that_cancellation_left_is_no_scale(n, strategy):
    """At zeros such a loss is its rounding, 1e-17: units by it let signs pass in 16 of 36 checks."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X, c = rng.normal(size=(37, n)), rng.normal(size=37)

        def loss(w, X=X, c=c):
            return float((np.logaddexp(0, X @ w) * c).sum() / 37 - np.log(2.0) * c.sum() / 37)

        g = X.T @ c / 74
        options = {"strategy": strategy, "backend": "python"}
        assert fg.check_grad(loss, g, np.zeros(n), **options).verdict == "agrees", seed
        g[0] *= -1
        assert fg.check_grad(loss, g, np.zeros(n), **options).verdict == "disagrees", seed


BESIDE = {
    "sin": (lambda x: np.sin(x + 0.3), np.cos(0.3)),
    "wave": (lambda x: np.sin(50 * x), 50.0),
    "sqrt": (lambda x: np.sqrt(1 + x), 0.5),
    "pole": (lambda x: 1 / (1 + x), -1.0),
    "exp": (np.exp, 1.0),
    "bump": (lambda x: (x - 0.1) / (x * x + 1), 1.0),
}


@pytest.mark.parametrize("strategy", ["sweep", "screen"])
@pytest.mark.parametrize("steep", [1.0, 1e6, 1e12])
@pytest.mark.parametrize("name", BESIDE)
def test_a_steep_neighbour_does_not_drive_a_zero_beyond_its_turns(name, steep, strategy):
    """It does 1e-12 of what the other does, however far it goes: a guess of 1 is the better unit."""
    h, slope = BESIDE[name]

    def loss(t):
        with np.errstate(all="ignore"):
            return float(steep * (t[0] - 2) ** 2 + h(t[1]) + t[2] ** 2)

    theta, g = np.array([1.0, 0.0, 0.5]), np.array([-2 * steep, slope, 1.0])
    options = {"strategy": strategy, "backend": "python"}
    assert fg.check_grad(loss, g, theta, **options).verdict == "agrees"
    report = fg.check_grad(loss, g * [1, -1, 1], theta, **options)
    assert [e.index for e in report.entries if e.verdict == "disagrees"] == [(1,)]
