"""What is read of large arguments, to see that a loss left them alone."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import MutatedInputError
from fastgrad.evaluate import argument_guard, writes
from fastgrad.evaluate.argument_guard import (
    BYTES_A_SECOND,
    READINGS,
    SAMPLES,
    WHOLE_BYTES,
    ArgumentGuard,
)
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.python import PythonEvaluator
from fastgrad.evaluate.writes import WHOLE_SECONDS
from fastgrad.parameters.layout import flatten
from tests.losses import evaluator_of

LARGE = np.zeros(4 * WHOLE_BYTES // 8)


def guard_of(array, sampled=True):
    return ArgumentGuard((array,), lambda k: f"argument {k}", sampled=sampled)


def test_small_arrays_and_first_guards_are_read_whole():
    small = np.zeros(WHOLE_BYTES // 8)
    for array, sampled in ((small, True), (LARGE.copy(), False)):
        guard = guard_of(array, sampled)
        assert guard.left_out == 0
        array[-1] = 1.0
        assert not guard.unchanged()
        assert guard.changed() == [0]


@pytest.mark.parametrize("part", [0.02, 0.1, 0.5])
def test_samples_miss_a_write_as_seldom_as_is_said(part):
    """200 guards of an array that is then written to in one stretch; and nowhere: no false alarm."""
    array = LARGE.copy()
    missed = 0
    rng = np.random.default_rng(0)
    for _ in range(200):
        guard = guard_of(array)
        assert guard.unchanged()
        start = rng.integers(0, int((1 - part) * array.size))
        array[start : start + int(part * array.size)] += 1.0
        missed += guard.unchanged()
    assert missed <= 200 * (1 - part) ** SAMPLES + 4


def test_most_of_a_large_array_is_left_out_and_other_places_are_looked_at():
    guards = [guard_of(LARGE) for _ in range(2)]
    assert all(guard.left_out > 0.9 * LARGE.nbytes for guard in guards)
    assert not np.array_equal(guards[0]._spans, guards[1]._spans)


@njit
def by_blas(x, A):
    """Nothing is proved of arguments of BLAS."""
    if x[0] > 2.0:
        A[:] += 1.0
    return (1.0 + A[0] @ A[1]) * x.sum()


def test_the_first_evaluation_is_watched_whole_and_later_ones_by_samples():
    A = np.zeros((512, 512))
    run = evaluator_of(by_blas, np.ones(2), A)
    assert run.writes.guard.left_out == 0
    run.value()
    assert evaluator_of(by_blas, np.ones(2), A).writes.guard.left_out > 0
    g = fg.grad(by_blas)
    g(np.ones(2), A), g(np.ones(2), A)
    with pytest.raises(MutatedInputError, match="argument A"):
        g(np.full(2, 3.0), A)


def test_where_evaluations_cost_more_all_is_read():
    A = np.zeros((512, 512))
    evaluator_of(by_blas, np.ones(2), A).value()
    run = evaluator_of(by_blas, np.ones(2), A)
    run.cost.seconds = 1.0
    run.value()
    assert run.writes.guard.left_out == 0


def test_what_costs_less_than_evaluations_is_all_read_every_second(monkeypatch):
    """And samples in between; what its user writes between two calls is no fault of the loss."""
    A = np.zeros((512, 512))
    run = evaluator_of(by_blas, np.ones(2), A)
    run.value()
    run.cost.seconds = 2 * READINGS * A.nbytes / BYTES_A_SECOND
    run.compiled.read_whole = 0.0
    clock = [run.compiled.read_whole + 100.0]
    monkeypatch.setattr(writes.time, "perf_counter", lambda: clock[0])
    whole = []
    for _ in range(5):
        A[7] += 1.0
        run = run.at(np.ones(2))
        run.writes.look(run.cost.seconds)
        whole.append(run.writes.guard.left_out == 0)
        assert run.writes.guard.unchanged()
        A[:] += 1.0
        assert not run.writes.guard.unchanged()
        clock[0] += 0.4 * WHOLE_SECONDS
    assert whole == [True, False, False, True, False]


def test_what_is_only_read_is_not_read_again():
    @njit
    def rows(x, A):
        return (A[3] * x[0]).sum()

    assert evaluator_of(rows, np.ones(2), np.ones((4, 4))).writes.guard is None


def test_so_it_is_in_python(monkeypatch):
    monkeypatch.setattr(argument_guard, "READINGS", 1e6)  # no evaluation costs as much
    A = np.zeros((512, 512))

    def loss(x, A):
        if x[0] > 2.0:
            A[:] += 1.0
        return float((1.0 + A[0] @ A[1]) * x.sum())

    run = python_evaluator_of(loss, np.ones(2), A)
    assert run._guard.left_out == 0
    run.value()
    assert run._guard.left_out > 0
    monkeypatch.setattr(argument_guard, "READINGS", 0.0)
    run.value()
    assert run._guard.left_out == 0
    assert python_evaluator_of(loss, np.ones(2), A)._guard.left_out > 0
    g = fg.grad(loss, backend="python")
    np.testing.assert_allclose(g(np.ones(2), A), 1.0)
    with pytest.raises(MutatedInputError, match="argument A"):
        g(np.full(2, 3.0), A)


def test_two_changes_of_sign_are_seen_in_python():
    def flips(x, data):
        data[0] = -data[0]
        return float((x * x).sum())

    with pytest.raises(MutatedInputError, match="its argument data"):
        fg.grad(flips, backend="python")(np.ones(2), np.ones(3))


def python_evaluator_of(loss, theta, *args):
    layout, flat = flatten(theta, "theta")
    return PythonEvaluator(loss, Inputs(layout, flat, args))


def unproved(x, A):
    """The product is BLAS's, of which nothing is proved."""
    return ((A[:3] @ x) ** 2).sum()


@pytest.mark.parametrize("bound", [True, False])
def test_every_call_looks_at_other_samples_of_a_large_argument(bound, monkeypatch):
    seen = []
    real = ArgumentGuard._checksums

    def spy(self):
        seen.append(self._spans.tobytes())
        return real(self)

    A, x = np.ones((20_000, 3)), np.ones(3)
    monkeypatch.setattr(ArgumentGuard, "_checksums", spy)
    g = fg.grad(unproved, backend="compiled")
    call = g.bind(A) if bound else lambda x: g(x, A)
    for _ in range(12):
        np.testing.assert_allclose(call(x), 18.0 * np.ones(3), rtol=1e-8)
    assert len(set(seen)) >= 10
    assert len(seen[-1]) == 16 * SAMPLES
