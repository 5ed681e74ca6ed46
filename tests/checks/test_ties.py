"""Slopes that are right one by one, and no subgradient together."""

import numpy as np
import pytest

import fastgrad as fg
from tests.checks.kinked import KINKED


def check(loss, gradient, x):
    return fg.check_grad(loss, gradient, x, backend="python")


def greatest(x):
    return float(1.5 * x.max() + 0.2 * (x**2).sum())


def with_shares(shares, x):
    return 1.5 * np.asarray(shares) + 0.4 * x


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("shares", [np.ones(5), np.full(5, 0.6), np.zeros(5)])
def test_ties_that_do_not_share_one_slope_are_found_and_named(shares, sign):
    x = np.full(5, 0.7)
    report = check(lambda x: sign * greatest(x), sign * with_shares(shares, x), x)
    assert report.verdict == "disagrees"
    assert [d.law for d in report.diagnoses] == ["ties"]
    assert f"the analytic gradient says {sign * (1.5 * shares.sum() + 1.4):.4g}" in str(report)


@pytest.mark.parametrize("shares", [np.eye(5)[2], np.full(5, 0.2), [0.5, 0, 0.25, 0.25, 0]])
def test_ties_that_share_one_slope_are_valid(shares):
    x = np.full(5, 0.7)
    assert check(greatest, with_shares(shares, x), x).verdict == "agrees"


def test_a_loss_that_moves_by_its_ties_alone_is_not_said_to_ignore_theta():
    x = np.array([1.0, 0.2, 0.2, 0.2, 3.0])
    report = check(lambda x: float(x.min()), (x == x.min()) * 1.0, x)
    assert report.verdict == "disagrees"
    assert [d.law for d in report.diagnoses] == ["ties"]
    assert "does not change with theta" not in str(report)


def test_each_group_of_ties_is_judged_by_itself():
    """Two columns of a maximum, one right, one wrong; and an absolute value at its kink."""
    x = np.array([[1.0, 2.0, 0.0], [1.0, 2.0, -3.0]])

    def loss(x):
        return float(x.max(axis=0)[:2].sum() - abs(x[0, 2]) + x[1, 2])

    gradient = np.array([[1.0, 1.0, 0.7], [0.0, 1.0, 1.0]])
    report = check(loss, gradient, x)
    wrong = {entry.name for entry in report.entries if entry.verdict == "disagrees"}
    assert wrong == {"theta[0, 1]", "theta[1, 1]"}
    assert "2 entries are at one kink (theta[0, 1], theta[1, 1])" in report.diagnoses[0].sentence


def test_kinks_that_have_nothing_to_do_with_each_other_are_left_alone():
    sign = np.where(np.arange(30) % 2, 1.0, -1.0)
    x = np.zeros(30)
    report = check(lambda x: float(sign @ np.abs(x)), np.ones(30), x)
    assert report.verdict == "agrees"


def test_no_zero_unit_of_a_relu_net_is_called_wrong():
    """Backprop's slope at zero weights need not be a subgradient: 60 nets, in none is it "wrong"."""
    verdicts = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, V = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
        W = rng.normal(size=(3, 3)) * [1.0, 0.0, 1.0]

        def loss(W, X=X, V=V):
            return float(0.5 * ((np.maximum(X @ W, 0) @ V - 1) ** 2).sum())

        def gradient(W, X=X, V=V):
            Z = X @ W
            return X.T @ ((np.maximum(Z, 0) @ V - 1) @ V.T * (Z > 0))

        verdicts.append(check(loss, gradient, W).verdict)
    assert "disagrees" not in verdicts


def test_below_a_maximum_that_is_near_the_slope_is_zero():
    """Not an open question: no staircase, for one side is still at every step."""
    x = np.array([1.0, 0.995, 0.2])
    report = check(lambda x: float(x.max() ** 2), np.array([2.0, 2.0, 0.0]), x)
    assert report.verdict == "disagrees"
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["theta[1]"]
    assert check(lambda x: float(x.max() ** 2), np.array([2.0, 0.0, 0.0]), x).verdict == "agrees"


def test_a_staircase_is_not_told_by_its_treads():
    """f is still below 0.01, and rises by 1 for 1 on both sides beyond."""
    x = np.array([0.305, 0.605])
    report = check(lambda x: float(np.round(x, 2).sum()), np.ones(2), x)
    assert report.verdict != "disagrees"


def verdicts(kind, seeds):
    """Of gradients as frameworks give them at kinks, and of masks of all that is tied."""
    right, masks = [], []
    for seed in seeds:
        made = kind(np.random.default_rng(seed))
        right.append(check(made.loss, made.gradient, made.theta).verdict)
        if made.mask is not None and not np.array_equal(made.mask, made.gradient):
            masks.append(check(made.loss, made.mask, made.theta).verdict)
    return right, masks


@pytest.mark.parametrize("kind", KINKED, ids=lambda kind: kind.__name__)
def test_no_gradient_of_a_framework_is_called_wrong_and_masks_of_ties_are(kind):
    right, masks = verdicts(kind, range(3))
    assert "disagrees" not in right
    assert set(masks) <= {"disagrees"}


@pytest.mark.slow
def test_1300_gradients_of_frameworks_at_kinks_and_masks_of_their_ties():
    """None of 1,300 is called wrong, and every mask is; most of the first agree."""
    agree = 0
    for kind in KINKED:
        right, masks = verdicts(kind, range(100))
        assert "disagrees" not in right, kind.__name__
        assert set(masks) <= {"disagrees"}, kind.__name__
        agree += right.count("agrees")
    assert agree >= 1100


def test_a_median_of_ties_moves_when_all_do():
    """One by one none of them moves it: what is said of that is not that theta is not used."""
    x = np.array([1.0, 1.0, 1.0, 0.0, 2.0])
    report = check(lambda x: float(np.sort(x)[2]), np.eye(5)[0], x)
    assert report.counts["disagrees"] == 1
    assert "does it use its argument" not in str(report)


@pytest.mark.parametrize(("shares", "verdict"), [
    ((1, 1), "inconclusive"), ((0.8, 0.8), "inconclusive"), ((-0.2, -0.1), "inconclusive"),
    ((0.5, 0.5), "agrees"), ((0, 0), "agrees"), ((1, 0), "agrees"), ((0.6, 0.3), "agrees"),
])  # fmt: skip
def test_ties_at_a_kink_of_their_own_lie_between_its_slopes(shares, verdict):
    """max(0, a, b) at zero: no direction is straight, and the sum of all shares is 1 at most."""

    def loss(x):
        return float(max(0.0, x.max()) + 0.3 * x.sum())

    report = check(loss, np.array(shares) + 0.3, np.zeros(2))
    assert report.verdict == verdict
    if shares == (1, 1):
        assert "along 2 ties the slopes are 0.6 to 1.6, not 2.6" in str(report)
