"""Layers by njit functions: <c, fun(inputs)> in compiled threads, beside the same from Python."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import LossCompilationError
from fastgrad.evaluate.contracted import contracted
from fastgrad.evaluate.layer import Layer

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(6, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)


@njit(cache=True)
def dense(x, w, b, steep):
    """Two outputs, one a number."""
    z = steep * (x @ w + b)
    return np.tanh(z), z.sum()


def dense_backward(dout, x, w, b, steep):
    dz = steep * (dout[0] * (1 - np.tanh(steep * (x @ w + b)) ** 2) + dout[1])
    return dz @ w.T, x.T @ dz, dz.sum(axis=0)


@njit(cache=True)
def cached(x, w):
    return x @ w, (x, w)


@njit(cache=True)
def cached_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout


def test_njit_layers_run_in_compiled_threads():
    report = fg.check_vjp(dense, dense_backward, X, W, B, 2)
    assert report, str(report)
    assert [block.name for block in report.blocks] == ["x", "w", "b"]
    assert report.ran.startswith("Ran compiled")

    def wrong(dout, x, w, b, steep):
        dx, dw, db = dense_backward(dout, x, w, b, steep)
        dw[2, 1] *= 1.01
        return dx, dw, db

    for backend in ("auto", "python"):
        report = fg.check_vjp(dense, wrong, X, W, B, 2, backend=backend)
        assert [entry.name for entry in report.entries] == ["w[2, 1]"]
        assert report.ran.startswith("Ran compiled") == (backend == "auto")


def test_the_textbooks_cache():
    report = fg.check_vjp(cached, cached_backward, X, W, cache=True, cotangents=2)
    assert report, str(report)
    assert report.ran.startswith("Ran compiled")

    def half(dout, cache):
        dx, dw = cached_backward(dout, cache)
        return dx, dw / 2

    report = fg.check_vjp(cached, half, X, W, cache=True)
    assert [block.name for block in report.blocks if block.verdict == "disagrees"] == ["w"]


def test_the_contraction_is_what_python_says():
    """A naive sum is the oracle; leaves and constants stand where the function has them."""
    layer = Layer.of(dense, dense_backward, (X, W, B, 2), ("w", "b"), False)
    c = layer.cotangent(0)
    loss, others = contracted(layer, c)
    first, second = dense(X, W, B, 2)
    expected = float((c[:-1] * first.ravel()).sum() + c[-1] * second)
    got = loss((W, B), *others)
    assert got == pytest.approx(expected, rel=1e-12)
    assert len(others) == 3  # the cotangent, x and steep


def test_plain_functions_are_compiled_on_demand_alone():
    def affine(x, w, b):
        return x @ w + b

    def backward(dout, x, w, b):
        return dout @ w.T, x.T @ dout, dout.sum(axis=0)

    assert fg.check_vjp(affine, backward, X, W, B).ran.startswith("Ran in Python")
    report = fg.check_vjp(affine, backward, X, W, B, backend="compiled")
    assert report
    assert report.ran.startswith("Ran compiled")


@njit
def of_pair(p, x):
    return p[0] * x + p[1]


def test_what_does_not_compile_runs_in_python_and_says_so():
    pair = (2.0, 3.0)

    def backward(dout, p, x):
        return (float((dout * x).sum()), float(dout.sum())), dout * p[0]

    report = fg.check_vjp(of_pair, backward, pair, X)
    assert report, str(report)
    assert "the input p of of_pair is tuple: expected arrays and numbers" in str(report)
    with pytest.raises(LossCompilationError, match="the input p of of_pair is tuple"):
        fg.check_vjp(of_pair, backward, pair, X, backend="compiled")
    with pytest.raises(ValueError, match="backend="):
        fg.check_vjp(of_pair, backward, pair, X, backend="fast")


@njit
def writing(x, state):
    state[0] += 1.0
    return x * 2.0


def test_what_writes_to_its_inputs_is_found_compiled_too():
    with pytest.raises(fg.errors.MutatedInputError, match="state"):
        fg.check_vjp(writing, lambda d, x, state: 2 * d, X, np.zeros(1), argnums="x")
