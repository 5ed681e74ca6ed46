"""How a call is measured: the first apart, then rounds of enough iterations."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numba import njit
from threadpoolctl import threadpool_limits

from bench.problems import Problem
from bench.rivals import Rival

ROUNDS = 7
MOST_ROUNDS = 15
ROUND_SECONDS = 5e-3
"""A round repeats a call that is shorter, so that the clock and one interruption matter less."""
ROW_SECONDS = 0.5
WARM_SECONDS, WARM_CALLS = 0.3, 2000
"""A call is made for so long, or so often, before it is measured: then all is compiled that pays."""
SLOW = 1.0
"""A first call that took longer tells how long a call is well enough."""
LIMIT_SECONDS, LIMIT_COUNT = 5e-3, 20_000


def warm_up(call: Callable[[], Any]) -> None:
    """Make a call again and again, as its user would who calls it often."""
    began = time.perf_counter()
    for _ in range(WARM_CALLS):
        call()
        if time.perf_counter() - began > WARM_SECONDS:
            break


def measured(
    benchmark: Any,
    call: Callable[[], Any],
    beside: Callable[[], float] | None = None,
    inner: int | None = None,
    **facts: Any,
) -> Any:
    """What ``call()`` returns; a round repeats it ``inner`` times, the first call is timed apart.

    ``beside`` is measured before every round, in seconds, so that both see the same machine; its
    median is kept. Without timing (the quick mode) the call is made once.
    """
    began = time.perf_counter()
    result = call()
    first = time.perf_counter() - began
    benchmark.extra_info.update(facts, first_call=first)
    if benchmark.disabled:
        return result
    if first < SLOW:
        warm_up(call)
    seconds = first if first > SLOW else min(seconds_of(call) for _ in range(3))
    inner = inner or max(1, int(ROUND_SECONDS / seconds))
    rounds = int(np.clip(ROW_SECONDS / (seconds * inner), ROUNDS, MOST_ROUNDS))
    others: list[float] = []

    def round_() -> None:
        for _ in range(inner):
            call()

    def setup() -> None:
        if beside is not None:
            others.append(beside())

    benchmark.pedantic(round_, setup=setup, rounds=rounds)
    benchmark.extra_info["inner"] = inner
    if others:
        benchmark.extra_info["beside"] = float(np.median(others))
    return result


def seconds_of(call: Callable[[], Any], inner: int = 1) -> float:
    """Seconds of one call, over ``inner`` of them."""
    began = time.perf_counter()
    for _ in range(inner):
        call()
    return (time.perf_counter() - began) / inner


class OnFlat:
    """``loss(x, *args)`` as a function of x alone; pickled for rivals that start processes."""

    def __init__(self, loss: Callable[..., float], args: tuple[Any, ...]):
        self.loss, self.args = loss, args

    def __call__(self, x: np.ndarray) -> float:
        return self.loss(x, *self.args)


class OnSample:
    """The loss as a function of some entries of theta, which it puts into a copy of its own."""

    def __init__(self, loss: Callable[..., float], theta: np.ndarray, entries: np.ndarray, args):
        self.loss, self.theta, self.entries, self.args = loss, theta.copy(), entries, args

    def __call__(self, x: np.ndarray) -> float:
        self.theta[self.entries] = x
        return self.loss(self.theta, *self.args)


def for_rival(problem: Problem, rival: Rival) -> tuple[Callable[..., float], np.ndarray]:
    """The function that a rival differentiates, and where."""
    loss = partial(problem.model, np) if rival.package == "numpy" else problem.loss
    entries = problem.entries(rival.starts_processes)
    if entries is None:
        return OnFlat(loss, problem.args), problem.theta
    return OnSample(loss, problem.theta, entries, problem.args), problem.theta[entries]


@njit
def _bare_loop(loss, theta, count, args):
    """2 ``count`` evaluations with nothing around them but what moves an entry there and back."""
    x = theta.copy()
    total = 0.0
    for k in range(count):
        i = k % theta.size
        x[i] = theta[i] + 2.0**-17
        above = loss(x, *args)
        x[i] = theta[i] - 2.0**-17
        total += abs(above - loss(x, *args))
        x[i] = theta[i]
    return total


def bare_evaluation(problem: Problem) -> Callable[[], float]:
    """Measures C, what one evaluation costs compiled code with BLAS on one thread, in seconds."""
    args = (problem.loss, problem.theta)

    def seconds(count: int) -> float:
        with threadpool_limits(1, user_api="blas"):
            began = time.perf_counter()
            _bare_loop(*args, count, problem.args)
            return (time.perf_counter() - began) / (2 * count)

    seconds(2)
    count = int(np.clip(LIMIT_SECONDS / (2 * seconds(5)), 5, LIMIT_COUNT))
    return partial(seconds, count)


@contextmanager
def busy_machine(processes: int) -> Iterator[None]:
    """So many processes beside us that compute without end."""
    spinning = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        time.sleep(0.5)
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()
