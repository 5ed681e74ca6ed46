"""Default steps near the edge of the domain of the loss."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import NonFiniteLossError

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
