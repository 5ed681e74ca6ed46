"""Losses that raise, write to their inputs, or are no functions of them."""

import ctypes
import sys

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import LossError, MutatedInputError, NondeterministicLossError
from fastgrad.evaluate import schedule
from tests.losses import (
    bought,
    by_object_mode,
    evaluator_of,
    log_det,
    picky,
    rosenbrock,
    seeded,
    steps_of,
    unseeded,
)

THREADS = [1, 2, 4]


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("entry", [0, 1, 250, 498, 499])
def test_an_exception_in_any_threads_chunk(threads, entry):
    """numba loses what is raised in a chunk that is not the caller's."""
    theta = np.zeros(500)
    theta[entry] = 0.95
    run = evaluator_of(picky, theta, 1.0, threads=threads)
    values = run.coordinates(*steps_of(run, 0.1))
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [2 * entry])
    assert f"ValueError at theta[{entry}] +0.1: an entry" in str(run.outside)
    assert isinstance(run.outside.__cause__, ValueError)
    assert str(run.outside.__cause__) == "an entry is above the limit"


@pytest.mark.parametrize("threads", THREADS)
def test_the_first_of_many_failures_is_the_one_named(threads):
    run = evaluator_of(picky, np.full(300, 0.95), 1.0, threads=threads)
    assert np.isnan(run.coordinates(*steps_of(run, 0.1))[:, 0]).all()
    assert "theta[0] +0.1" in str(run.outside)


@pytest.mark.parametrize("threads", THREADS)
def test_an_exception_on_a_line(threads):
    run = evaluator_of(picky, np.zeros(5), 1.0, threads=threads)
    values = run.along(np.ones(5), np.array([0.5, 1.5, 2.5]))
    np.testing.assert_array_equal(np.isnan(values), [False, True, True])
    assert "theta +1.5 along a direction" in str(run.outside)
    assert isinstance(run.outside.__cause__, ValueError)


def test_an_exception_at_theta_itself():
    with pytest.raises(LossError, match="at the given parameters"):
        evaluator_of(picky, np.ones(3), 0.5).value()


def test_numbas_linear_algebra_errors():
    with pytest.raises(LossError, match="LinAlgError") as info:
        fg.grad(log_det)(np.ones(3), np.zeros((3, 3)))
    assert isinstance(info.value.__cause__, np.linalg.LinAlgError)


def test_an_exception_in_object_mode_does_not_surface_later():
    with pytest.raises(LossError, match="ZeroDivisionError") as info:
        fg.grad(by_object_mode)(np.ones(3), 0.0)
    assert isinstance(info.value.__cause__, ZeroDivisionError)
    np.testing.assert_allclose(fg.grad(by_object_mode)(np.ones(3), 2.0), np.ones(3), rtol=1e-9)


def test_an_evaluator_is_as_good_as_new_after_a_failure():
    theta = np.full(3, 0.95)
    run = evaluator_of(picky, theta, 1.0)
    assert np.isnan(run.coordinates(*steps_of(run, 0.1))).any()
    got = run.coordinates(*steps_of(run, 0.01))
    expected = [(theta**2).sum() - 0.95**2 + (0.95 + h) ** 2 for h in (0.01, -0.01)]
    np.testing.assert_allclose(got, np.tile(expected, (3, 1)), rtol=1e-15)


@njit
def scales_theta(x):
    x *= 2.0
    return (x * x).sum()


@njit
def negates(x):
    x *= -1.0
    return (x * x).sum()


@njit
def scrubs_the_last(x):
    x[-1] = 0.0
    return (x * x).sum()


@njit
def sorts_its_argument(x, y):
    y.sort()
    return (x * x).sum() + y[0]


@njit
def flips_its_second_argument(x, data):
    data.b[0] = -data.b[0]
    return (x * x).sum()


@njit
def writes_then_raises(x, y):
    y[0] -= 1.0
    if y[0] < 0.0:
        raise ValueError("negative")
    return (x * x).sum()


@pytest.fixture(params=[True, False], ids=["by kernels", "in NumPy"])
def either_way(request):
    with bought(request.param):
        yield


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 100])
@pytest.mark.parametrize("loss", [scales_theta, scrubs_the_last, negates])
@pytest.mark.parametrize("question", ["coordinates", "along", "value"])
def test_a_loss_that_writes_to_theta(loss, n, threads, question):
    theta = np.linspace(1, 2, n)
    run = evaluator_of(loss, theta, threads=threads)
    asked = {
        "coordinates": lambda: run.coordinates(*steps_of(run)),
        "along": lambda: run.along(np.ones(n), np.array([0.1, -0.1])),
        "value": run.value,
    }
    with pytest.raises(MutatedInputError, match=r"its own parameters \(theta\[\d+\] was .*became"):
        asked[question]()
    np.testing.assert_array_equal(theta, np.linspace(1, 2, n))


