"""A loss that is the same everywhere proves nothing: neither tiny gradients wrong nor others right."""

import numpy as np
import pytest

import fastgrad as fg


def cross_entropy(z):
    m = z.max()
    return np.log(np.exp(z - m).sum()) - (z[0] - m)


def cross_entropy_grad(z):
    p = np.exp(z - z.max())
    p /= p.sum()
    p[0] -= 1
    return p


def logistic(w):
    return np.log1p(np.exp(-(np.array([[1.0, 2.0], [2.0, 1.0]]) @ w))).sum()


def logistic_grad(w):
    X = np.array([[1.0, 2.0], [2.0, 1.0]])
    return -X.T @ (np.exp(-X @ w) / (1 + np.exp(-X @ w)))


SATURATED = {
    "a class that is sure": (cross_entropy, cross_entropy_grad, np.array([36.0, 0.0, 0.3])),
    "a class that is surer": (cross_entropy, cross_entropy_grad, np.array([60.0, 0.0, 0.3])),
    "1 - tanh": (
        lambda x: (1 - np.tanh(x)).sum(), lambda x: -1 / np.cosh(x) ** 2, np.array([20.0, 21.0]),
    ),
    "separable data": (logistic, logistic_grad, np.array([300.0, 300.0])),
    "a constant": (lambda x: 0.0 * x[0] + 3.0, np.zeros_like, np.ones(4)),
}  # fmt: skip


@pytest.mark.parametrize("backend", ["auto", "python"])
@pytest.mark.parametrize("name", SATURATED)
def test_a_right_gradient_agrees_and_one_that_would_show_never_does(name, backend):
    loss, gradient, theta = SATURATED[name]
    report = fg.check_grad(loss, gradient, theta, backend=backend)
    assert report.verdict == "agrees", report
    said = any("at every point beside theta" in remark for remark in report.remarks)
    assert said or not np.any(gradient(theta) > 1e-300)  # a gradient of 0 takes no second look
    wrong = gradient(theta) + 1e-3
    assert fg.check_grad(loss, wrong, theta, backend=backend).verdict != "agrees"


def test_a_small_loss_is_not_saturated():
    loss = lambda x: 1e-20 * (x * x).sum()  # noqa: E731
    x = np.array([1.0, 2.0, 3.0])
    assert fg.check_grad(loss, 2e-20 * x, x)
    assert fg.check_grad(loss, 2.02e-20 * x, x).verdict == "disagrees"
