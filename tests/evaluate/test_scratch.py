"""Scratch buffers among the arguments: recognised, or named; each thread has its own."""

import warnings

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import MutatedInputError, NondeterministicLossError
from tests.losses import evaluator_of, steps_of

RESIDUALS = np.random.default_rng(0).normal(size=500)
P = np.array([0.1, 0.2, 0.7])


def garch(p, resids, sigma2):
    """The recursion as it is usually written: the variances go to a buffer of the caller's."""
    sigma2[0] = p[0] / (1 - p[1] - p[2] + 0.5)
    for t in range(1, resids.size):
        sigma2[t] = p[0] + p[1] * resids[t - 1] ** 2 + p[2] * sigma2[t - 1]
    return (np.log(sigma2) + resids**2 / sigma2).sum()


def matrix_buffer(x, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = x[i % x.size] * x[j % x.size]
    return out.sum()


def sorted_in_place(x, order, work):
    for i in range(x.size):
        order[i] = i
        work[i] = x[i]
    total = 0.0
    for i in range(x.size):
        total += work[order[i]] ** 2 * (i + 1)
    return total


def accumulates(x, total):
    total[0] += (x * x).sum()
    return total[0]


def reads_the_first(x, out):
    for i in range(1, out.size):
        out[i] = out[i - 1] * x[0]
    return out[-1]


def counts_calls(x, calls):
    calls[0] += 1
    return (x * x).sum()


SCRATCH = {
    "garch": (garch, P, (RESIDUALS, np.zeros(500)), ("sigma2",)),
    "matrix": (matrix_buffer, P, (np.zeros((4, 5)),), ("out",)),
    "integers": (
        sorted_in_place, np.linspace(1, 2, 6), (np.zeros(6, np.int64), np.zeros(6)), ("order", "work"),
    ),
}  # fmt: skip
READ = {"accumulates": (accumulates, (np.zeros(1),)), "the first": (reads_the_first, (np.ones(5),))}


def naive(loss, theta, args, h=2.0**-17):
    gradient = np.zeros(theta.size)
    for i in range(theta.size):
        for sign in (1, -1):
            point = theta.copy()
            point[i] += sign * h
            gradient[i] += sign * loss(point, *args) / (2 * h)
    return gradient


@pytest.mark.parametrize("backend", ["compiled", "python"])
@pytest.mark.parametrize("name", SCRATCH)
def test_what_is_overwritten_is_recognised(name, backend):
    loss, theta, args, names = SCRATCH[name]
    loss = njit(loss) if backend == "compiled" else loss
    expected = naive(SCRATCH[name][0], theta, tuple(a.copy() for a in args))
    got = fg.grad(loss, backend=backend)(theta, *args)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    report = fg.check_grad(loss, lambda *_: expected, theta, *args, backend=backend)
    assert report.verdict != "disagrees"
    (said,) = [remark for remark in report.remarks if "overwrites" in remark]
    assert names[-1] in said  # an array that already holds what is written to it does not show


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_each_thread_has_its_own(threads):
    loss = njit(garch)
    args = RESIDUALS, np.full(500, 7.0)
    evaluator_of(loss, P, *args).value()  # recognised
    args[1][:] = 7.0
    run = evaluator_of(loss, P, *args, threads=threads)
    got = run.coordinates(
        *(np.tile(part, (40, 1) if part.ndim > 1 else 40) for part in steps_of(run))
    )
    alone = evaluator_of(loss, P, *args, threads=1).coordinates(*steps_of(run))
    np.testing.assert_array_equal(got, np.tile(alone, (40, 1)))
    np.testing.assert_array_equal(args[1], 7.0)
    assert not run.compiled.races
    if threads > 1:
        assert run.rows.array.shape[0] == len(run.rows.own) == threads


@pytest.mark.parametrize("backend", ["compiled", "python"])
@pytest.mark.parametrize("name", READ)
def test_what_is_read_first_is_refused_with_a_way_out(name, backend):
    loss, args = READ[name]
    with pytest.raises(MutatedInputError, match="scratch="):
        fg.grad(njit(loss) if backend == "compiled" else loss, backend=backend)(P, *args)


@pytest.mark.parametrize("backend", ["compiled", "python"])
def test_it_can_be_said_outright(backend):
    loss = njit(counts_calls) if backend == "compiled" else counts_calls
    calls = np.zeros(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for scratch in ("calls", 1, ["calls"]):
            got = fg.grad(loss, scratch=scratch, backend=backend)(P, calls)
            np.testing.assert_allclose(got, 2 * P, rtol=1e-8)
            assert fg.check_grad(loss, 2 * P, P, calls, scratch=scratch, backend=backend)
    assert calls[0] == 0


def test_what_is_called_scratch_and_is_read_gives_itself_away():
    with pytest.raises(NondeterministicLossError):
        fg.grad(njit(accumulates), scratch="total")(P, np.zeros(1))


@pytest.mark.parametrize("scratch", ["sigma", 0, 3])
def test_a_name_that_is_none_of_its_arguments(scratch):
    with pytest.raises(
        ValueError, match=r"expected one of the other arguments of garch \(resids, sigma2\)"
    ):
        fg.grad(njit(garch), scratch=scratch)(P, RESIDUALS, np.zeros(500))


def test_a_bound_gradient_with_scratch():
    loss = njit(garch)
    g = fg.grad(loss).bind(RESIDUALS, np.zeros(500))
    expected = fg.grad(loss)(P, RESIDUALS, np.zeros(500))
    for _ in range(3):
        np.testing.assert_array_equal(g(P), expected)
