"""The corners of the models: huge logits, kinks, memory layouts, label types, the disk cache."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fastgrad.models import _terms, deep, linear, logistic, softmax, svm, two_layer

NO_PENALTY = (0.0, 0.0)


def flat(params):
    if isinstance(params, tuple):
        return np.concatenate([flat(block) for block in params])
    return np.ravel(params)


def test_logistic_at_huge_logits():
    X = np.array([[1e3], [1e3], [-1e3], [-1e3]])
    y = np.array([1, 0, 1, 0])
    params = logistic.Parameters(w=np.array([1.0]), b=0.0)
    assert logistic.loss(params, X, y, *NO_PENALTY) == 500.0  # 0, 1000, 1000 and 0
    got = logistic.grad(params, X, y, *NO_PENALTY)
    assert got.w[0] == 500.0
    assert got.b == 0.0


def test_softmax_at_huge_logits():
    params = softmax.Parameters(W=np.diag([1e3, -1e3, 0.0]), b=np.zeros(3))
    y = np.array([1, 1, 1])  # logits (1000, 0, 0), (0, -1000, 0), (0, 0, 0)
    got = softmax.loss(params, np.eye(3), y, *NO_PENALTY)
    assert got == pytest.approx((1000 + 1000 + np.log(2) + np.log(3)) / 3)
    got = softmax.grad(params, np.eye(3), y, *NO_PENALTY)
    P = np.array([[1, 0, 0], [0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(got.W, (P - [0, 1, 0]) / 3, atol=1e-15)


@pytest.mark.parametrize(
    ("model", "params"),
    [(two_layer, two_layer.init(5, 4, 3)), (deep, deep.init((5, 4, 3, 3)))],
    ids=["two_layer", "deep"],
)
def test_nets_are_finite_at_huge_logits(model, params):
    def scaled(block):
        return tuple(map(scaled, block)) if isinstance(block, tuple) else 1e3 * block

    huge = type(params)(*map(scaled, params))
    X, y = np.random.default_rng(0).normal(size=(12, 5)), np.arange(12) % 3
    assert np.isfinite(model.loss(huge, X, y, *NO_PENALTY))
    assert np.all(np.isfinite(flat(model.grad(huge, X, y, *NO_PENALTY))))


def test_hinge_takes_the_subgradient_zero_at_its_kink():
    X, y = np.array([[2.0], [2.0]]), np.array([1, -1])
    at_kink = svm.Parameters(w=np.array([0.5]), b=0.0)  # margins 1 and -1
    got = svm.grad(at_kink, X, y, *NO_PENALTY)
    assert got.w[0] == 1.0  # of the second example alone
    assert got.b == 0.5


def test_exponentials_are_those_of_the_library():
    z = np.concatenate(
        [
            np.linspace(_terms.SMALLEST_EXPONENT, _terms.LARGEST_EXPONENT, 10_001),
            np.linspace(-1, 1, 10_001),
        ]
    )
    np.testing.assert_allclose(_terms.exponentials(z), np.exp(z), rtol=4e-16)
    beyond = _terms.exponentials(np.array([[-np.inf, -1e9], [1e9, np.inf]]))
    np.testing.assert_allclose(beyond[0], np.exp(_terms.SMALLEST_EXPONENT))
    np.testing.assert_allclose(beyond[1], np.exp(_terms.LARGEST_EXPONENT))
    assert np.isnan(_terms.exponentials(np.array([np.nan])))
    Z = np.asfortranarray(np.random.default_rng(0).normal(size=(3, 4)))
    np.testing.assert_allclose(_terms.exponentials(Z), np.exp(Z), rtol=4e-16)


def test_cross_entropies_of_huge_logits():
    Z = np.array([[1e5, 2.0], [-1e5, -1e4], [800.0, 1.0], [np.nan, 0.0], [1.0, 2.0]])
    got = _terms.cross_entropies(Z, np.zeros(5, np.int64))
    np.testing.assert_allclose(got, [0.0, 9e4, 0.0, np.nan, np.log1p(np.e)])


def test_l1_takes_the_subgradient_zero_at_zero():
    X, y = np.zeros((2, 3)), np.zeros(2)
    params = linear.Parameters(w=np.array([-2.0, 0.0, 3.0]), b=0.0)
    np.testing.assert_array_equal(linear.grad(params, X, y, 0.0, 0.5).w, [-0.5, 0.0, 0.5])


@pytest.mark.parametrize("dtype", [np.int8, np.uint64])
def test_any_integer_labels(dtype):
    X, y = np.random.default_rng(0).normal(size=(12, 5)), np.arange(12) % 3
    params = softmax.init(5, 3)
    got = softmax.grad(params, X, y.astype(dtype), *NO_PENALTY)
    np.testing.assert_array_equal(got.W, softmax.grad(params, X, y, *NO_PENALTY).W)


def test_unsigned_binary_labels():
    X, y = np.random.default_rng(0).normal(size=(12, 5)), np.arange(12) % 2
    params = logistic.init(5)
    got = logistic.grad(params, X, y.astype(np.uint8), *NO_PENALTY)
    np.testing.assert_array_equal(got.w, logistic.grad(params, X, y, *NO_PENALTY).w)


@pytest.mark.parametrize(
    ("model", "params"),
    [(linear, linear.init(5)), (deep, deep.init((5, 4, 3, 3)))],
    ids=["linear", "deep"],
)
def test_fortran_ordered_inputs(model, params):
    X, y = np.random.default_rng(0).normal(size=(12, 5)), np.arange(12) % 3
    y = y.astype(np.float64) if model is linear else y
    got = model.grad(params, np.asfortranarray(X), y, *NO_PENALTY)
    expected = model.grad(params, X, y, *NO_PENALTY)
    np.testing.assert_allclose(flat(got), flat(expected), rtol=1e-12)


ASK_ONCE = """
import sys
import numpy as np
from fastgrad.models import linear
assert linear.loss.signatures == [], "importing the models compiled something"
assert "sklearn" not in sys.modules
linear.loss(linear.init(2), np.eye(2), np.ones(2), 0.0, 0.0)
print(sum(linear.loss.stats.cache_hits.values()))
"""


def test_import_compiles_nothing_and_a_second_process_loads_from_disk(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    hits = [
        subprocess.run(
            [sys.executable, "-c", ASK_ONCE],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert hits == ["0", "1"]
