"""Small losses, called often; what costs more than one expects: lists, large arguments, first calls."""

import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from bench.measure import measured, seconds_of

SIZES = (2, 3, 5, 10)
ROWS = 20
LISTS = (10, 100, 1000)
MEGABYTES = 320
HAND_CALLS = 2000
"""Calls of the loop by hand that are timed together, before every round of another tool."""
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
    by_hand(t, X, y)
    beside = partial(seconds_of, lambda: by_hand(t, X, y), HAND_CALLS)
    facts = {"table": "small", "problem": f"n = {n}", "tool": tool}
    got = measured(benchmark, call, beside, **facts)
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
    got = costly(benchmark, of_groups, f"{count} arrays in a list that is an argument", t, groups)
    np.testing.assert_allclose(got, [2.5 * count, 2.5 * count], rtol=1e-8)
    assert len(of_groups.signatures) == 1


@njit
def of_weights(p):
    total = 0.0
    for k in range(len(p)):
        total += (p[k] * p[k]).sum()
    return total


@pytest.mark.parametrize("count", LISTS)
def test_lists_of_parameters(count, benchmark, quick):
    p = [np.ones(5) for _ in range(count)]
    got = costly(benchmark, of_weights, f"theta a list of {count} arrays", p)
    np.testing.assert_allclose(got, 2 * np.array(p), rtol=1e-6)
    assert len(of_weights.signatures) == 1


def costly(benchmark, loss, problem, *args, backend="auto"):
    g = fg.grad(loss, backend=backend)
    facts = {"table": "small costs", "problem": problem, "tool": "fastgrad"}
    return measured(benchmark, lambda: g(*args), **facts)


def at_once(p):
    """A loss that does nothing, so that what is beside it shows."""
    return float(p["b2"][0])


def test_a_loss_in_python_of_many_entries(benchmark, quick):
    """Twenty evaluations of a net of six arrays and 84,060 numbers, ten of them differenced."""
    sizes = (784, 100, 50, 10)
    p = {f"W{k}": np.ones(size) for k, size in enumerate(itertools.pairwise(sizes))}
    p |= {f"b{k}": np.ones(size) for k, size in enumerate(sizes[1:])}
    g = fg.grad(at_once, trainable="b2", backend="python")
    problem = "10 of 84,060 entries of a dict, of a Python loss that returns at once"
    facts = {"table": "small costs", "problem": problem, "tool": "fastgrad"}
    got = measured(benchmark, lambda: g(p), **facts)
    np.testing.assert_allclose(got["b2"], np.eye(10)[0], atol=1e-9)


def tanh_net(w, X):
    """A net 20-30-1 in NumPy's own loops, which are quicker than compiled ones."""
    hidden = np.tanh(X @ w[:600].reshape((20, 30)) + w[600:630])
    return ((hidden @ w[630:660] + w[660]) ** 2).sum()


@pytest.mark.parametrize("backend", ["auto", "compiled", "python"])
def test_the_quicker_of_python_and_compiled(backend, benchmark, quick):
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(256, 20)), rng.normal(size=661) / 5
    got = costly(
        benchmark, tanh_net, f"a net in NumPy, 661 parameters, {backend}", w, X, backend=backend
    )
    assert np.abs(got).max() > 0.0


def test_first_calls_of_the_zoo(benchmark, quick):
    """Compiling included, of one loss in each of its forms."""
    zoo = pytest.importorskip("tests.evaluate.zoo")
    forms = zoo.FORMS[:2] if quick else zoo.FORMS
    seconds = []
    for form in forms:
        animal = form(zoo.KINDS["square"][0])
        began = time.perf_counter()
        fg.grad(animal.loss)(animal.theta(zoo.P.copy()), *animal.arguments())
        seconds.append(time.perf_counter() - began)
    g, theta, args = fg.grad(animal.loss), animal.theta(zoo.P.copy()), animal.arguments()
    facts = {"table": "small costs", "problem": f"{len(forms)} forms of loss, the median"}
    measured(benchmark, lambda: g(theta, *args), **facts)
    benchmark.extra_info["first_call"] = float(np.median(seconds))


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
    got = costly(
        benchmark, loss, f"{READ} rows of {X.nbytes // 10**6} MB, {loss.__name__}", t, X, rows
    )
    np.testing.assert_allclose(got, np.full(n, 2.0 * n * READ), rtol=1e-7)
