"""Every model's loss against a plain NumPy formula, its gradient against the obvious loop."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastgrad.models import deep, dropout, garch, linear, logistic, softmax, svm, two_layer

STEP = 2e-6  # small enough for garch's omega, where the third derivative is large
TOLERANCE = 2e-8  # of max|g|; rounding in the differences alone comes to a few 1e-9 of it


def flat(params: Any) -> np.ndarray:
    if isinstance(params, tuple):
        return np.concatenate([flat(block) for block in params])
    return np.ravel(params)


def rebuild(like: Any, numbers: Iterator[float]) -> Any:
    if isinstance(like, tuple):
        blocks = [rebuild(block, numbers) for block in like]
        return type(like)(*blocks) if hasattr(like, "_fields") else tuple(blocks)
    if isinstance(like, float):
        return float(next(numbers))
    return np.array([next(numbers) for _ in range(like.size)]).reshape(like.shape)


def naive_gradient(loss: Callable[..., float], params: Any, *args: Any) -> np.ndarray:
    theta = flat(params)
    gradient = np.empty_like(theta)
    for i in range(theta.size):
        up, down = theta.copy(), theta.copy()
        up[i] += STEP * max(1.0, abs(theta[i]))
        down[i] -= STEP * max(1.0, abs(theta[i]))
        rise = loss(rebuild(params, iter(up)), *args) - loss(rebuild(params, iter(down)), *args)
        gradient[i] = rise / (up[i] - down[i])
    return gradient


def relative_error(got: Any, expected: np.ndarray) -> float:
    return float(np.abs(flat(got) - expected).max() / np.abs(expected).max())


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def mean_log_loss(P, y):
    return -np.mean([np.log(row[label]) for row, label in zip(P, y, strict=True)])


def softmax_of(Z):
    return np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)


def linear_formula(params, X, y):
    return np.sum((X @ params.w + params.b - y) ** 2) / (2 * len(y))


def logistic_formula(params, X, y):
    p = sigmoid(X @ params.w + params.b)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def softmax_formula(params, X, y):
    return mean_log_loss(softmax_of(X @ params.W + params.b), y)


def svm_formula(params, X, y):
    return np.mean(np.maximum(0, 1 - y * (X @ params.w + params.b)))


def two_layer_formula(params, X, y):
    A1 = sigmoid(X @ params.W1 + params.b1)
    return mean_log_loss(softmax_of(A1 @ params.W2 + params.b2), y)


def deep_formula(params, X, y):
    a = X
    for w, b in zip(params.weights, params.biases, strict=True):
        a = sigmoid(a @ w + b)
    targets = np.eye(a.shape[1])[y]
    return np.sum((a - targets) ** 2) / (2 * len(y))


def dropout_formula(params, X, y, mask, keep):
    H = np.where(mask, sigmoid(X @ params.W1 + params.b1) / keep, 0)
    return mean_log_loss(softmax_of(H @ params.W2 + params.b2), y)


def garch_formula(params, returns):
    h = [np.mean(returns**2)]
    for r in returns[:-1]:
        h.append(params.omega + params.alpha * r**2 + params.beta * h[-1])
    densities = [
        np.exp(-(r**2) / (2 * v)) / np.sqrt(2 * np.pi * v) for r, v in zip(returns, h, strict=True)
    ]
    return -np.mean(np.log(densities))


class Case(NamedTuple):
    model: ModuleType
    sizes: tuple[Any, ...]
    args: tuple[Any, ...]
    formula: Callable[..., float]
    weights: tuple[str, ...]  # the fields that the penalties fall on


def case_of(name: str) -> tuple[Case, Any]:
    """A model with data, and its initial parameters, fresh on every call."""
    rng = np.random.default_rng(7)
    m, n_in, n_out = 12, 5, 3
    X = rng.normal(size=(m, n_in))
    labels = rng.integers(0, n_out, m)
    binary = rng.integers(0, 2, m)
    targets = rng.normal(size=m)
    mask = dropout.mask(m, 4, 0.6, 1)
    net = (n_in, 4, n_out)
    both = ("W1", "W2")
    case = {
        "linear": Case(linear, (n_in,), (X, targets), linear_formula, ("w",)),
        "logistic": Case(logistic, (n_in,), (X, binary), logistic_formula, ("w",)),
        "softmax": Case(softmax, (n_in, n_out), (X, labels), softmax_formula, ("W",)),
        "svm": Case(svm, (n_in,), (X, 2 * binary - 1), svm_formula, ("w",)),
        "two_layer": Case(two_layer, net, (X, labels), two_layer_formula, both),
        "deep": Case(deep, ((n_in, 4, 3, n_out),), (X, labels), deep_formula, ("weights",)),
        "dropout": Case(dropout, net, (X, labels, mask, 0.6), dropout_formula, both),
        "garch": Case(garch, (), (garch.simulate(garch.init(), 60),), garch_formula, ()),
    }[name]
    return case, case.model.init(*case.sizes)


PENALISED = ("linear", "logistic", "softmax", "svm", "two_layer", "deep", "dropout")
PENALTIES = [(0.0, 0.0), (0.3, 0.0), (0.0, 0.2), (0.3, 0.2)]

with_every_penalty = pytest.mark.parametrize(
    ("name", "penalties"),
    [(name, penalties) for name in PENALISED for penalties in PENALTIES] + [("garch", ())],
)
every_model = pytest.mark.parametrize(
    ("name", "penalties"), [(name, (0.3, 0.2)) for name in PENALISED] + [("garch", ())]
)


@with_every_penalty
def test_loss_is_the_formula(name, penalties):
    case, params = case_of(name)
    got = case.model.loss(params, *case.args, *penalties)
    expected = case.formula(params, *case.args)
    if penalties:
        l2, l1 = penalties
        weights = np.concatenate([flat(getattr(params, field)) for field in case.weights])
        expected += l2 / 2 * np.sum(weights**2) + l1 * np.sum(np.abs(weights))
    assert got == pytest.approx(expected, rel=1e-12)


@with_every_penalty
def test_gradient_is_the_naive_one(name, penalties):
    case, params = case_of(name)
    args = (*case.args, *penalties)
    got = case.model.grad(params, *args)
    expected = naive_gradient(case.model.loss, params, *args)
    assert type(got) is type(params)
    assert relative_error(got, expected) < TOLERANCE


@every_model
def test_gradient_is_the_naive_one_after_descent(name, penalties):
    case, params = case_of(name)
    args = (*case.args, *penalties)
    start = params
    for _ in range(5):
        step = 0.05 * flat(case.model.grad(params, *args))
        params = rebuild(params, iter(flat(params) - step))
    assert case.model.loss(params, *args) < case.model.loss(start, *args)
    got = case.model.grad(params, *args)
    assert relative_error(got, naive_gradient(case.model.loss, params, *args)) < TOLERANCE


@every_model
def test_inputs_are_left_alone(name, penalties):
    case, params = case_of(name)
    pristine, pristine_params = case_of(name)
    case.model.loss(params, *case.args, *penalties)
    case.model.grad(params, *case.args, *penalties)
    np.testing.assert_array_equal(flat(params), flat(pristine_params))
    for got, expected in zip(case.args, pristine.args, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", PENALISED)
def test_init_depends_on_the_seed_alone(name):
    case, params = case_of(name)
    init = case.model.init
    np.testing.assert_array_equal(flat(init(*case.sizes, seed=0)), flat(params))
    assert not np.any(flat(init(*case.sizes, seed=1)) == flat(params))


def forgotten_l2(grad, params, *args):
    return grad(params, *args[:-2], 0.0, args[-1])


def forgotten_l1(grad, params, *args):
    return grad(params, *args[:-1], 0.0)


def wrong_sign_in_the_first_block(grad, params, *args):
    g = grad(params, *args)
    return g._replace(W1=-g.W1)


def penalised_bias(grad, params, *args):
    g = grad(params, *args)
    return g._replace(b1=g.b1 + args[-2] * params.b1)


def sum_for_mean(grad, params, *args):
    return rebuild(params, iter(flat(grad(params, *args)) * len(args[1])))


def other_data_order(grad, params, X, *args):
    return grad(params, np.ascontiguousarray(X[::-1]), *args)


@pytest.mark.parametrize(
    "fault",
    [
        forgotten_l2,
        forgotten_l1,
        wrong_sign_in_the_first_block,
        penalised_bias,
        sum_for_mean,
        other_data_order,
    ],
)
def test_a_planted_fault_is_caught(fault):
    case, params = case_of("two_layer")
    args = (*case.args, 0.3, 0.2)
    expected = naive_gradient(case.model.loss, params, *args)
    assert relative_error(case.model.grad(params, *args), expected) < TOLERANCE
    assert relative_error(fault(case.model.grad, params, *args), expected) > 1e-3