@njit
def exchanges_two(x):
    x[0], x[1] = x[1], x[0]
    return (x * x).sum()


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("n", [2, 5, 100])
@pytest.mark.parametrize("question", ["coordinates", "along"])
def test_a_loss_that_reorders_theta(n, question):
    run = evaluator_of(exchanges_two, np.linspace(1, 2, n))
    asked = {
        "coordinates": lambda: run.coordinates(*steps_of(run)),
        "along": lambda: run.along(np.linspace(0, 1, n), np.array([0.1, -0.1])),
    }
    with pytest.raises(MutatedInputError, match="its own parameters"):
        asked[question]()


@pytest.mark.parametrize(
    ("loss", "arg", "named"),
    [
        (sorts_its_argument, np.array([3.0, 1.0, 2.0]), "argument y "),
        (sorts_its_argument, np.arange(6.0)[::-2], "argument y "),
        (flips_its_second_argument, {"a": np.ones(2), "b": np.ones(3)}, r"argument data\.b "),
        (writes_then_raises, np.ones(2), "argument y "),
    ],
)
def test_a_loss_that_writes_to_another_argument(loss, arg, named):
    with pytest.raises(MutatedInputError, match=named):
        fg.grad(loss)(np.ones(3), arg)


def test_a_read_only_argument_is_not_looked_at():
    """Nobody can write to it: only by its base does it change here, which the guard does not see."""
    base = np.ones(3)
    y = base.view()
    y.flags.writeable = False
    run = evaluator_of(rosenbrock_with, np.ones(3), y)
    base[0] = 2.0
    assert run.value() == 2.0
    run = evaluator_of(with_blas, np.ones(3), base)  # which is not proved to write nowhere
    base[0] = 3.0
    with pytest.raises(MutatedInputError):
        run.value()


@njit
def with_blas(x, y):
    return rosenbrock(x) + y @ y


@njit
def rosenbrock_with(x, y):
    return rosenbrock(x) + y[0]


def test_random_numbers_that_nothing_seeds():
    with pytest.raises(NondeterministicLossError, match=r"\d+\.\d+, \d+\.\d+.*seed it inside"):
        fg.grad(unseeded)(np.ones(3))


@pytest.mark.skipif(sys.platform == "win32", reason="no C library by name")
def test_what_c_draws_is_seen_too():
    rand = ctypes.CDLL(None).rand
    rand.argtypes, rand.restype = (), ctypes.c_int

    @njit
    def with_c(x):
        return (x * x).sum() * (1.0 + rand() / 2.0**31)

    with pytest.raises(NondeterministicLossError):
        fg.grad(with_c)(np.ones(3))


def test_random_numbers_with_a_seed_are_a_function():
    x = np.linspace(1, 2, 50)
    got = fg.grad(seeded)(x, 7)
    np.random.seed(7)
    kept = np.random.random(50) < 0.5
    np.testing.assert_allclose(got, 2 * kept * x, atol=1e-8)


def test_a_generator_among_the_arguments(monkeypatch):
    @njit
    def noisy(x, rng):
        return (x * x).sum() + rng.normal()

    generator = np.random.default_rng(0)
    before = generator.bit_generator.state
    with pytest.raises(NondeterministicLossError):
        fg.grad(noisy)(np.ones(3), generator)
    assert generator.bit_generator.state == before


def test_nan_is_the_same_as_nan():
    @njit
    def nowhere(x):
        return np.nan * np.random.random()

    run = evaluator_of(nowhere, np.ones(2))
    assert np.isnan(run.value())


def test_a_failure_in_a_later_slab(monkeypatch):
    monkeypatch.setattr(schedule, "SLAB_SECONDS", 1e-9)
    monkeypatch.setattr(schedule, "FIRST_SLAB_SECONDS", 1e-9)
    theta = np.zeros(50)
    theta[33] = 0.95
    run = evaluator_of(picky, theta, 1.0)
    assert np.isnan(run.coordinates(*steps_of(run, 0.1))).sum() == 1
    assert "theta[33] +0.1" in str(run.outside)
    assert run.evaluations == 100
