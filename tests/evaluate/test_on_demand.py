"""What kernels do in NumPy, held against them bit by bit, and when a kernel is worth its price."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.differences import noisy_steps
from fastgrad.evaluate import (
    default_steps,
    directions_in_numpy,
    in_numpy,
    kernels,
    on_demand,
    small_gradient,
)
from fastgrad.evaluate.argument_guard import _samples
from fastgrad.evaluate.default_steps import fill_steps
from fastgrad.evaluate.on_demand import COMPILING_SECONDS, LOADING_SECONDS, OnDemand
from fastgrad.evaluate.units import SETTINGS
from tests.losses import bought, evaluator_of, quadratic, rosenbrock, run_python, steps_of

BLOCKS = 400


def block(rng, size):
    """Entries of one of the kinds that units tell apart."""
    x = rng.normal(size=size) * 10.0 ** rng.integers(-12, 12)
    kind = rng.integers(0, 8)
    if kind == 1:
        x *= 10.0 ** rng.integers(-9, 9, size)
    elif kind == 2:
        x[rng.random(size) < 0.5] = 0.0
    elif kind == 3:
        x[:] = 0.0
    elif kind == 4:
        x *= 1e-300
    elif kind == 5:
        x = rng.normal(size=size) * 1e200
    elif kind == 6:
        x = 2.0 ** rng.integers(-8, 3, size)
    elif kind == 7:
        x = rng.normal(size=size)
    return x


@pytest.mark.parametrize("seed", range(4))
def test_units_are_those_of_the_kernel(seed):
    rng = np.random.default_rng(seed)
    for _ in range(BLOCKS // 4):
        sizes = rng.integers(1, 30, rng.integers(1, 5))
        theta = np.concatenate([block(rng, size) for size in sizes])
        answers = []
        for fill in (kernels.fill_units, in_numpy.fill_units):
            units, one_unit = np.empty(theta.size), np.zeros(sizes.size, np.bool_)
            fill(units, theta, np.cumsum(sizes), one_unit, SETTINGS)
            answers.append((units.tobytes(), one_unit.tobytes()))
        assert answers[0] == answers[1], theta


@pytest.mark.parametrize("order", [1, 2, 4])
def test_steps_are_those_of_the_kernel(order):
    """Among blocks about offsets near and far, and entries by themselves."""
    rng = np.random.default_rng(order)
    hedged = 0
    for _ in range(BLOCKS // 4):
        sizes = rng.integers(1, 30, rng.integers(1, 5))
        theta = np.concatenate([block(rng, size) for size in sizes])
        theta += 10.0 ** rng.uniform(-2, 12) * (rng.random() < 0.5)
        stops, one_unit = np.cumsum(sizes), np.empty(sizes.size, np.bool_)
        units = np.empty(theta.size)
        in_numpy.fill_units(units, theta, stops, one_unit, SETTINGS)
        got, expected = units.copy(), units.copy()
        fill_steps(got, theta, stops, one_unit, 0.5, order)
        kernels.fill_steps(expected, theta, stops, one_unit, 0.5, order)
        np.testing.assert_array_equal(got, expected)
        hedged += (got != 0.5 * units).any()
    assert hedged > BLOCKS // 40


@pytest.mark.parametrize("nbytes", [0, 1, 7, 8, 9, 31, 1000, (1 << 19) + 3, (1 << 20) + 13])
def test_checksums_are_those_of_the_kernel(nbytes):
    data = np.random.default_rng(nbytes).integers(0, 256, nbytes + 1).astype(np.uint8)[1:]
    spans = np.array([[data.__array_interface__["data"][0], nbytes]] * 2)
    sums = np.zeros((2, 2), np.uint64)
    kernels.checksums(spans, sums[0])
    in_numpy.checksums(spans, sums[1])
    assert (sums == sums[0, 0]).all()


@pytest.mark.parametrize("first", [0, 3, 8])
def test_checksums_of_samples_are_those_of_the_kernel(first):
    """Of two arrays at once, which start anywhere; what lies between spans is not read."""
    memory = np.random.default_rng(first).integers(0, 256, 1 << 20).astype(np.uint8)
    other = memory[::-1].copy()
    spans = np.concatenate([_samples(memory[first:]), _samples(other)])
    sums = np.zeros((2, len(spans)), np.uint64)
    kernels.checksums(spans, sums[0])
    in_numpy.checksums(spans, sums[1])
    np.testing.assert_array_equal(*sums)
    assert np.unique(sums[0]).size == len(spans)


@pytest.mark.parametrize("exact", [False, True])
def test_directions_are_those_of_the_kernel(exact):
    rng = np.random.default_rng(0)
    random = rng.integers(-(2**15), 2**15, 5000).astype(np.int16)
    units, outs = 2.0 ** rng.integers(-9, 9, 5000), np.empty((2, 5000))
    for fill, out in zip(
        (kernels.fill_direction, directions_in_numpy.fill_direction), outs, strict=True
    ):
        fill(out, random, units, exact, 0.96)
    assert outs[0].tobytes() == outs[1].tobytes()


def test_constants_are_those_of_the_kernels():
    shared = {
        in_numpy: ("WROTE", "LINE", "LEAST_UNIT", "MOST_UNIT"),
        default_steps: ("SMALLER", "SMALL", "OF_NEAR_ONE", "NARROW"),
        noisy_steps: ("PLACES", "NOISY", "SAME_NOISE", "LONGEST_EXPONENT"),
    }
    for module, names in shared.items():
        for name in names:
            assert getattr(kernels, name) == getattr(module, name)


@pytest.mark.parametrize("problem", [(rosenbrock, 31), (quadratic, 40, 40)])
def test_values_are_those_of_the_kernels(problem, monkeypatch):
    rng = np.random.default_rng(1)
    loss, n, *more = problem
    args = [rng.normal(size=(n, k)) for k in more]
    theta, direction = rng.normal(size=n), rng.normal(size=n)
    indices, offsets = rng.integers(0, n, 20), rng.normal(size=(20, 3))
    answers = []
    for owned in (False, True):
        with bought(owned):
            run = evaluator_of(loss, theta, *args, threads=1)
            values = run.coordinates(indices, offsets), run.along(direction, offsets[:, 0])
            answers.append([v.tobytes() for v in values])
            assert run.evaluations == 80
    assert answers[0] == answers[1]


def test_a_kernel_is_rented_until_the_rent_is_its_price():
    made = OnDemand("checksums", lambda *_: "rented", lambda seconds: seconds)
    made._cached = False
    half = COMPILING_SECONDS / 2
    assert not made.pays(0.9 * COMPILING_SECONDS)
    assert [made(0.9 * half), made(0.9 * half)] == ["rented"] * 2
    assert made.pays(0.2 * half)
    assert not made.pays(0.1 * half)
    made._cached = True
    assert made.pays(LOADING_SECONDS)


def test_a_gradient_that_is_called_in_a_loop_is_compiled_for_it(monkeypatch):
    """After a thousand calls, where it is in no cache; before, each asks for its entries."""
    x = np.ones(3)
    with bought(False):
        monkeypatch.setattr(on_demand.central_gradient, "paid", 0.0)
        g = fg.grad(rosenbrock)
        calls = round(on_demand.IN_A_LOOP_SECONDS / (2 * small_gradient.LONGER_SECONDS))
        for _ in range(calls - 20):
            g(x)
        assert not on_demand.central_gradient.owned
        for _ in range(40):
            g(x)
        assert on_demand.central_gradient.owned


def test_what_is_in_no_cache_is_not_ready():
    class Uncached:
        overloads = ()
        _cache = None

    assert not on_demand.is_ready(Uncached())
    with bought(True):
        run = evaluator_of(rosenbrock, np.ones(5), threads=1)
        run.coordinates(*steps_of(run))
    assert on_demand.is_ready(kernels.coordinates_serial)


def test_an_index_that_was_cut_off_is_looked_at_by_who_mends_it(monkeypatch):
    """`disk_cache` has the kernel compiled afresh, and says so."""

    def cut_off():
        raise EOFError

    with bought(True):
        run = evaluator_of(rosenbrock, np.ones(5), threads=1)
        run.coordinates(*steps_of(run))
    monkeypatch.setattr(kernels.coordinates_serial, "overloads", {})
    monkeypatch.setattr(kernels.coordinates_serial._cache._cache_file, "_load_index", cut_off)
    assert on_demand.is_ready(kernels.coordinates_serial)
    made = OnDemand("coordinates_serial")
    made.kernel()
    assert "load_overload" in vars(kernels.coordinates_serial._cache)


FIRST = """
import numpy as np
from numba import njit
from numba.core import event
import fastgrad as fg

