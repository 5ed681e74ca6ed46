"""Bounds, and edges of the domain that nobody told of: one-sided differences, never a point outside."""

import numpy as np
import pytest

import fastgrad as fg

LOW, HIGH = np.array([0.0, -1.0, 0.0, 0.5]), np.array([1.0, 2.0, 3.0, 4.0])
AT = np.array([0.0, 2.0, 3.0 - 1e-7, 1.0])
"""At the lower bound, at the upper, within a step of one, and far from both."""


class Inside:
    """A loss that remembers where it was evaluated."""

    def __init__(self, loss):
        self.loss = loss
        self.lowest, self.highest = np.full(4, np.inf), np.full(4, -np.inf)

    def __call__(self, x):
        self.lowest, self.highest = np.minimum(self.lowest, x), np.maximum(self.highest, x)
        return float(self.loss(x))

    def stayed(self):
        return bool(np.all(self.lowest >= LOW) and np.all(self.highest <= HIGH))


def smooth(x):
    return np.exp(x).sum() + np.sin(x[0] * x[1]) + x[2] ** 3


def slope(x):
    g = np.exp(x)
    g[0] += x[1] * np.cos(x[0] * x[1])
    g[1] += x[0] * np.cos(x[0] * x[1])
    g[2] += 3 * x[2] ** 2
    return g


@pytest.mark.parametrize("strategy", ["auto", "sweep", "screen"])
def test_checks_never_leave_the_bounds(strategy):
    loss = Inside(smooth)
    options = {"bounds": (LOW, HIGH), "strategy": strategy, "backend": "python"}
    report = fg.check_grad(loss, slope, AT, **options)
    assert report, str(report)
    assert loss.stayed()
    if strategy == "screen":
        assert "3 entries near a bound are not seen by directions" in str(report)
        return
    assert "one-sided differences: theta[0], theta[1] at their bounds, theta[2] within" in str(
        report
    )
    for k in range(4):
        wrong = slope(AT)
        wrong[k] *= 1.001
        report = fg.check_grad(loss, wrong, AT, **options)
        assert [e.name for e in report.entries if e.verdict == "disagrees"] == [f"theta[{k}]"]
    assert loss.stayed()


@pytest.mark.parametrize(
    ("options", "rtol"),
    [
        ({}, 1e-8),
        ({"order": 4}, 1e-9),
        ({"order": 6}, 1e-9),
        ({"method": "forward"}, 1e-7),
        ({"method": "backward"}, 1e-7),
        ({"step": "adaptive"}, 1e-8),
    ],
)
def test_gradients_keep_their_order_and_their_bars(options, rtol):
    loss = Inside(smooth)
    g = fg.grad(loss, bounds=(LOW, HIGH), backend="python", **options)
    np.testing.assert_allclose(g(AT), slope(AT), rtol=rtol)
    found = g.estimate(AT)
    assert np.all(np.abs(found.gradient - slope(AT)) <= found.error)
    assert loss.stayed()


def test_the_one_sided_slope_is_what_counts_at_a_bound():
    """|x| has a kink at zero, and a slope of one from above."""

    def loss(x):
        return float(np.abs(x).sum())

    x = np.array([0.0, 1.0])
    assert fg.check_grad(loss, np.ones(2), x, bounds=(0, None), backend="python")
    report = fg.check_grad(loss, np.array([0.5, 1.0]), x, bounds=(0, None), backend="python")
    assert report.verdict == "disagrees"
    report = fg.check_grad(loss, np.array([0.5, 1.0]), x, backend="python")
    assert report.counts["kink: valid subgradient"] == 1


def test_compiled_losses():
    def loss(x):
        return np.sqrt(x).sum() + (x**3).sum()

    x = np.array([1e-12, 1.0])
    low = np.array([1e-12, 0.0])
    g = fg.grad(loss, bounds=(low, None))(np.array([1.0, 2.0]))
    np.testing.assert_allclose(g, 0.5 / np.sqrt([1, 2.0]) + 3 * np.array([1, 4.0]), rtol=1e-9)
    assert not fg.check_grad(loss, np.ones(2), x, bounds=(low, None))


def nan_below(x):
    return float(np.exp(x).sum()) if np.all(x >= 0) else np.nan


def raises_below(x):
    if np.any(x < 0):
        raise ValueError("negative")
    return float(np.exp(x).sum())


def infinite_above(x):
    return float(np.exp(x).sum()) if np.all(x <= 0) else np.inf


