"""The Python backend: any callable, given what was passed, its inputs watched."""

import ctypes
import random
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

import fastgrad as fg
from fastgrad.errors import LossError, MutatedInputError, NondeterministicLossError
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.python import PythonEvaluator
from fastgrad.parameters.layout import flatten
from tests.losses import evaluator_of, rosenbrock


def python_evaluator(loss, theta, *args, argnum=0):
    layout, flat = flatten(theta)
    return PythonEvaluator(loss, Inputs(layout, flat, args, argnum))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(1, 4))
def test_both_evaluators_give_the_same_values(n, m, k):
    draw = np.random.default_rng(n + 100 * m + k)
    theta, indices, offsets = draw.normal(size=n), draw.integers(0, n, m), draw.normal(size=(m, k))
    compiled, python = evaluator_of(rosenbrock, theta), python_evaluator(rosenbrock, theta)
    np.testing.assert_array_equal(
        python.coordinates(indices, offsets), compiled.coordinates(indices, offsets)
    )
    v = draw.normal(size=n)
    np.testing.assert_array_equal(python.along(v, offsets[0]), compiled.along(v, offsets[0]))
    assert python.value() == compiled.value()


@dataclass
class Weights:
    W: np.ndarray
    b: float


@pytest.mark.parametrize(
    "theta",
    [{"layer 1": {"lambda": np.ones(2)}, "b": 1.0}, Weights(np.ones(2), 1.0), [np.ones(2), 1.0]],
)
def test_the_loss_gets_what_was_passed(theta):
    seen = []

    def loss(given):
        seen.append(given)
        return 1.0

    python_evaluator(loss, theta).value()
    assert type(seen[0]) is type(theta)
    assert repr(seen[0]) == repr(theta)


def test_a_loss_may_keep_what_it_gets():
    kept = []

    def loss(x):
        kept.append(x)
        return float(x[0])

    python_evaluator(loss, np.zeros(1)).coordinates(np.zeros(3, int), np.array([[1.0], [2], [3]]))
    assert [float(x[0]) for x in kept] == [1.0, 2.0, 3.0]


def test_evaluations_are_what_the_loss_was_called():
    calls = []

    def loss(x):
        calls.append(1)
        return float((x * x).sum())

    run = python_evaluator(loss, np.ones(4))
    made = []
    run.advance = made.append
    run.coordinates(np.arange(4), np.ones((4, 2)))
    assert len(calls) == run.evaluations == sum(made) == 8


def test_an_exception_says_where():
    def loss(x):
        if x[1] > 1.5:
            raise KeyError("missing")
        return 1.0

    run = python_evaluator(loss, np.ones(3))
    assert np.isnan(run.coordinates(np.arange(3), np.ones((3, 1)))).ravel().tolist() == [
        False, True, False,
    ]  # fmt: skip
    assert "KeyError at theta[1] +1: 'missing'" in str(run.outside)
    assert isinstance(run.outside.__cause__, KeyError)
    run = python_evaluator(loss, np.ones(3))
    run.along(np.ones(3), np.array([0.1, 2.0]))
    assert "theta +2 along a direction" in str(run.outside)
    with pytest.raises(LossError, match="at the given parameters"):
        python_evaluator(loss, np.full(3, 2.0)).value()


def test_an_interrupt_is_not_wrapped():
    def loss(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        python_evaluator(loss, np.ones(3)).value()


def test_a_loss_that_writes_to_theta():
    def loss(p):
        p["W"][1] *= 2.0
        return float(p["W"].sum())

    theta = {"W": np.ones(3)}
    with pytest.raises(MutatedInputError, match=r"W\[1\] was 1, became 2"):
        python_evaluator(loss, theta).value()
    np.testing.assert_array_equal(theta["W"], 1)


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        (np.ones(4), "data "),
        (np.ones((4, 4))[::2, ::-2], "data "),
        ({"deep": [np.zeros(1), np.ones(4)]}, r"data\.deep\.1 "),
    ],
)
def test_a_loss_that_writes_to_another_argument(argument, named):
    def loss(scale, x, data):
        while not isinstance(data, np.ndarray):
            data = data["deep"][1]
        data[-1] += scale
        return float(x.sum())

    with pytest.raises(MutatedInputError, match=named):
        fg.grad(loss, argnum=1, backend="python")(1.0, np.ones(2), argument)


