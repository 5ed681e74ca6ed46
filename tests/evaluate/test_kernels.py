"""The kernels: exact restores, the same bits on any threads and slabs, twins that really differ."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastgrad import models
from fastgrad.evaluate import copies_of_theta, kernels, schedule
from fastgrad.evaluate.traits import names_in
from fastgrad.structured import kernels as structured_kernels
from fastgrad.structured import separable
from tests.losses import (
    bought,
    evaluator_of,
    log_sum_exp,
    log_sum_exp_grad,
    quadratic,
    rosenbrock,
    steps_of,
)

THREADS = [1, 2, 4]
rng = np.random.default_rng(0)


@pytest.fixture(autouse=True, scope="module")
def kernels_at_once():
    """However small a problem is."""
    with bought():
        yield


def naive_coordinates(loss, theta, indices, offsets, *args):
    values = np.empty(offsets.shape)
    for k, i in enumerate(indices):
        for j, offset in enumerate(offsets[k]):
            point = theta.copy()
            point[i] += offset
            values[k, j] = loss(point, *args)
    return values


@pytest.mark.parametrize("threads", THREADS)
def test_coordinates_against_the_obvious_loop(threads):
    theta = rng.normal(size=53)
    run = evaluator_of(rosenbrock, theta, threads=threads)
    indices = rng.integers(0, theta.size, 200)
    offsets = rng.normal(size=(200, 3))
    got = run.coordinates(indices, offsets)
    np.testing.assert_array_equal(got, naive_coordinates(rosenbrock, theta, indices, offsets))
    assert run.evaluations == 600


@pytest.mark.parametrize("threads", THREADS)
def test_along_against_the_obvious_loop(threads):
    theta, v, offsets = rng.normal(size=53), rng.normal(size=53), rng.normal(size=40)
    got = evaluator_of(rosenbrock, theta, threads=threads).along(v, offsets)
    expected = [rosenbrock(theta + t * v) for t in offsets]
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("threads", THREADS)
def test_every_row_equals_theta_bit_for_bit_after_a_launch(threads):
    """numba drops the store that restores a row allocated beside the prange."""
    theta = rng.normal(size=37)
    run = evaluator_of(log_sum_exp, theta, threads=threads)
    for _ in range(3):
        run.along(rng.normal(size=37), np.linspace(-1, 1, 50))
        run.coordinates(*steps_of(run, 0.1))
    assert run.rows.array.shape[0] == threads
    for row in run.rows.array[:, : theta.size]:
        assert row.tobytes() == theta.tobytes()


@pytest.mark.parametrize("threads", THREADS)
def test_a_loss_that_is_not_separable(threads):
    """With the restore lost, entries are wrong by about h f'': 1e-2 here."""
    theta, h = rng.normal(size=300), 2.0**-7
    run = evaluator_of(log_sum_exp, theta, threads=threads)
    values = run.coordinates(*steps_of(run, h))
    got = (values[:, 0] - values[:, 1]) / (2 * h)
    np.testing.assert_allclose(got, log_sum_exp_grad(theta), rtol=3e-5)


def test_rows_are_padded_to_cache_lines():
    for n in (1, 7, 8, 9, 1000):
        theta = rng.normal(size=n)
        copies = copies_of_theta.aligned_rows(3, theta)
        assert copies.shape[1] % kernels.LINE == 0
        assert all(row.__array_interface__["data"][0] % 64 == 0 for row in copies)
        np.testing.assert_array_equal(copies[:, :n], np.tile(theta, (3, 1)))


PROBLEMS = {
    "plain loops": (rosenbrock, rng.normal(size=31)),
    "BLAS, matrix by vector": (quadratic, rng.normal(size=90), rng.normal(size=(90, 90))),
    "BLAS, a net": (
        models.two_layer.loss,
        models.two_layer.init(64, 3, 10),
        models.digits()[0][:40],
        models.digits()[1][:40],
        0.1,
    ),
}


@pytest.fixture(params=PROBLEMS)
def problem(request):
    return PROBLEMS[request.param]


def all_values(problem, threads):
    run = evaluator_of(*problem, threads=threads)
    v = np.linspace(-1, 1, run.theta.size)
    return np.append(
        run.coordinates(*steps_of(run)).ravel(), run.along(v, np.linspace(-1e-3, 1e-3, 33))
    ).tobytes()


def test_the_same_bits_on_any_number_of_threads(problem):
    assert len({all_values(problem, threads) for threads in THREADS}) == 1


@pytest.mark.parametrize("threads", [None, *THREADS])
def test_what_a_line_leaves_behind_is_no_part_of_what_follows(problem, threads):
    run = evaluator_of(*problem, threads=threads)
    v = np.linspace(-1, 1, run.theta.size)
    before = run.coordinates(*steps_of(run))
    line = run.along(v, np.linspace(-1e-3, 1e-3, 33))
    np.testing.assert_array_equal(run.coordinates(*steps_of(run)), before)
    np.testing.assert_array_equal(run.along(v, np.linspace(-1e-3, 1e-3, 33)), line)


@pytest.mark.parametrize("seconds", [1e-9, 1e-4])
def test_the_same_bits_in_slabs_of_any_size(problem, seconds, monkeypatch):
    expected = all_values(problem, None)
    monkeypatch.setattr(schedule, "SLAB_SECONDS", seconds)
    monkeypatch.setattr(schedule, "FIRST_SLAB_SECONDS", seconds / 3)
    assert {all_values(problem, threads) for threads in (1, 2, 3)} == {expected}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 5), st.integers(1, 5))
def test_shapes_and_threads_of_all_kinds(n, m, k, threads):
    draw = np.random.default_rng(n * m * k)
    theta, indices = draw.normal(size=n), draw.integers(0, n, m)
    offsets = draw.normal(size=(m, k))
    run = evaluator_of(rosenbrock, theta, threads=threads)
    got = run.coordinates(indices, offsets)
    np.testing.assert_array_equal(got, naive_coordinates(rosenbrock, theta, indices, offsets))


def test_questions_in_any_memory_order_and_read_only():
    theta, indices = rng.normal(size=10), np.arange(20)[::2] % 10
    offsets = np.asfortranarray(rng.normal(size=(10, 4)))
    offsets.flags.writeable = False
    run = evaluator_of(rosenbrock, theta)
    got = run.coordinates(indices, offsets[:, ::2])
    expected = naive_coordinates(rosenbrock, theta, indices, offsets[:, ::2])
    np.testing.assert_array_equal(got, expected)
    direction = np.arange(20.0)[::-2]
    np.testing.assert_array_equal(
        run.along(direction, offsets[:, 0]), run.along(direction.copy(), offsets[:, 0].copy())
    )


def test_the_parallel_kernels_are_parallel_and_their_twins_are_not():
    """Functions jitted from one share a disk cache entry, whatever the options."""
    run = evaluator_of(rosenbrock, np.ones(5), threads=2)
    serial = evaluator_of(rosenbrock, np.ones(5), threads=1)
    for evaluator in (run, serial):
        evaluator.coordinates(*steps_of(evaluator))
        evaluator.along(np.ones(5), np.ones(2))
    for kernel, expected in [
        (kernels.coordinates_parallel, True),
        (kernels.coordinates_serial, False),
        (kernels.line_parallel, True),
        (kernels.line_serial, False),
    ]:
        (result,) = kernel.overloads.values()
        assert ("numba_parallel_for" in names_in(result.library)) is expected, kernel


def test_kernels_are_compiled_once_whatever_the_loss(problem):
    all_values(problem, 1)
    all_values(problem, 2)
    for name, kernel in vars(kernels).items():
        if name.startswith(("coordinates_", "line_", "checksums")):
            assert len(kernel.signatures) <= 1, name


@pytest.mark.parametrize("nbytes", [0, 1, 7, 8, 9, 31, 32, 33, 40, 1000])
def test_checksums_notice_any_byte(nbytes):
    data = rng.integers(0, 256, nbytes).astype(np.uint8)

    def checksum():
        sums = np.zeros(1, np.uint64)
        address = data.__array_interface__["data"][0]
        kernels.checksums(np.array([[address, nbytes]]), sums)
        return int(sums[0])

    before = checksum()
    for k in range(nbytes):
        data[k] ^= 128
        assert checksum() != before
        data[k] ^= 128
    assert checksum() == before


@pytest.mark.parametrize("size", [2, 1000, 1 << 16, 1 << 17, 1 << 18])
def test_checksums_notice_changes_of_sign_of_equal_numbers(size):
    """Where what each word adds to a sum could cancel."""
    data, sums = np.ones(size), np.zeros(1, np.uint64)
    span = np.array([[data.__array_interface__["data"][0], data.nbytes]])
    kernels.checksums(span, sums)
    seen = {int(sums[0])}
    for factor in (-1.0, 2.0, 0.0):
        data[:] = factor
        kernels.checksums(span, sums)
        seen.add(int(sums[0]))
    assert len(seen) == 4


def test_checksums_notice_shuffles_and_changes_of_sign():
    data = rng.normal(size=1000)

    def checksum():
        sums = np.zeros(1, np.uint64)
        kernels.checksums(np.array([[data.__array_interface__["data"][0], data.nbytes]]), sums)
        return int(sums[0])

    before = checksum()
    for change in (
        data[::-1].copy(),
        np.roll(data, 4),
        -data,
        np.sort(data),
        data[[1, 0, *range(2, 1000)]],
    ):
        kept = data.copy()
        data[:] = change
        assert checksum() != before
        data[:] = kept
    assert checksum() == before


@pytest.fixture
def uncached(monkeypatch):
    """Loads a module anew where numba finds no folder to write to."""
    from numba.core import caching

    def no_locator(*args):
        raise RuntimeError("cannot cache function: no locator available")

    implementation = getattr(caching, "CacheImpl", None) or caching._CacheImpl
    monkeypatch.setattr(implementation, "__init__", no_locator)

    def load(module):
        spec = importlib.util.spec_from_file_location("uncached", module.__file__)
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded

    return load


def test_kernels_work_where_nothing_can_be_cached(uncached):
    """In a container neither the package's folder nor a home folder may be there to write to."""
    theta = rng.normal(size=3)
    out, random = np.empty(3), np.full(3, -(2**14), np.int16)
    uncached(kernels).fill_direction(out, random, np.abs(theta), True, 1.0)
    np.testing.assert_array_equal(out, -np.abs(theta))


def test_those_of_structured_losses_too(uncached):
    assert uncached(structured_kernels).power_of_two(3.0) == 2.0
    point, entries = np.zeros(3), np.arange(3)
    uncached(separable).set_colour(point, entries, np.ones(3), entries, 1)
    np.testing.assert_array_equal(point, [0.0, 1.0, 0.0])