def power(x):
    """Python's own power of a negative number is complex."""
    return sum((1 + v) ** 1 + 0 * v**2.5 for v in x.tolist())


@pytest.mark.parametrize("loss", [nan_below, raises_below, infinite_above])
def test_edges_that_nobody_told_of(loss):
    x = np.array([0.0, -1.0 if loss is infinite_above else 1.0, 0.0])
    report = fg.check_grad(loss, np.exp, x, backend="python")
    assert report, str(report)
    assert "theta[0], theta[2] lie at the edge of the loss's domain" in str(report)
    assert (
        report.evaluations <= 2 * 3 + 60
    )  # 390 before edges were told from steps that are too long
    wrong = np.exp(x)
    wrong[2] *= 1.01
    report = fg.check_grad(loss, wrong, x, backend="python")
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["theta[2]"]
    assert "one-sided" in report.entries[0].note


def test_complex_powers_are_an_edge():
    report = fg.check_grad(power, np.ones(2), np.array([0.0, 1.0]), backend="python")
    assert report, str(report)


BAD = {
    "outside": (([1.0, 0, 0, 0], None), ValueError, "theta[0] is 0, outside its bounds [1, inf]"),
    "no pair": (3.0, TypeError, "expected (low, high)"),
    "another shape": ((np.zeros(3), None), ValueError, "shape (4,), got (3,)"),
    "held": ((AT, AT), ValueError, "held at 0 by both trainable"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_bounds_are_told_what_to_do(name):
    bounds, kind, words = BAD[name]
    for call in (
        lambda: fg.check_grad(smooth, slope, AT, bounds=bounds, backend="python"),
        lambda: fg.grad(smooth, bounds=bounds, backend="python")(AT),
    ):
        with pytest.raises(kind) as caught:
            call()
        for word in words.split():
            assert word in str(caught.value), str(caught.value)


def test_the_table_of_steps_is_one_sided_too():
    def loss(x):
        return float(np.exp(x).sum())

    x = np.zeros(5)
    for factor, settles in ((1, False), (2, True)):
        report = fg.check_grad(
            loss, factor * np.exp(x), x, bounds=(0, None), backend="python", strategy="sweep"
        )
        assert ("settles at" in report.convergence().summary) == settles


def test_the_gradient_is_not_asked_outside_either():
    points = []

    def wrong(x):
        points.append(x.copy())
        return slope(x) + np.array([0, 0, 0, 0.1])

    report = fg.check_grad(smooth, wrong, AT, bounds=(LOW, HIGH), backend="python")
    assert report.verdict == "disagrees"
    assert len(points) > 3  # its curl was asked for
    assert np.all((np.array(points) >= LOW) & (np.array(points) <= HIGH))


def test_constants_may_be_held_by_their_bounds():
    x = {"a": np.array([1.0, 2.0]), "b": 3.0}
    bounds = ({"a": -5.0, "b": 3.0}, {"a": 5.0, "b": 3.0})
    loss, grad = lambda p: float((p["a"] ** 2).sum() * p["b"]), {"a": 6 * x["a"], "b": 0.0}
    assert fg.check_grad(loss, grad, x, bounds=bounds, trainable="a", backend="python")
    with pytest.raises(ValueError, match="b is held at 3 by both"):
        fg.check_grad(loss, grad, x, bounds=bounds, backend="python")


@pytest.mark.parametrize("seed", range(6))
def test_entries_at_their_bounds_are_no_ties(seed):
    """x^1.5 bends without end at its bound of 0, which looks like a kink, and has one side alone."""
    rng = np.random.default_rng(seed)
    n, units = 40, 10.0 ** rng.uniform(-6, 6, 40)
    x, c = rng.uniform(0.2, 2, n) * (np.arange(n) % 2), rng.normal(size=n)

    def loss(u):
        return float(((u / units) ** 1.5 + c * (u / units)).sum())

    right = (1.5 * np.sqrt(x) + c) / units
    run = {"bounds": (0.0, np.inf), "backend": "python", "strategy": "sweep"}
    report = fg.check_grad(loss, right, x * units, **run)
    assert report.verdict != "disagrees"
    assert not [e for e in report.entries if e.verdict.startswith("kink")]
    at_bounds = np.where(x == 0, 1.03, 1.0)
    report = fg.check_grad(loss, right * at_bounds, x * units, **run)
    assert report.verdict != "agrees"
