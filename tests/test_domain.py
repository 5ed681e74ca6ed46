"""Default steps near the edge of the domain of the loss."""

import math

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import LossError, NonFiniteLossError

METHODS = {
    "forward": ({"method": "forward"}, 1e-4),
    "backward": ({"method": "backward"}, 1e-4),
    "order 2": ({}, 1e-6),
    "order 4": ({"order": 4}, 1e-8),
    "order 6": ({"order": 6}, 1e-8),
    "adaptive": ({"step": "adaptive"}, 1e-8),
}
SIDES = {"forward": (-1.0,), "backward": (1.0,)}
DISTANCES = 10.0 ** np.random.default_rng(0).uniform(-9, -5.3, 40)
EDGES = {
    "log": (lambda d: np.log(d).sum(), lambda d: 1 / d),
    "sqrt": (lambda d: np.sqrt(d).sum(), lambda d: 0.5 / np.sqrt(d)),
}


class Counted:
    def __init__(self, loss):
        self.loss, self.calls = loss, 0

    def __call__(self, x):
        self.calls += 1
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(self.loss(x))


@pytest.mark.parametrize("step", [1e-9, 1e-7, 1e-4])
def test_a_given_step_is_obeyed_from_the_first_evaluation_on(step):
    """Beside an edge two steps away, where longer ones raise."""
    edge, seen = [1.0 + 2 * step], []

    def loss(x):
        seen.append(x.copy())
        if x[0] > edge[0]:
            raise ValueError("beyond the edge")
        return float(np.sin(x).sum())

    x = np.array([1.0, -0.7])
    report = fg.check_grad(loss, np.cos(x), x, step=step, backend="python")
    assert report.verdict == "agrees"
    assert not any("utside" in remark for remark in report.remarks)
    assert np.abs(np.array(seen) - x).max() <= step * (1 + 1e-6)
    wrong = fg.check_grad(loss, 1.1 * np.cos(x), x, step=step, backend="python")
    assert wrong.verdict == "disagrees"
    seen.clear()
    edge[0] = 1.0 + 10 * step  # bars take a second, wider step
    estimate = fg.grad(loss, step=step, backend="python").estimate(x)
    assert np.abs(np.array(seen) - x).max() <= 10 * step
    assert np.all(np.abs(estimate.gradient - np.cos(x)) <= estimate.error)


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("method", METHODS)
def test_entries_closer_to_an_edge_than_the_default_step(name, method):
    """On either side; of one-sided differences, on the side they look to."""
    loss, slope = EDGES[name]
    options, rtol = METHODS[method]
    d = DISTANCES * (2.0**-9 if method in ("forward", "backward") else 1.0)
    for sign in SIDES.get(method, (1.0, -1.0)):
        g = fg.grad(Counted(lambda x, s=sign: loss(s * x)), backend="python", **options)
        np.testing.assert_allclose(g(sign * d), sign * slope(d), rtol=rtol)
        result = g.estimate(sign * d)
        error = np.abs(result.gradient - sign * slope(d))
        assert np.mean(error <= result.error) >= 0.99


@pytest.mark.parametrize("order", [2, 4, 6])
def test_only_those_entries_cost_more(order):
    loss = Counted(lambda x: np.log(x - 1).sum())  # an edge that no size of x tells of
    x = np.array([2.0, 3.0, 4.0, 1.0 + 1e-7])
    fg.grad(loss, order=order, backend="python")(x[:3])
    assert loss.calls == 3 * order
    loss.calls = 0
    fg.grad(loss, order=order, backend="python")(x)
    assert 5 * order < loss.calls <= 5 * order + 20


def test_a_step_of_the_users_own_is_left_alone():
    with pytest.raises(NonFiniteLossError, match="smaller step"):
        fg.grad(Counted(lambda x: np.log(x).sum()), step=1e-3, backend="python")(np.array([1e-4]))


@pytest.mark.parametrize("method", [name for name in METHODS if name != "forward"])
def test_an_edge_at_theta_itself_is_an_error(method):
    g = fg.grad(Counted(lambda x: np.sqrt(x).sum()), backend="python", **METHODS[method][0])
    for answer in (g, g.estimate):
        with pytest.raises(NonFiniteLossError, match=r"nan at theta\[1\] -"):
            answer(np.array([1.0, 0.0]))


def raises_below_zero(p):
    if p[0] < 0:
        raise ValueError("negative")
    return np.log(p[0]) + p[1] ** 2


class TestOutside:
    """Points where the loss raises or is complex lie outside its domain, as those where it is NaN."""

    LOSSES = {  # noqa: RUF012
        "a power": (lambda p: (1 - p[0] / 190.53) ** 1.5 + p[1] ** 2, [190.5299, 1e-3]),
        "math.log": (lambda p: math.log(p[0]) + p[1] ** 2, [3e-6, 2.0]),
        "raises": (raises_below_zero, [3e-6, 2.0]),
    }
    SLOPES = {  # noqa: RUF012
        "a power": lambda p: -1.5 / 190.53 * (1 - p[0] / 190.53) ** 0.5,
        "math.log": lambda p: 1 / p[0],
        "raises": lambda p: 1 / p[0],
    }

    @pytest.mark.parametrize("backend", ["auto", "python"])
    @pytest.mark.parametrize("name", LOSSES)
    def test_a_right_gradient_agrees_and_a_wrong_one_does_not(self, name, backend):
        loss, at = self.LOSSES[name]
        theta = np.array(at)
        right = np.array([self.SLOPES[name](theta), 2 * theta[1]])
        np.testing.assert_allclose(fg.grad(loss, backend=backend)(theta), right, rtol=1e-3)
        assert fg.check_grad(loss, right, theta, backend=backend)
        for i in range(2):
            wrong = right.copy()
            wrong[i] *= 1.01
            assert fg.check_grad(loss, wrong, theta, backend=backend).verdict == "disagrees"

    @pytest.mark.parametrize("backend", ["auto", "python"])
    def test_a_step_that_was_given_is_not_shortened_and_the_exception_is_the_users(self, backend):
        with pytest.raises(LossError, match=r"ValueError at theta\[0\] -1e-05: negative") as info:
            fg.grad(raises_below_zero, step=1e-5, backend=backend)(np.array([3e-6, 2.0]))
        assert isinstance(info.value.__cause__, ValueError)

    def test_the_report_says_so(self):
        loss, theta = raises_below_zero, np.array([1e-9, 2.0])
        report = fg.check_grad(loss, np.array([1e9, 4.0]), theta, step=1e-7)
        assert any("raised ValueError at theta[0]" in remark for remark in report.remarks)
