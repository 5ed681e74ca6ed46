"""Hessians and their products: by differences of a gradient, or of the loss alone."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import MutatedInputError, StructureMismatchError

RNG = np.random.default_rng(0)
M = RNG.normal(size=(60, 50)) / 5
Y = (RNG.random(60) < 0.5).astype(float)
THETA = RNG.normal(size=50)


@njit(cache=True)
def logistic(w, X, y):
    z = X @ w
    total = 0.0
    for i in range(z.size):
        total += np.log1p(np.exp(-abs(z[i]))) + max(z[i], 0.0) - y[i] * z[i]
    return total + 0.5 * (w @ w)


def gradient(w, X, y):
    return X.T @ (1 / (1 + np.exp(-X @ w)) - y) + w


def curvature(w, X, y):
    p = 1 / (1 + np.exp(-X @ w))
    return (X * (p * (1 - p))[:, None]).T @ X + np.eye(w.size)


def error_of(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


def test_a_hessian_of_50_from_losses_and_from_gradients():
    """Seen: 8e-10 of its norm from losses, 6e-13 from gradients; the bars hold every error."""
    expected = curvature(THETA, M, Y)
    found = fg.hessian(logistic).estimate(THETA, M, Y)
    assert error_of(found.hessian, expected) <= 1e-7
    assert np.all(np.abs(found.hessian - expected) <= found.error)
    assert np.linalg.norm(found.error) <= 1e-6 * np.linalg.norm(expected)
    found = fg.hessian(logistic, grad=gradient).estimate(THETA, M, Y)
    assert error_of(found.hessian, expected) <= 1e-9
    assert np.all(np.abs(found.hessian - expected) <= found.error)


def test_checks_of_right_and_wrong_ones_either_way():
    small = M[:, :6].copy(), Y
    w = THETA[:6]
    right = curvature(w, *small)
    for grad in (None, gradient):
        report = fg.check_hessian(logistic, curvature, w, *small, grad=grad)
        assert report, str(report)
        assert "The Hessian under test is symmetric." in report.remarks
        wrong = right.copy()
        wrong[2, 4] *= 1.01
        report = fg.check_hessian(logistic, wrong, w, *small, grad=grad)
        named = [e.name for e in report.entries if e.verdict == "disagrees"]
        assert named == ["theta[2] / theta[4]"]
        assert "not symmetric" in str(report)
        assert str(report).startswith("The Hessian is wrong")
        report = fg.check_hessian(logistic, right - np.eye(6), w, *small, grad=grad)
        assert report.verdict == "disagrees"


def test_a_wrong_gradient_is_said_first():
    report = fg.check_hessian(
        logistic, curvature, THETA, M, Y, grad=lambda w, X, y: 2 * gradient(w, X, y)
    )
    assert report.verdict == "disagrees"
    assert "the Hessian was not looked at" in str(report)


def blocks_loss(p):
    return float((p["a"] ** 2).sum() * p["b"] + np.sin(p["b"]))


def blocks_hessian(p):
    a, b = p["a"], p["b"]
    return {
        "a": {"a": 2 * b * np.eye(2), "b": 2 * a},
        "b": {"a": 2 * a, "b": -np.sin(b)},
    }


P = {"a": np.array([1.0, -2.0]), "b": 0.7}


def test_structures():
    assert fg.check_hessian(blocks_loss, blocks_hessian, P, backend="python")
    H = fg.hessian(blocks_loss, backend="python")(P)
    np.testing.assert_allclose(H["a"]["b"], 2 * P["a"], atol=1e-8)
    np.testing.assert_allclose(H["b"]["b"], -np.sin(0.7), atol=1e-8)
    report = fg.check_hessian(
        blocks_loss,
        lambda p: {**blocks_hessian(p), "b": {"a": p["a"], "b": 0.0}},
        P,
        backend="python",
    )
    wrong = {entry.name for entry in report.entries if entry.verdict == "disagrees"}
    assert wrong == {"b / a[0]", "b / a[1]", "b / b"}
    found = fg.hessian(blocks_loss, trainable="a", backend="python").estimate(P)
    assert found.hessian["b"]["b"] == 0
    np.testing.assert_allclose(found.hessian["a"]["a"], 1.4 * np.eye(2), atol=1e-8)


@pytest.mark.parametrize("grad", [None, gradient])
def test_products(grad):
    v = RNG.normal(size=50)
    found = fg.hvp(logistic, grad=grad).estimate(THETA, v, M, Y)
    expected = curvature(THETA, M, Y) @ v
    assert error_of(found.hessian, expected) < 1e-9
    assert np.all(np.abs(found.hessian - expected) <= found.error)

    def product(w, v, X, y):
        return curvature(w, X, y) @ v

    assert fg.check_hvp(logistic, product, THETA, M, Y, grad=grad)
    report = fg.check_hvp(
        logistic, lambda w, v, X, y: product(w, v, X, y) - v, THETA, M, Y, grad=grad
    )
    assert report.verdict == "disagrees"
    assert report.subject == "hvp"


LOSSES = {
    "cosines": (lambda x: np.cos(x).sum() * x[0], lambda x: (
        np.diag(-np.cos(x) * x[0])
        - np.outer(np.eye(4)[0], np.sin(x))
        - np.outer(np.sin(x), np.eye(4)[0])
    )),
    "product": (lambda x: float(np.prod(x)), lambda x: np.array(
        [[0 if i == j else np.prod(x) / (x[i] * x[j]) for j in range(4)] for i in range(4)]
    )),
    "log sum exp": (lambda x: float(np.log(np.exp(x).sum())), lambda x: (
        lambda p: np.diag(p) - np.outer(p, p)
    )(np.exp(x) / np.exp(x).sum())),
    "quartic": (lambda x: float((x**4).sum() + 1e3), lambda x: np.diag(12 * x**2)),
}  # fmt: skip


def coverage(seeds):
    inside = total = 0
    for loss, hess in LOSSES.values():
        for seed in seeds:
            x = np.random.default_rng(seed).normal(size=4)
            found = fg.hessian(loss, backend="python").estimate(x)
            inside += np.count_nonzero(np.abs(found.hessian - hess(x)) <= found.error)
            total += 16
    return inside, total


def test_error_bars_hold_true_errors():
    inside, total = coverage(range(5))
    assert inside >= 0.999 * total


@pytest.mark.slow
def test_error_bars_hold_999_of_1000_true_errors_beside_bounds():
    """Counted: all of 9,600 one-sided ones."""
    inside = total = 0
    for loss, hess in LOSSES.values():
        for seed in range(150):
            rng = np.random.default_rng(seed)
            x = rng.normal(size=4)
            low = np.where(rng.random(4) < 0.5, x, -np.inf)
            high = np.where((rng.random(4) < 0.7) & (low != x), x, np.inf)
            found = fg.hessian(loss, bounds=(low, high), backend="python").estimate(x)
            inside += np.count_nonzero(np.abs(found.hessian - hess(x)) <= found.error)
            total += 16
    assert inside >= 0.999 * total, (inside, total)


@pytest.mark.slow
def test_error_bars_hold_999_of_1000_true_errors():
    inside, total = coverage(range(100))
    assert inside >= 0.999 * total, (inside, total)


BAD = {
    "a vector": (np.ones(50), StructureMismatchError, "shape (50,): expected (50, 50)"),
    "too small": (np.ones((49, 49)), StructureMismatchError, "shape (49, 49): expected (50, 50)"),
    "None": (lambda *_: None, TypeError, "NoneType"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_are_told_what_to_do(name):
    hess, kind, words = BAD[name]
    with pytest.raises(kind) as caught:
        fg.check_hessian(logistic, hess, THETA, M, Y)
    for word in words.split():
        assert word in str(caught.value), str(caught.value)


C = {"a": np.arange(1.0, 4), "b": np.ones(2)}
OF_A = {"a": np.eye(3), "b": np.ones((3, 2))}
BAD_BLOCKS = {
    "a block transposed": (
        {"a": OF_A, "b": {"a": np.ones((3, 2)), "b": np.zeros((2, 2))}},
        "the Hessian for b / a has shape (3, 2): expected (2, 3) transposed?",
    ),
    "a row left out": ({"a": OF_A}, "the Hessian is dict: expected 'b' in it, as theta has 'a'"),
    "a block left out": (
        {"a": OF_A, "b": {"a": np.ones((2, 3))}},
        "the Hessian for b: expected the fields missing 'b'",
    ),
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_bad_blocks_are_named(name):
    hess, words = BAD_BLOCKS[name]
    with pytest.raises(StructureMismatchError) as caught:
        fg.check_hessian(
            lambda p: float((p["a"] ** 3).sum() * p["b"].sum()), hess, C, backend="python"
        )
    for word in words.split():
        assert word in str(caught.value), str(caught.value)


def quartic(x):
    return float((x**4).sum())


def writes_to_v(x, v):
    v *= 12 * x**2
    return v


def writes_to_theta(x, v):
    x *= v
    return x


BAD_PRODUCTS = {
    "the matrix": (
        lambda x, v: np.diag(12 * x**2),
        StructureMismatchError,
        "returned for theta (3,) got (3, 3)",
    ),
    "None": (lambda x, v: None, TypeError, "returned None: expected the product (no return?)"),
    "no vector": (lambda x: x, TypeError, "<lambda>(x) cannot be called with (theta, v, *args)"),
    "no function": (np.ones(3), TypeError, "hvp is ndarray expected a function"),
    "writes to v": (writes_to_v, MutatedInputError, "writes_to_v wrote to the vector v copy"),
    "writes to theta": (writes_to_theta, MutatedInputError, "wrote to its first argument copy"),
}


@pytest.mark.parametrize("name", BAD_PRODUCTS)
def test_bad_products_are_told_what_to_do(name):
    product, kind, words = BAD_PRODUCTS[name]
    with pytest.raises(kind) as caught:
        fg.check_hvp(quartic, product, np.arange(1.0, 4), backend="python")
    for word in words.split():
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"grad": 3}, TypeError, "grad is int: expected a function"),
        ({"rtol": -1}, ValueError, "rtol=-1: expected a number from 0 up"),
        ({"bounds": (2, None)}, ValueError, r"theta\[0\] is 1, outside its bounds"),
        ({"backend": "fast"}, ValueError, "backend='fast': expected one of"),
    ],
)
def test_bad_options_are_told_what_to_do(options, kind, words):
    x = np.arange(1.0, 4)
    with pytest.raises(kind, match=words):
        fg.check_hessian(quartic, np.eye(3), x, **options)
    with pytest.raises(kind, match=words):
        fg.check_hvp(quartic, lambda x, v: v, x, **options)


def test_single_precision_is_judged_with_its_rounding():
    x = np.arange(1.0, 4) + 1 / 3
    single = np.diag(12 * x**2).astype(np.float32)
    report = fg.check_hessian(quartic, single, x, backend="python", rtol=0)
    assert report, str(report)
    assert "Hessian under test was handed over in single or half precision" in str(report)

    def product(x, v):
        return (12 * x**2 * v).astype(np.float32)

    report = fg.check_hvp(quartic, product, x, backend="python", rtol=0)
    assert report, str(report)
    assert "single or half precision" in str(report)
    assert not fg.check_hvp(quartic, lambda x, v: product(x, v) * 1.001, x, backend="python")
