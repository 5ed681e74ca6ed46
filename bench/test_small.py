"""Small losses, called often; long lists, and an argument that is large."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from bench.measure import measured

SIZES = (2, 3, 5, 10)
ROWS = 20
LISTS = (10, 100, 1000)
MEGABYTES = 320
READ = 100
"""Rows of the large argument that a loss reads."""


@njit
def logistic(t, X, y):
    total = 0.0
    for i in range(y.size):
        z = 0.0
        for j in range(t.size):
            z += X[i, j] * t[j]
        total += np.log1p(np.exp(-y[i] * z))
    return total


@njit
def by_hand(t, X, y):
    """The loop that a user writes for one loss, which checks nothing."""
    gradient, at = np.empty_like(t), t.copy()
    for i in range(t.size):
        h = 2.0**-17 * max(abs(t[i]), 1.0)
        at[i] = t[i] + h
        above = logistic(at, X, y)
        at[i] = t[i] - h
        gradient[i] = (above - logistic(at, X, y)) / (2 * h)
        at[i] = t[i]
    return gradient


def by_scipy(t, X, y):
    from scipy.optimize._numdiff import approx_derivative

    return approx_derivative(logistic, t, method="3-point", args=(X, y))


def by_statsmodels(t, X, y):
    numdiff = pytest.importorskip("statsmodels.tools.numdiff")
    return numdiff.approx_fprime(t, logistic, args=(X, y), centered=True)


def by_jacobi(t, X, y):
    jacobi = pytest.importorskip("jacobi")
    return jacobi.jacobi(logistic, t, X, y)[0]


def bound(t, X, y) -> Callable[[], Any]:
    g = fg.grad(logistic).bind(X, y)
    return lambda: g(t)


def unbound(t, X, y) -> Callable[[], Any]:
    g = fg.grad(logistic)
    return lambda: g(t, X, y)


TOOLS = {
    "fastgrad, bound": bound,
    "fastgrad": unbound,
    "a loop by hand": lambda *args: lambda: by_hand(*args),
    "scipy 3-point": lambda *args: lambda: by_scipy(*args),
    "statsmodels": lambda *args: lambda: by_statsmodels(*args),
    "jacobi": lambda *args: lambda: by_jacobi(*args),
}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("tool", TOOLS)
def test_small(tool, n, benchmark, quick):
    if quick and n != SIZES[0]:
        pytest.skip("too long for the quick mode")
    rng = np.random.default_rng(n)
    X, t = rng.normal(size=(ROWS, n)), rng.uniform(0.5, 1.5, n)
    y = np.sign(X[:, 0])
    call = TOOLS[tool](t, X, y)
    call()
    got = measured(benchmark, call, table="small", problem=f"logistic, n = {n}", tool=tool)
    exact = -X.T @ (y / (1 + np.exp(y * (X @ t))))
    np.testing.assert_allclose(got, exact, rtol=1e-6, atol=1e-7)


@njit
def of_groups(t, groups):
    total = 0.0
    for k in range(len(groups)):
        total += t[k % t.size] * groups[k].sum()
    return total


@pytest.mark.parametrize("count", LISTS)
def test_lists_of_arrays(count, benchmark, quick):
    """The first of them compiles for all."""
    t, groups = np.ones(2), [np.ones(5) for _ in range(count)]
    g = fg.grad(of_groups)
    facts = {"table": "small", "problem": f"a list of {count} arrays", "tool": "fastgrad"}
    got = measured(benchmark, lambda: g(t, groups), **facts)
    np.testing.assert_allclose(got, [2.5 * count, 2.5 * count], rtol=1e-8)
    assert len(of_groups.signatures) == 1


@njit
def of_rows(t, X, rows):
    total = 0.0
    for i in rows:
        z = 0.0
        for j in range(t.size):
            z += X[i, j] * t[j]
        total += z * z
    return total


@njit
def of_rows_by_blas(t, X, rows):
    total = 0.0
    for i in rows:
        total += (X[i] @ t) ** 2
    return total


@pytest.mark.parametrize("loss", [of_rows, of_rows_by_blas], ids=lambda f: f.__name__)
def test_a_large_argument_of_which_little_is_read(loss, benchmark, quick):
    n = 20
    count = (1 if quick else MEGABYTES) * 1_000_000 // (8 * n)
    X, t = np.ones((count, n)), np.ones(n)
    rows = np.linspace(0, count - 1, READ).astype(np.int64)
    g = fg.grad(loss)
    g(t, X, rows)
    problem = f"{READ} rows of {X.nbytes // 10**6} MB, {loss.__name__}"
    got = measured(
        benchmark, lambda: g(t, X, rows), table="small", problem=problem, tool="fastgrad"
    )
    np.testing.assert_allclose(got, np.full(n, 2.0 * n * READ), rtol=1e-7)