compiled = []

class Seen(event.Listener):
    def on_start(self, event): compiled.append(event.data["dispatcher"].py_func.__name__)
    def on_end(self, event): pass

@njit
def loss(w, y):
    return np.log1p(np.exp(-y * w)).mean() + 0.01 * (w * w).sum()

w, y = np.linspace(-1, 1, 50), np.linspace(2, 3, 50)
loss(w, y)
event.register("numba:compile", Seen())
gradient = lambda w, y: -y / (1 + np.exp(y * w)) / 50 + 0.02 * w
assert fg.check_grad(loss, gradient, w, y).strategy == "sweep"
assert not fg.check_grad(loss, lambda w, y: 1.1 * gradient(w, y), w, y)
fg.grad(loss)(w, y)
print(sorted(set(compiled)))
"""


def test_a_first_check_where_nothing_was_compiled_compiles_no_kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert "_" not in run_python(FIRST).replace("own_arguments", "")  # names of kernels have one


WITHOUT_NUMBA = """
import importlib.abc, sys

class Refused(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise ImportError(name)

sys.meta_path.insert(0, Refused())
import fastgrad as fg
assert "numpy" not in sys.modules
import numpy as np

def loss(p, y):
    return ((p["W"] @ p["v"] - y) ** 2).sum()

def gradient(p, y):
    r = 2 * (p["W"] @ p["v"] - y)
    return {"W": np.outer(r, p["v"]), "v": p["W"].T @ r}

rng = np.random.default_rng(0)
p, y = {"W": rng.normal(size=(5, 4)), "v": rng.normal(size=4)}, rng.normal(size=5)
wrong = lambda p, y: {"W": gradient(p, y)["W"], "v": 0.5 * gradient(p, y)["v"]}
by_python = {"backend": "python"}
for strategy in ("sweep", "screen"):
    assert fg.check_grad(loss, gradient, p, y, strategy=strategy, **by_python)
    assert not fg.check_grad(loss, wrong, p, y, strategy=strategy, **by_python)
found = fg.grad(loss, **by_python)(p, y)
fg.grad(loss, **by_python).estimate(p, y)
assert np.allclose(found["W"], gradient(p, y)["W"], atol=1e-6)
A, x = rng.normal(size=(3, 3)), rng.normal(size=3)
assert fg.check_vjp(lambda x: A @ x, lambda c, x: A.T @ c, x, **by_python)
assert fg.check_jacobian(lambda x: A @ x, lambda x: A, x, **by_python)
assert fg.check_hessian(lambda x: x @ A @ x, lambda x: A + A.T, x, **by_python)
"""


def test_losses_in_python_need_no_numba():
    run_python(WITHOUT_NUMBA)


NOWHERE = """
import numpy as np
from numba import njit
from numba.core import caching
caching.CacheImpl._locator_classes = []
import fastgrad as fg
from fastgrad.evaluate import kernels, on_demand

assert not on_demand.is_ready(kernels.checksums)
loss = njit(lambda w, y: ((w - y) ** 2).sum())
for _ in range(2):
    assert fg.check_grad(loss, lambda w, y: 2 * (w - y), np.ones(3), np.zeros(3))
on_demand.checksums.paid = 2 * on_demand.COMPILING_SECONDS
assert fg.check_grad(loss, lambda w, y: 2 * (w - y), np.ones(3), np.zeros(3))
assert kernels.checksums.signatures
"""


def test_where_nothing_can_be_kept_nothing_fails_and_nothing_is_said():
    """No home folder, or one that cannot be written to; warnings are errors."""
    assert run_python(NOWHERE) == ""
