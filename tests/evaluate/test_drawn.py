"""Directions that are not written out, beside the same ones written out, bit by bit."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.differences import directions as directions_module
from fastgrad.differences import signs as signs_module
from fastgrad.differences.directions import UNIT_VARIANCE, WRITTEN_OUT, Directions, Part
from fastgrad.differences.signs import signs_of, signs_through
from fastgrad.evaluate import directions_in_numpy, kernels, on_demand
from fastgrad.evaluate.drawn_directions import Drawn
from tests.losses import evaluator_of

N = WRITTEN_OUT + 12_345
"""More than two chunks, and no multiple of the lanes."""


@pytest.fixture
def units():
    return 2.0 ** np.random.default_rng(0).integers(-900, 901, N)


def obvious(units, mask, seed, parts):
    """The same from the generator's words, entry by entry."""
    v = np.zeros(units.size)
    for stream, start, stop, share in parts:
        words = np.random.Philox(key=[seed, stream]).random_raw((stop - start + 3) // 4)
        u = words.view(np.int16)[: stop - start] / 2.0**15
        sizes = UNIT_VARIANCE * (0.5 + np.abs(u))
        v[start:stop] = np.where(u < 0, -sizes, sizes) * units[start:stop] * share
    return v if mask is None else np.where(mask, v, 0.0)


PARTS = (
    [Part(7, 0, N)],
    [Part(1, 3, 70_001), Part(2, 70_001, 70_002, 4.0), Part(3, 100_000, N - 1, 0.25)],
)


@pytest.mark.parametrize("parts", PARTS, ids=["everything", "three parts"])
@pytest.mark.parametrize("masked", [False, True])
def test_entries_are_those_of_the_obvious_loop(parts, masked, units):
    mask = np.random.default_rng(1).random(N) < 0.9 if masked else None
    drawn = Directions(units, mask, 5).through(parts)
    assert isinstance(drawn, Drawn)
    np.testing.assert_array_equal(drawn.array, obvious(units, mask, 5, parts))


def test_they_are_the_directions_that_are_written_out(units):
    mask = np.random.default_rng(1).random(N) < 0.9
    a = np.random.default_rng(2).normal(size=N)
    a[:3] = 0.0, -0.0, np.nan
    directions = Directions(units, mask, 3)
    everything = [Part(0, 0, N)]
    for drawn, written in (
        (directions.along(4), directions.draw(4)),
        (directions.along(4, exact=True), directions.draw(4, exact=True)),
        (directions.through([Part(4, 17, 99)]), directions.draw(4, 17, 99)),
        (signs_through(directions, a, everything), signs_of(directions, a)),
        (signs_through(directions, a, [Part(0, 9, 99)]), signs_of(directions, a, 9, 99)),
    ):
        assert drawn.array.tobytes() == written.tobytes()


def test_few_entries_are_written_out():
    directions = Directions(np.ones(100), None, 0)
    parts = [Part(1, 0, 10, 2.0), Part(2, 20, 100)]
    np.testing.assert_array_equal(directions.through(parts), obvious(np.ones(100), None, 0, parts))
    np.testing.assert_array_equal(directions.along(1), directions.draw(1))
    np.testing.assert_array_equal(directions.along(1, exact=True), directions.draw(1, exact=True))


@njit
def spread(x, c):
    """Every entry counts, by its own weight; -0.0 and 0.0 differ."""
    total = 0.0
    for i in range(x.size):
        total += np.copysign(1.0 + (i % 17) * abs(x[i]), x[i])
    return c * total


@pytest.mark.parametrize("kind", ["random", "parts", "exact", "signs"])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_points_along_them_have_the_same_bits_on_any_number_of_threads(threads, kind, monkeypatch):
    rng = np.random.default_rng(0)
    theta = rng.normal(size=N)
    theta[::5] = -0.0
    directions = Directions(2.0 ** rng.integers(-9, 9, N), rng.random(N) < 0.9, 1)
    drawn = {
        "random": directions.along(1),
        "parts": directions.through(PARTS[1]),
        "exact": directions.along(2, exact=True),
        "signs": signs_through(directions, theta, [Part(0, 5, N - 5, 2.0)]),
    }[kind]
    offsets = np.array([0.0, 2.0**-20, -(2.0**-20), 0.1, -0.1])
    naive = np.array([spread(theta + h * drawn.array, 2.0) for h in offsets])
    for kernel in (on_demand.line_serial, on_demand.line_parallel):
        for owned in (False, True):
            monkeypatch.setattr(kernel, "owned", owned)
            run = evaluator_of(spread, theta, 2.0, threads=threads)
            np.testing.assert_array_equal(run.along(drawn.array, offsets), naive)
            np.testing.assert_array_equal(run.along_drawn(drawn, offsets), naive)


@pytest.mark.parametrize("exact", [False, True])
def test_sums_of_products_are_those_of_the_kernel_and_right(exact, units):
    rng = np.random.default_rng(3)
    values = rng.normal(size=N) / units
    directions = Directions(units, rng.random(N) < 0.9, 2)
    whole = directions.along(1, exact)
    for drawn in (whole, directions.through(PARTS[1])):
        sums = np.full((3, -(-N // kernels.CHUNK), 2), np.nan)
        kernels.project(values, drawn.way, sums[0])
        directions_in_numpy.project(values, drawn.way, sums[1])
        directions_in_numpy.project_written_out(values, drawn.array, sums[2])
        np.testing.assert_array_equal(sums[0], sums[1])
        np.testing.assert_array_equal(sums[0], sums[2])
        products = (drawn.array * values).astype(np.longdouble)
        total, squares = drawn.dot(values)
        assert total == pytest.approx(float(products.sum()), abs=1e-12 * N**0.5)
        assert squares == pytest.approx(float((products**2).sum()), rel=1e-14)


@njit
def waves(x, c):
    total = 0.0
    for i in range(x.size):
        total += np.cos(c * x[i])
    return total / x.size


def waves_in_python(x, c):
    return float(np.mean(np.cos(c * x)))


BOUNDED = {"bounds": (-2.0, None)}


@pytest.mark.parametrize(
    ("loss", "options", "fault"),
    [(waves, {}, 0.0), (waves, {}, 1e-3), (waves_in_python, BOUNDED, 0.0)],
    ids=["right", "one wrong", "bounded, in Python"],
)
def test_a_screen_says_the_same_either_way(loss, options, fault, monkeypatch):
    x = np.maximum(np.random.default_rng(0).normal(size=N), -2.0)
    gradient = -1.5 * np.sin(1.5 * x) / N
    gradient[N // 3] += fault
    options = options | {"strategy": "screen", "budget": None}
    options["backend"] = "python" if loss is waves_in_python else "auto"
    reports = []
    for many in (WRITTEN_OUT, 2 * N):
        monkeypatch.setattr(directions_module, "WRITTEN_OUT", many)
        monkeypatch.setattr(signs_module, "WRITTEN_OUT", many)
        reports.append(fg.check_grad(loss, gradient, x, 1.5, **options))
    drawn, written = reports
    assert drawn.verdict == written.verdict == ("disagrees" if fault else "agrees")
    assert drawn.evaluations == written.evaluations
    assert [e.name for e in drawn.entries] == [e.name for e in written.entries]
    assert drawn.readings
    for (through, y, bar), (same, other, its) in zip(drawn.readings, written.readings, strict=True):
        assert through == same
        assert y == pytest.approx(other, abs=1e-2 * its)
        assert bar == pytest.approx(its, rel=1e-9)
