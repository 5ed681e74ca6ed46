"""Small losses that several tests share, so that each is compiled once; cached for subprocesses."""

from contextlib import contextmanager

import numpy as np
from numba import njit, objmode, prange

from fastgrad.evaluate import on_demand
from fastgrad.evaluate.compiled import CompiledEvaluator
from fastgrad.evaluate.on_demand import OnDemand
from fastgrad.evaluate.protocol import Inputs
from fastgrad.parameters.layout import flatten


def evaluator_of(loss, theta, *args, threads=None):
    """A compiled evaluator around theta, which `fastgrad.grad` makes for itself."""
    layout, flat = flatten(theta)
    return CompiledEvaluator(loss, Inputs(layout, flat, args), threads)


def steps_of(run, h=1e-6):
    """Indices and offsets of a central difference of every entry."""
    n = run.theta.size
    return np.arange(n), np.tile([h, -h], (n, 1))


@contextmanager
def bought(owned=True):
    """A context in which kernels are called at once, or never: otherwise where that pays."""
    all_ = [kernel for kernel in vars(on_demand).values() if isinstance(kernel, OnDemand)]
    before = [(kernel.owned, kernel.paid, kernel._cached) for kernel in all_]
    for kernel in all_:
        kernel.owned, kernel.paid, kernel._cached = owned, float("-inf"), False
    try:
        yield
    finally:
        for kernel, (owned_before, paid, cached) in zip(all_, before, strict=True):
            kernel.owned, kernel.paid, kernel._cached = owned_before, paid, cached


def run_python(code, timeout=120, **environment):
    """Run a script in a process of its own; what it printed. Fails with all of its output."""
    import os
    import subprocess
    import sys
    from pathlib import Path

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@njit(cache=True)
def rosenbrock(x):
    total = 0.0
    for i in range(x.size - 1):
        total += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


def rosenbrock_grad(x):
    g = np.zeros_like(x)
    g[:-1] = -400.0 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2.0 * (1.0 - x[:-1])
    g[1:] += 200.0 * (x[1:] - x[:-1] ** 2)
    return g


@njit(cache=True)
def log_sum_exp(x):
    """Every entry's slope depends on every other entry; f'' is of the size of f'."""
    top = x.max()
    return top + np.log(np.exp(x - top).sum())


def log_sum_exp_grad(x):
    weights = np.exp(x - x.max())
    return weights / weights.sum()


@njit(cache=True)
def quadratic(x, A):
    """By BLAS."""
    return 0.5 * (x @ (A @ x))


@njit(cache=True)
def log_det(x, A):
    """By LAPACK; of a matrix that may not be positive definite."""
    return 2.0 * np.log(np.diag(np.linalg.cholesky(A))).sum() + x[0]


@njit(cache=True)
def picky(x, limit):
    """Raises where the first entry exceeds the limit, or is above it and the last one too."""
    for i in range(x.size):
        if x[i] > limit:
            raise ValueError("an entry is above the limit")
    return (x * x).sum()


@njit(cache=True, parallel=True)
def parallel_squares(x):
    total = 0.0
    for i in prange(x.size):
        total += x[i] ** 2
    return total


@njit(cache=True)
def calls_parallel(x):
    return parallel_squares(x) + x[0]


@njit(cache=True)
def unseeded(x):
    return (x * x).sum() * (1.0 + 1e-3 * np.random.random())


@njit(cache=True)
def seeded(x, seed):
    np.random.seed(seed)
    kept = np.random.random(x.size) < 0.5
    return (kept * x * x).sum()


@njit(cache=True)
def by_object_mode(x, divisor):
    with objmode(value="float64"):
        value = float(np.sum(x**2)) / divisor
    return value  # noqa: RET504 - objmode needs the name


@njit(cache=True)
def slow(x, rounds):
    """Some 4 ns a round."""
    s = x[0]
    for _ in range(rounds):
        s = np.sin(s) + x[-1]
    return s