@pytest.mark.parametrize("draw", [np.random.random, random.random, lambda: np.random.normal()])
def test_random_numbers_that_nothing_seeds(draw):
    with pytest.raises(NondeterministicLossError, match="seed it inside"):
        fg.grad(lambda x: float((x * x).sum() * draw()), backend="python")(np.ones(2))


LIBC = None if sys.platform == "win32" else ctypes.CDLL(None)


@njit
def drawn_compiled():
    return np.random.random()


@pytest.mark.parametrize(
    "draw",
    [
        drawn_compiled,
        pytest.param(
            lambda: LIBC.rand() / 2**31, marks=pytest.mark.skipif(LIBC is None, reason="by name")
        ),
    ],
    ids=["numba's", "C's"],
)
def test_what_other_generators_draw_is_seen_too(draw):
    """Of compiled code that Python calls, and of C."""
    with pytest.raises(NondeterministicLossError):
        fg.grad(lambda x: float((x * x).sum() * (1.0 + draw())), backend="python")(np.ones(2))


@pytest.mark.skipif(LIBC is None, reason="by name")
def test_what_calls_c_is_repeated_at_the_first_point_alone():
    calls = []

    def loss(x):
        calls.append(x.copy())
        return float((x * x).sum() * LIBC.abs(-3))

    run = python_evaluator(loss, np.ones(2))
    got = run.coordinates(np.arange(2), np.tile([0.5, -0.5], (2, 1)))
    np.testing.assert_allclose(got, [[9.75, 3.75]] * 2)
    assert (run.evaluations, len(calls)) == (4, 5)


def test_random_numbers_with_a_seed_are_a_function():
    def loss(x):
        np.random.seed(0)
        return float((x * x * np.random.random(2)).sum())

    np.random.seed(0)
    expected = 2 * np.random.random(2)
    got = fg.grad(loss, backend="python")(np.ones(2))
    np.testing.assert_allclose(got, expected, rtol=1e-8)


def test_numpy_numbers_and_0d_arrays_are_real_numbers():
    for kind in (float, np.float64, np.float32, np.array):
        got = fg.grad(lambda x, kind=kind: kind((x * x).sum()), backend="python", step=0.25)
        np.testing.assert_allclose(got(np.ones(2)), 2.0)


@pytest.mark.parametrize("kept_as", ["itself", "a view", "a block"])
def test_a_loss_may_keep_what_it_is_given(kept_as):
    """Memory that nobody has kept serves again; what was kept holds the point of its evaluation."""
    kept, theta = [], {"W": np.arange(6.0).reshape(2, 3), "v": np.ones(3)}

    def loss(p):
        if len(kept) % 3 == 0:
            part = {"itself": p, "a view": p["W"][0, :1], "a block": p["v"]}[kept_as]
            kept.append((part, repr(part)))
        else:
            kept.append((None, repr(None)))
        return (p["W"] ** 2).sum() + p["v"].sum()

    got = fg.grad(loss, backend="python")(theta)
    np.testing.assert_allclose(got["W"], 2 * theta["W"], rtol=1e-8)
    assert len(kept) == 18
    assert [said for _, said in kept] == [repr(part) for part, _ in kept]


@pytest.mark.parametrize("keeps", [False, True])
def test_memory_that_nobody_has_kept_serves_again(keeps):
    kept = []

    def loss(x):
        if keeps:
            kept.append(x[:1])
        return (x * x).sum()

    layout, flat = flatten(np.ones(10))
    run = PythonEvaluator(loss, Inputs(layout, flat))
    run.coordinates(np.arange(3), np.ones((3, 1)))
    assert (run._spare is None) is keeps
