"""Is it a function, is it left alone, and what came as its gradient?"""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad import models
from fastgrad.checks.given_gradient import flat_gradient
from fastgrad.errors import (
    MutatedInputError,
    NondeterministicLossError,
    NonFiniteLossError,
    StructureMismatchError,
)

X = np.array([0.3, -1.2, 2.0])
THETA = {"W": np.arange(6.0).reshape(2, 3) / 7, "b": np.array([0.1, 0.2])}


@njit
def squares(x):
    return (x * x).sum()


@njit
def named(p):
    return (p.W * p.W).sum() + p.b.sum()


def named_grad(p):
    return {"W": 2 * p["W"], "b": np.ones(2)}


@njit
def dropout(x, keep):
    total = 0.0
    for i in range(x.size):
        if np.random.random() < keep:
            total += x[i] ** 2 / keep
    return total


def test_dropout_is_refused_with_the_values_and_what_to_do():
    with pytest.raises(NondeterministicLossError, match=r"np\.random\.seed") as caught:
        fg.check_grad(dropout, lambda x, keep: 2 * x, np.ones(200), 0.5)
    assert str(caught.value).count(".") >= 3


def test_dropout_in_python_is_refused():
    def loss(x):
        return float((x**2 * (np.random.random(x.size) < 0.9)).sum())

    with pytest.raises(NondeterministicLossError):
        fg.check_grad(loss, lambda x: 2 * x, np.ones(50), backend="python")


@pytest.mark.slow  # the loss takes half a minute to compile
def test_seeded_dropout_is_a_function():
    module = models.dropout
    data, labels = models.digits()
    params = models.two_layer.init(64, 6, 10)
    args = (data[:30], labels[:30], 7, 0.5)
    assert fg.check_grad(module.seeded_loss, module.seeded_grad, params, *args)


class RarelyRandom:
    """Deterministic for the first calls, then different by one part in a thousand."""

    def __init__(self, calls: int):
        self.left = calls

    def __call__(self, x):
        self.left -= 1
        return float((x**2).sum()) * (1.0 if self.left > 0 else 1.001)


def test_randomness_that_shows_late_is_noticed_under_way():
    x = np.ones(1500)
    with pytest.raises(NondeterministicLossError):
        fg.check_grad(RarelyRandom(2050), lambda x: 2 * x, x, backend="python")


def test_reordered_sums_are_noise():
    calls = iter(range(10**6))

    def loss(x):
        return float((x**2).sum()) * (1 + 2e-16 * (next(calls) % 2))

    report = fg.check_grad(loss, lambda x: 2 * x, X, backend="python")
    assert report.verdict == "agrees"
    assert any("rounding" in remark for remark in report.remarks)


def test_a_loss_that_is_not_finite_to_begin_with():
    with pytest.raises(NonFiniteLossError, match="given parameters"):
        fg.check_grad(lambda x: np.log(x - 10).sum(), lambda x: x, X)


@njit
def scrubs_its_argument(x, y):
    y[0] += 1.0
    return (x * x).sum()


@njit
def scrubs_theta(x):
    x[0] += 1e-3
    return (x * x).sum()


@pytest.mark.parametrize("backend", ["auto", "python"])
@pytest.mark.parametrize(
    ("loss", "args"), [(scrubs_theta, ()), (scrubs_its_argument, (np.ones(3),))]
)
def test_a_loss_that_writes_to_its_inputs(loss, args, backend):
    if backend == "python":
        loss = loss.py_func
    theta = X.copy()
    with pytest.raises(MutatedInputError):
        fg.check_grad(loss, lambda x, *_: 2 * x, theta, *args, backend=backend)
    np.testing.assert_array_equal(theta, X)


def test_a_gradient_that_writes_to_theta():
    def gradient(x):
        x *= 2
        return x

    theta = X.copy()
    with pytest.raises(MutatedInputError, match="gradient under test wrote to theta"):
        fg.check_grad(squares, gradient, theta)
    np.testing.assert_array_equal(theta, X)


def test_a_gradient_that_writes_to_an_argument():
    def gradient(x, y):
        y[0] = 5.0
        return 2 * x

    with pytest.raises(MutatedInputError, match="argument 1"):
        fg.check_grad(lambda x, y: (x * x).sum() + 0.0 * y[0], gradient, X, np.ones(2))


