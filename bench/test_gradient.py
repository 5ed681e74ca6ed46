"""Table 1: the whole gradient, by size, beside every rival."""

import os
import time

import numba
import numpy as np
import pytest

import fastgrad as fg
from bench.measure import (
    ROUND_SECONDS,
    bare_evaluation,
    busy_machine,
    for_rival,
    measured,
    seconds_of,
)
from bench.problems import BUSY, PROBLEMS, Problem, largest_error
from bench.rivals import RIVALS, Rival

OURS = 2e-6
"""Largest relative error of central differences on these problems; a row above it is a bug."""
THEIRS = 0.1
"""A rival further off was not called as its documentation says."""
SPINNING_SECONDS = 0.15
"""For so long at most OpenBLAS's threads keep a core busy after a rival's last product of matrices."""


def skip_if_long(problem: Problem, quick: bool) -> None:
    if quick and not problem.quick:
        pytest.skip("too long for the quick mode")


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_ours(problem: Problem, benchmark, quick):
    skip_if_long(problem, quick)
    g = fg.grad(problem.loss)
    facts = {"table": "gradient", "problem": problem.name, "tool": "fastgrad", "share": 1.0}
    problem.loss(problem.theta, *problem.args)  # so that the first call compiles our part alone
    limit = None if quick else bare_evaluation(problem)
    got = measured(benchmark, lambda: g(problem.theta, *problem.args), limit, **facts)
    error = largest_error(got, problem.exact)
    benchmark.extra_info.update(error=error, threads=numba.get_num_threads(), n=problem.theta.size)
    assert error < OURS


@pytest.mark.parametrize("rival", RIVALS, ids=lambda r: r.name)
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_rival(problem: Problem, rival: Rival, benchmark, quick):
    skip_if_long(problem, quick)
    if not rival.installed:
        pytest.skip(f"{rival.package} is not installed")
    loss, x = for_rival(problem, rival)
    loss(x)
    facts = {"table": "gradient", "problem": problem.name, "tool": rival.name}
    facts["share"] = x.size / problem.theta.size
    beside = ours_beside(problem, rival, quick)
    got = measured(benchmark, lambda: rival.gradient(loss, x), beside, **facts)
    error = largest_error(got, problem.exact, problem.entries(rival.starts_processes))
    benchmark.extra_info["error"] = error
    assert error < THEIRS


def ours_beside(problem: Problem, rival: Rival, quick: bool):
    """Our time for the same entries, measured before each of the rival's rounds."""
    if quick:
        return None
    entries = problem.entries(rival.starts_processes)
    mask = None if entries is None else np.isin(np.arange(problem.theta.size), entries)
    g = fg.grad(problem.loss, trainable=mask)

    def call():
        return g(problem.theta, *problem.args)

    call()
    inner = max(1, int(ROUND_SECONDS / seconds_of(call)))

    def seconds() -> float:
        if problem.args:
            time.sleep(SPINNING_SECONDS)
        return seconds_of(call, inner)

    return seconds


@pytest.mark.parametrize("tool", ["fastgrad", "scipy 3-point"])
@pytest.mark.parametrize("problem", BUSY, ids=lambda p: p.name)
def test_busy(problem: Problem, tool: str, benchmark, quick):
    if quick:
        pytest.skip("only the time is of interest")
    g = fg.grad(problem.loss)
    rival = next(rival for rival in RIVALS if rival.name == "scipy 3-point")
    loss, x = for_rival(problem, rival)
    facts = {"table": "busy", "problem": problem.name, "tool": tool}

    def call():
        if tool == "fastgrad":
            return g(problem.theta, *problem.args)
        return rival.gradient(loss, x)

    with busy_machine(os.cpu_count() or 1):
        got = measured(benchmark, call, **facts)
    assert largest_error(got, problem.exact) < THEIRS
