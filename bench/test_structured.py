"""Table 6: losses with a structure, beside 2n plain evaluations and beside backpropagation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numba
import numpy as np
import pytest
from numba import njit
from scipy import sparse
from threadpoolctl import threadpool_limits

import fastgrad as fg
from bench.measure import bare_evaluation, measured, seconds_of
from bench.problems import Problem, largest_error, rosenbrock, two_layer
from fastgrad import models
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.protocol import Inputs
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.parameters.layout import flatten

INPUTS = {"X 80% zeros": 0.8, "X dense": 0.0}
TARGETS = {"X 80% zeros": "100 times faster", "X dense": "25 times faster"}
SIZES, QUICK_SIZES = (784, 50, 10), (64, 16, 10)
DEEP_SIZES, QUICK_DEEP_SIZES = (784, 1000, 200, 10), (64, 20, 10, 10)
DEEP_BATCH = 32
CHAIN, QUICK_CHAIN = 1_000_000, 1_000
SAMPLE, CHAIN_SAMPLE = 200, 20
"""Entries whose errors are compared with those of the plain sweep."""
TURN = 10
"""Gradients in a row, then as many backprops: who has fewer finds the caches cold more often."""
L2 = 0.01


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """So many threads for kernels, and one for BLAS."""
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        numba.set_num_threads(before)


@cache
def net(quick: bool, inputs: str) -> Problem:
    return two_layer(QUICK_SIZES if quick else SIZES, SAMPLE, True, INPUTS[inputs])


def name_of(sizes: tuple[int, ...], inputs: str) -> str:
    return f"net {'-'.join(map(str, sizes))}, {inputs}"


def gradient_of(structured: Any, problem: Problem) -> Callable[[], Any]:
    """The gradient of the net, whose parameters the problem has in one vector."""
    X, y, sizes = problem.args
    params = models.two_layer.init(*sizes)
    g = fg.grad(structured)
    return lambda: g(params, X, y, L2)


def compared(benchmark: Any, problem: Problem, got: Any) -> None:
    """Keep the largest errors of a gradient and of the plain sweep, and require no worse a one."""
    entries = problem.entries()
    mask = np.isin(np.arange(problem.theta.size), entries)
    plain = fg.grad(problem.loss, trainable=mask)(problem.theta, *problem.args)
    error, plain_error = (
        largest_error(gradient[entries], problem.exact, entries)
        for gradient in (flatten(got)[1], plain)
    )
    benchmark.extra_info.update(error=error, plain_error=plain_error)
    assert error <= plain_error


@pytest.mark.parametrize("inputs", INPUTS)
def test_incremental(inputs: str, benchmark, quick):
    problem = net(quick, inputs)
    facts = {"table": "structured", "what": f"Incremental, {name_of(problem.args[-1], inputs)}"}
    facts |= {"n": problem.theta.size, "threads": 1, "target": TARGETS[inputs]}
    facts |= {"rival": "2 n C", "times": 2 * problem.theta.size}
    with on_threads(1):
        limit = None if quick else bare_evaluation(problem)
        call = gradient_of(models.two_layer.incremental, problem)
        compared(benchmark, problem, measured(benchmark, call, limit, **facts))


@pytest.mark.parametrize("inputs", INPUTS)
def test_incremental_on_two_threads(inputs: str, benchmark, quick):
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("there is one thread alone")
    problem = net(quick, inputs)
    call = gradient_of(models.two_layer.incremental, problem)

    def alone() -> float:
        with on_threads(1):
            return seconds_of(call)

    facts = {"table": "structured", "what": f"Incremental, {name_of(problem.args[-1], inputs)}"}
    facts |= {"n": problem.theta.size, "threads": 2, "target": "1.7 times faster"}
    facts |= {"rival": "one thread", "times": 1}
    with on_threads(2):
        compared(benchmark, problem, measured(benchmark, call, None if quick else alone, **facts))


def backprop(params, X, y):
    """The gradient of the net as one writes it in numpy."""
    W1, b1, W2, b2 = params
    A1 = 1.0 / (1.0 + np.exp(-(X @ W1 + b1)))
    delta2 = np.exp(A1 @ W2 + b2)
    delta2 /= delta2.sum(axis=1, keepdims=True)
    delta2[np.arange(y.size), y] -= 1.0
    delta2 /= y.size
    delta1 = (delta2 @ W2.T) * A1 * (1.0 - A1)
    return (
        X.T @ delta1 + L2 * W1,
        delta1.sum(axis=0),
        A1.T @ delta2 + L2 * W2,
        delta2.sum(axis=0),
    )


@pytest.mark.parametrize("inputs", INPUTS)
def test_layered(inputs: str, benchmark, quick):
    problem = net(quick, inputs)
    X, y, sizes = problem.args
    params = models.two_layer.init(*sizes)
    rival = partial(backprop, params, X, y)
    assert largest_error(flatten(rival())[1], problem.exact) < 1e-12
    facts = {"table": "structured", "what": f"Layered, {name_of(problem.args[-1], inputs)}"}
    facts |= {"n": problem.theta.size, "threads": 1, "target": "3 times as long"}
    facts |= {"rival": "backprop in numpy", "times": 1}
    with on_threads(1):
        beside = None if quick else partial(seconds_of, rival, TURN)
        call = gradient_of(models.two_layer.layered, problem)
        compared(benchmark, problem, measured(benchmark, call, beside, TURN, **facts))


@njit
def chain_terms(x):
    return 100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2


def test_separable(benchmark, quick):
    problem = rosenbrock(QUICK_CHAIN if quick else CHAIN, CHAIN_SAMPLE)
    n = problem.theta.size
    ones = np.ones(n - 1)
    pattern = sparse.diags_array([ones, ones], offsets=[0, 1], shape=(n - 1, n))
    structured = fg.structured.Separable(chain_terms, pattern)
    layout, theta = flatten(problem.theta)
    run = evaluator(structured, Inputs(layout, theta))
    run.coordinates(np.arange(n), np.tile(CENTRAL[2].step * np.array([1.0, -1.0]), (n, 1)))
    facts = {"table": "structured", "what": "Separable, chained Rosenbrock", "n": n, "threads": 1}
    facts |= {"target": "6 evaluations, 0.1 s", "evaluations": run.evaluations}
    facts |= {"rival": "2 n C", "times": 2 * n}
    g = fg.grad(structured)
    with on_threads(1):
        limit = None if quick else bare_evaluation(problem)
        compared(benchmark, problem, measured(benchmark, lambda: g(problem.theta), limit, **facts))
    assert run.evaluations <= 6


@pytest.mark.parametrize("inputs", INPUTS)
def test_every_entry_of_a_large_net(inputs: str, benchmark, quick):
    """Not the shortest way, which is `Layered`: it trusts nothing of the net's layers."""
    sizes = QUICK_DEEP_SIZES if quick else DEEP_SIZES
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(DEEP_BATCH, sizes[0]))
    X *= rng.uniform(size=X.shape) >= INPUTS[inputs]
    y = rng.integers(0, sizes[-1], DEEP_BATCH)
    params = models.deep.init(sizes)

    def check():
        return fg.check_grad(
            models.deep.incremental, models.deep.grad, params, X, y, strategy="sweep"
        )

    models.deep.loss(params, X, y)
    report = benchmark.pedantic(check, rounds=1)
    benchmark.extra_info.update(
        table="structured",
        what=f"Incremental, check_grad of every entry, {name_of(sizes, inputs)}",
        n=sum(block.size for block in report.blocks),
        threads=numba.get_num_threads(),
        evaluations=report.evaluations,
        verdict=report.verdict,
        target="3 min",
    )
    assert report.verdict == "agrees"