@pytest.mark.parametrize(
    "gradient",
    [
        named_grad,
        named_grad(THETA),
        np.concatenate([2 * THETA["W"].ravel(), np.ones(2)]),
        lambda p: {"b": np.ones(2), "W": 2 * p["W"]},
        njit(lambda p: (2 * p.W, p.b * 0 + 1)),
    ],
    ids=["function", "values", "flat vector", "other order", "compiled"],
)
def test_forms_of_a_gradient(gradient):
    if hasattr(gradient, "py_func"):
        # A plain tuple from compiled code has no names; theta's own fields do.
        with pytest.raises(StructureMismatchError, match="fields"):
            fg.check_grad(named, gradient, THETA)
    else:
        assert fg.check_grad(named, gradient, THETA)


@pytest.mark.parametrize(
    ("gradient", "kind", "words"),
    [
        (None, TypeError, "returned None|not callable|None"),
        (lambda p: None, TypeError, "return statement"),
        (lambda p: {"W": 2 * p["W"]}, StructureMismatchError, "missing 'b'"),
        (lambda p: {**named_grad(p), "c": 1.0}, StructureMismatchError, "unknown 'c'"),
        (
            lambda p: {"W": 2 * p["W"].T, "b": np.ones(2)},
            StructureMismatchError,
            r"\(2, 3\).*\(3, 2\)",
        ),
        (lambda p: np.ones(7), StructureMismatchError, "fields"),
        (lambda p: {"W": 2j * p["W"], "b": np.ones(2)}, TypeError, "complex"),
        (lambda p: {"W": p["W"].astype(str), "b": np.ones(2)}, TypeError, "W"),
    ],
)
def test_a_gradient_of_the_wrong_kind(gradient, kind, words):
    with pytest.raises(kind, match=words):
        fg.check_grad(named, gradient, THETA)


def test_a_float32_gradient_is_judged_with_its_own_rounding():
    report = fg.check_grad(squares, (2 * X).astype(np.float32), X, rtol=0)
    assert report.verdict == "agrees"
    assert any("single or half precision" in remark for remark in report.remarks)
    assert not fg.check_grad(squares, (2 * X).astype(np.float32) * np.float32(1.001), X)


def test_a_float32_theta_is_checked_in_double_precision():
    theta = X.astype(np.float32)
    report = fg.check_grad(squares, lambda x: 2 * x, theta)
    assert report.verdict == "agrees"


def test_the_gradients_own_exception_comes_through():
    def gradient(x):
        raise RuntimeError("not written yet")

    with pytest.raises(RuntimeError, match="not written yet"):
        fg.check_grad(squares, gradient, X)


def tanh_sum(p, kind):
    W, b = p["W"].astype(kind), p["b"].astype(kind)
    return float(np.tanh(0.3 * W + b).sum(dtype=kind))


def damaged_ones(right):
    """A right gradient of W and b, and wrong ones: an entry, a row, all of a block, no number."""
    yield right
    for where, value in (((3, 4), -1.0), (2, 0.0), (slice(None), 1.1), ((1, 1), np.nan)):
        wrong = right["W"].copy()
        wrong[where] *= value
        yield right | {"W": wrong}


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("strategy", ["sweep", "screen"])
def test_nothing_writes_to_the_gradient_under_test(strategy, kind, monkeypatch):
    """Not even to the one vector that is read of it: what is taken out is laid over."""
    read = []

    def locked(gradient, layout):
        values, unit = flat_gradient(gradient, layout)
        values.flags.writeable = unit.flags.writeable = False
        read.append((values, values.copy()))
        return values, unit

    monkeypatch.setattr("fastgrad.judging.setup.flat_gradient", locked)
    rng = np.random.default_rng(0)
    theta = {"W": rng.normal(size=(15, 10)), "b": rng.normal(size=10)}
    slopes = 1 / np.cosh(0.3 * theta["W"] + theta["b"]) ** 2
    verdicts = [
        fg.check_grad(tanh_sum, gradient, theta, kind, strategy=strategy, backend="python").verdict
        for gradient in damaged_ones({"W": 0.3 * slopes, "b": slopes.sum(axis=0)})
    ]
    assert verdicts[0] != "disagrees"
    assert set(verdicts[1:]) == {"disagrees"}
    assert len(read) == len(verdicts)
    for values, before in read:
        np.testing.assert_array_equal(values, before)
