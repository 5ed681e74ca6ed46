"""Jacobians and Hessians: errors, evaluations and time beside those who do the same."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastgrad as fg
from bench.measure import measured, seconds_of
from bench.rivals import version

OUTPUTS, INPUTS = 200, 100
LONG, QUICK_LONG = 100_000, 1_000
RNG = np.random.default_rng(0)
A = RNG.normal(size=(OUTPUTS, INPUTS)) / 10
X = RNG.normal(size=INPUTS)


class Counted:
    """A function that knows how often it was called."""

    def __init__(self, fun: Callable[[np.ndarray], np.ndarray]):
        self.fun, self.calls = fun, 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.calls += 1
        return self.fun(x)


def layer(x: np.ndarray) -> np.ndarray:
    return np.tanh(A @ x)


def of_layer(x: np.ndarray) -> np.ndarray:
    return (1 - np.tanh(A @ x) ** 2)[:, None] * A


def ours(fun: Any, x: np.ndarray) -> Any:
    return fg.jacobian(fun, backend="python")(x)


def ours_order_4(fun: Any, x: np.ndarray) -> Any:
    return fg.jacobian(fun, order=4, backend="python")(x)


def ours_with_bars(fun: Any, x: np.ndarray) -> Any:
    return fg.jacobian(fun, backend="python").estimate(x).jacobian


def scipy_3_point(fun: Any, x: np.ndarray) -> Any:
    from scipy.optimize._numdiff import approx_derivative

    return approx_derivative(fun, x, method="3-point")


def of_numdifftools(fun: Any, x: np.ndarray) -> Any:
    import numdifftools

    return numdifftools.Jacobian(fun)(x)


def of_jacobi(fun: Any, x: np.ndarray) -> Any:
    import jacobi

    return jacobi.jacobi(fun, x)[0]


def of_jax(fun: Any, x: np.ndarray) -> Any:
    """Automatic differentiation, which must be given a function of its own."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return np.asarray(jax.jacfwd(lambda v: jax.numpy.tanh(A @ v))(x))


DENSE = {
    "fastgrad": (ours, "numpy"),
    "fastgrad, order 4": (ours_order_4, "numpy"),
    "fastgrad, with bars": (ours_with_bars, "numpy"),
    "scipy approx_derivative": (scipy_3_point, "scipy"),
    "numdifftools": (of_numdifftools, "numdifftools"),
    "jacobi": (of_jacobi, "jacobi"),
    "jax.jacfwd": (of_jax, "jax"),
}
MOST_ERROR = {"fastgrad": 1e-9, "fastgrad, order 4": 1e-11, "fastgrad, with bars": 1e-9}
"""Largest errors of ours, relative to the largest entry."""


@pytest.mark.parametrize("name", DENSE)
def test_dense(benchmark, quick, name):
    method, package = DENSE[name]
    if version(package) is None:
        pytest.skip(f"{package} is not installed")
    x = X[:10] if quick else X
    fun = Counted(lambda v: np.tanh(A[:, : x.size] @ v))
    exact = (1 - np.tanh(A[:, : x.size] @ x) ** 2)[:, None] * A[:, : x.size]
    if quick and name == "jax.jacfwd":
        pytest.skip("it has a function of its own, of all inputs")
    got = method(fun, x)
    error = float(np.abs(got - exact).max() / np.abs(exact).max())
    facts = {"table": "jacobian", "method": name, "error": error, "evaluations": fun.calls}
    beside = None if name == "fastgrad" else partial(seconds_of, partial(ours, fun, x))
    measured(benchmark, lambda: method(fun, x), beside, **facts)
    assert error <= MOST_ERROR.get(name, np.inf)


def chain(x: np.ndarray) -> np.ndarray:
    out = x**3
    out[1:] += np.sin(x[:-1])
    out[:-1] += x[1:] ** 2
    return out


def of_chain(x: np.ndarray) -> Any:
    diagonals = [np.cos(x[:-1]), 3 * x**2, 2 * x[1:]]
    return sparse.diags_array(diagonals, offsets=[-1, 0, 1], format="csr")


def ours_sparse(x: np.ndarray) -> Any:
    return fg.jacobian(chain, sparsity=of_chain(x), backend="python")(x)


def scipy_sparse(x: np.ndarray) -> Any:
    from scipy.optimize._numdiff import approx_derivative, group_columns

    pattern = of_chain(x).astype(bool).astype(float)
    return approx_derivative(chain, x, method="3-point", sparsity=(pattern, group_columns(pattern)))


@pytest.mark.parametrize("name", ["fastgrad", "scipy approx_derivative", "fastgrad, checked"])
def test_sparse(benchmark, quick, name):
    x = np.random.default_rng(1).normal(size=QUICK_LONG if quick else LONG)
    if name == "fastgrad, checked":
        report = measured(
            benchmark,
            lambda: fg.check_jacobian(chain, of_chain, x, backend="python"),
            partial(seconds_of, partial(ours_sparse, x)),
            table="jacobian sparse",
            method=name,
        )
        assert report
        benchmark.extra_info["evaluations"] = report.evaluations
        return
    method = ours_sparse if name == "fastgrad" else scipy_sparse
    beside = None if name == "fastgrad" else partial(seconds_of, partial(ours_sparse, x))
    facts = {"table": "jacobian sparse", "method": name}
    got = measured(benchmark, lambda: method(x), beside, **facts)
    error = float(np.abs((got - of_chain(x)).tocsr().data).max(initial=0.0))
    benchmark.extra_info["error"] = error
    assert name != "fastgrad" or error < 1e-7


def logistic(w: np.ndarray, Z: np.ndarray, y: np.ndarray) -> float:
    z = Z @ w
    return float(np.sum(np.logaddexp(0, z) - y * z))


def score(w: np.ndarray, Z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return Z.T @ (1 / (1 + np.exp(-Z @ w)) - y)


def test_standard_errors_of_a_fit_beside_statsmodels(benchmark):
    """Fair's survey: standard errors from the inverse Hessian, from the loss alone and by its score."""
    statsmodels = pytest.importorskip("statsmodels.api")
    data = statsmodels.datasets.fair.load_pandas().data
    Z = statsmodels.add_constant(data[["rate_marriage", "age", "yrs_married", "religious"]])
    y = (data["affairs"] > 0).astype(float)
    fit = statsmodels.Logit(y, Z).fit(disp=0)
    Z, y, w = Z.to_numpy(), y.to_numpy(), fit.params.to_numpy()
    expected = fit.bse.to_numpy()

    def errors(**options: Any) -> np.ndarray:
        H = fg.hessian(logistic, backend="python", **options)(w, Z, y)
        return np.sqrt(np.diag(np.linalg.inv(H)))

    np.testing.assert_allclose(errors(grad=score), expected, rtol=1e-8)
    facts = {"table": "jacobian errors", "method": "from the loss", "parameters": w.size}
    facts["by_score"] = float(np.max(np.abs(errors(grad=score) / expected - 1)))
    got = measured(benchmark, errors, **facts)
    benchmark.extra_info["error"] = float(np.max(np.abs(got / expected - 1)))
    np.testing.assert_allclose(got, expected, rtol=1e-6)
