"""A user's loss behind the kernels' one signature: arguments and signatures of all kinds."""

import collections
import gc
import importlib
import inspect
import re
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba import cfunc, njit, objmode, typed
from numba.experimental import jitclass

import fastgrad as fg
from fastgrad.errors import LossCompilationError
from fastgrad.evaluate import kernels
from fastgrad.evaluate.traits import names_in, traits_of
from tests.losses import (
    by_object_mode,
    calls_parallel,
    evaluator_of,
    log_det,
    parallel_squares,
    quadratic,
    rosenbrock,
    run_python,
    seeded,
    steps_of,
    unseeded,
)

X = np.array([1.0, 2.0, 3.0])
M = np.arange(12.0).reshape(4, 3)


class Scale(NamedTuple):
    a: float
    b: np.ndarray


@dataclass
class Settings:
    a: float
    b: np.ndarray


@njit
def by_rows(x, A):
    """Slope in x: sums of the columns of A times 2 x."""
    total = 0.0
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            total += A[i, j] * x[j] ** 2
    return total


def aligned_at_odd_bytes(array):
    """A copy that does not start on a multiple of 8."""
    memory = np.empty(array.nbytes + 8, np.uint8)
    start = 4 - memory.__array_interface__["data"][0] % 4 + 1
    view = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    view[:] = array
    return view


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


MATRICES = {
    "C order": M,
    "F order": np.asfortranarray(M),
    "transposed": M.T.copy().T,
    "strided": np.repeat(np.repeat(M, 2, 0), 2, 1)[::2, ::2],
    "negative strides": M[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": read_only(M),
    "read-only F order": read_only(np.asfortranarray(M)),
    "a broadcast": np.broadcast_to(M[1], (4, 3)),
    "big-endian": M.astype(">f8"),
    "float32": M.astype(np.float32),
    "int": M.astype(np.int64),
    "int8": M.astype(np.int8),
    "bool": M > 3,
    "a list of lists": M.tolist(),
    "misaligned": aligned_at_odd_bytes(M),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_arrays_of_all_kinds_work_and_stay_as_they_are(kind):
    A = MATRICES[kind]
    before = np.array(A)
    got = fg.grad(by_rows)(X, A)
    np.testing.assert_allclose(got, 2 * np.sum(before, axis=0) * X, rtol=1e-9, atol=1e-8)
    np.testing.assert_array_equal(A, before)


THETAS = {
    "contiguous": X,
    "read-only": read_only(X),
    "strided": np.repeat(X, 2)[::2],
    "negative strides": X[::-1].copy()[::-1],
    "big-endian": X.astype(">f8"),
    "float32": X.astype(np.float32),
    "int": X.astype(np.int32),
    "a list": [1.0, 2, 3],
    "misaligned": aligned_at_odd_bytes(X),
}


@pytest.mark.parametrize("backend", ["auto", "python"])
@pytest.mark.parametrize("kind", THETAS)
def test_thetas_of_all_kinds_work_and_stay_as_they_are(kind, backend):
    theta = THETAS[kind]
    before = np.array(theta)
    got = fg.grad(by_rows, backend=backend)(theta, M)
    np.testing.assert_allclose(got, 2 * M.sum(axis=0) * X, rtol=1e-6)
    np.testing.assert_array_equal(theta, before)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_as_theta_in_any_order(order):
    theta = np.asarray(M, order=order)
    got = fg.grad(lambda W: (W[1] ** 3).sum())(theta)
    expected = np.zeros((4, 3))
    expected[1] = 3 * M[1] ** 2
    np.testing.assert_allclose(got, expected, rtol=1e-8)


TYPED = typed.Dict.empty(numba.types.unicode_type, numba.types.float64)
TYPED["k"] = 3.0


@jitclass([("k", numba.float64)])
class Weight:
    def __init__(self, k):
        self.k = k

    def weigh(self, value):
        return self.k * value


ARGUMENTS = {
    "string": (lambda x, a: (x * x).sum() * (3.0 if a == "three" else 1.0), "three", 3),
    "bool": (lambda x, a: (x * x).sum() * (3.0 if a else 1.0), True, 3),
    "None": (lambda x, a: (x * x).sum() * (3.0 if a is None else 1.0), None, 3),
    "int": (lambda x, a: (x * x).sum() * a, 3, 3),
    "numpy scalar": (lambda x, a: (x * x).sum() * a, np.float32(3), 3),
    "tuple of ints": (lambda x, a: (x * x).sum() * a[0] * len(a), (1, 2, 3), 3),
    "mixed tuple": (lambda x, a: (x * x).sum() * a[1][0] * len(a[0]), ("ab", (1.5,)), 3),
    "tuple of arrays": (lambda x, a: (x * x).sum() * a[1].sum(), (X, np.ones(3)), 3),
    "nested list": (lambda x, a: (x * x).sum() * a[1].sum(), [[1], [1, 2]], 3),
    "list of strings": (lambda x, a: (x * x).sum() * len(a), ["a", "b", "c"], 3),
    "dict": (lambda x, a: (x * x).sum() * a.a * a.b[0], {"a": 3.0, "b": np.ones(2)}, 3),
    "NamedTuple": (lambda x, a: (x * x).sum() * a.a * a.b[0], Scale(3.0, np.ones(2)), 3),
    "dataclass": (lambda x, a: (x * x).sum() * a.a * a.b[0], Settings(3.0, np.ones(2)), 3),
    "0-d array": (lambda x, a: (x * x).sum() * a[()], np.array(3.0), 3),
    "empty array": (lambda x, a: (x * x).sum() * (3.0 + a.size), np.zeros((0, 2)), 3),
    "records": (
        lambda x, a: (x * x).sum() * a[1].weight,
        np.array([(1, 2.0), (2, 3.0)], [("id", "i4"), ("weight", "f8")]),
        3,
    ),
    "complex array": (lambda x, a: (x * x).sum() * a[0].imag, np.array([3j]), 3),
    "typed list": (lambda x, a: (x * x).sum() * len(a), typed.List([1, 2, 3]), 3),
    "typed dict": (lambda x, a: (x * x).sum() * a["k"], TYPED, 3),
    "jitted class": (lambda x, a: a.weigh((x * x).sum()), Weight(3.0), 3),
    "njit function": (lambda x, a: a(x) * 1.0, by_rows, None),
}


@pytest.mark.parametrize("kind", [kind for kind in ARGUMENTS if kind != "njit function"])
def test_other_arguments_of_all_kinds(kind):
    loss, argument, factor = ARGUMENTS[kind]
    np.testing.assert_allclose(fg.grad(loss)(X, argument), 2 * factor * X, rtol=1e-8)


def test_a_function_as_argument():
    @njit
    def applies(x, f, A):
        return f(x, A)

    got = fg.grad(applies)(X, by_rows, M)
    np.testing.assert_array_equal(got, fg.grad(by_rows)(X, M))


@njit
def with_defaults(x, a=2.0, b=3, c=None, d=(1, 2)):
    return (x * x).sum() * a + b * x[0] + d[1]


@njit
def with_data(x, data):
    return (x * x).sum() * data[0]


@njit
def with_rest(x, a, *rest):
    return (x * x).sum() * a + len(rest) * x[0]


def scaled_by(scale):
    def loss(x):
        return (x * x).sum() * scale

    return loss


CALLS = {
    "all defaults": (with_defaults, (), 4 * X + [3, 0, 0]),
    "some defaults": (with_defaults, (5.0,), 10 * X + [3, 0, 0]),
    "int for a float default": (with_defaults, (5, 7), 10 * X + [7, 0, 0]),
    "no default": (with_defaults, (5, 7, None, (3, 4)), 10 * X + [7, 0, 0]),
    "star args, none": (with_rest, (2.0,), 4 * X),
    "star args": (with_rest, (2.0, 3.0, 4.0), 4 * X + [2, 0, 0]),
    "star args of many kinds": (with_rest, (2.0, 3, "a", X), 4 * X + [3, 0, 0]),
    "a closure": (njit(scaled_by(2.0)), (), 4 * X),
    "another closure of the same code": (njit(scaled_by(3.0)), (), 6 * X),
    "a plain closure": (scaled_by(2.0), (), 4 * X),
    "another plain closure": (scaled_by(3.0), (), 6 * X),
}


@pytest.mark.parametrize("call", CALLS)
def test_signatures_of_all_kinds(call):
    loss, args, expected = CALLS[call]
    np.testing.assert_allclose(fg.grad(loss)(X, *args), expected, rtol=1e-8)


EAGER = {
    "C order": "float64(float64[::1], float64[:, ::1])",
    "any order": "float64(float64[:], float64[:, :])",
    "several": ["float64(float64[::1], float32[:, ::1])", "float64(float64[::1], float64[:, ::1])"],
    "returns float32": "float32(float64[::1], float64[:, ::1])",
}


@pytest.mark.parametrize("signature", EAGER)
@pytest.mark.parametrize("kind", ["C order", "F order", "read-only", "strided", "big-endian"])
def test_eager_signatures_take_arrays_of_all_kinds(signature, kind):
    loss = eager_loss(signature)
    before = MATRICES[kind].copy()
    got = fg.grad(loss, step=2.0**-6)(X, MATRICES[kind])
    np.testing.assert_allclose(got, 2 * M.sum(axis=0) * X, rtol=1e-3)
    np.testing.assert_array_equal(MATRICES[kind], before)
    assert len(loss.signatures) == (2 if signature == "several" else 1)


def eager_loss(signature, known={}):  # noqa: B006 - compiled once
    if signature not in known:
        known[signature] = njit(EAGER[signature])(by_rows.py_func)
    return known[signature]


def test_an_eager_signature_that_does_not_fit_is_named():
    loss = eager_loss("C order")
    with pytest.raises(LossCompilationError, match=r"fixed signatures .*leave the signature out"):
        fg.grad(loss, backend="compiled")(X, M.astype(int))


def test_a_scalar_loss_with_an_eager_signature():
    loss = njit("float64(float64)")(lambda x: x**3)
    assert fg.grad(loss)(2) == pytest.approx(12.0, rel=1e-9)


def test_a_loss_of_njit_functions_and_object_mode():
    @njit
    def whole(x, A):
        with objmode(shift="float64"):
            shift = float(np.sum(x))
        return by_rows(x, A) + rosenbrock(x) + shift

    expected = 2 * M.sum(axis=0) * X + fg.grad(rosenbrock)(X) + 1
    np.testing.assert_allclose(fg.grad(whole)(X, M), expected, rtol=1e-8)


@cfunc("float64(float64)")
def squared(x):
    return x * x


@njit
def by_argument(x, f):
    total = 0.0
    for i in range(x.size):
        total += f(x[i])
    return total


@njit
def by_cfunc(x):
    total = 0.0
    for i in range(x.size):
        total += squared(x[i])
    return total


@njit
def by_cfunc_and_object_mode(x):
    total = squared(x[0])
    with objmode():
        len("")
    return total


@pytest.mark.parametrize(("loss", "args"), [(by_cfunc, ()), (by_argument, (squared,))])
def test_cfuncs_run_on_all_threads(loss, args):
    x = np.linspace(0.5, 1.5, 200)
    run = evaluator_of(loss, x, *args, threads=2)
    got = run.coordinates(*steps_of(run))
    assert run.ran == "Ran compiled, on 2 threads"
    alone = evaluator_of(loss, x, *args, threads=1)
    np.testing.assert_array_equal(got, alone.coordinates(*steps_of(alone)))
    np.testing.assert_allclose(fg.grad(loss)(x, *args), 2 * x, rtol=1e-8)


@pytest.mark.parametrize(
    ("loss", "args", "traits"),
    [
        (rosenbrock, (), ""),
        (by_rows, (M,), ""),
        (quadratic, (np.eye(3),), "uses_blas"),
        (log_det, (np.eye(3),), "uses_blas"),
        (seeded, (1,), "uses_random"),
        (parallel_squares, (), "launches_threads one_at_a_time"),
        (calls_parallel, (), "launches_threads one_at_a_time"),
        (by_object_mode, (1.0,), "uses_blas uses_python uses_random one_at_a_time"),
        (by_cfunc, (), "calls_unseen"),
        (
            by_cfunc_and_object_mode,
            (),
            "calls_unseen uses_blas uses_python uses_random one_at_a_time",
        ),
        (by_argument, (squared,), "calls_unseen"),
    ],
)
def test_what_running_a_loss_does_is_read_off_its_code(loss, args, traits):
    got = evaluator_of(loss, X, *args).traits
    assert {name for name, value in vars(got).items() if value} == set(traits.split())


CACHED = """
from tests.losses import *
from fastgrad.errors import NondeterministicLossError
import fastgrad as fg

x = np.array([1.0, 2.0, 3.0])
found = {}
for loss, args in [
    (rosenbrock, ()), (quadratic, (np.eye(3),)), (seeded, (1,)), (calls_parallel, ())
]:
    run = evaluator_of(loss, x, *args)
    run.coordinates(*steps_of(run))
    assert loss.stats.cache_hits and not loss.stats.cache_misses, loss
    traits = run.traits
    found[loss.__name__] = [name for name, value in vars(traits).items() if value]
print(found)
assert np.allclose(fg.grad(rosenbrock)(x), rosenbrock_grad(x))
try:
    fg.grad(unseeded)(x)
except NondeterministicLossError:
    print("refused")
"""


def test_code_from_the_disk_cache_is_read_as_well():
    """numba returns an empty text for it, with a warning; what it calls must be found anyway."""
    rosenbrock(X)
    quadratic(X, np.eye(3))
    seeded(X, 1)
    calls_parallel(X)
    unseeded(X)
    got = run_python(CACHED)
    assert got.splitlines() == [
        "{'rosenbrock': [], 'quadratic': ['uses_blas'], 'seeded': ['uses_random'], "
        "'calls_parallel': ['launches_threads', 'one_at_a_time']}",
        "refused",
    ]


def test_every_blas_and_lapack_function_of_numba_counts_as_blas():
    source = inspect.getsource(importlib.import_module("numba.np.linalg"))
    names = set(re.findall(r"numba_(?:x|ez_)\w+", source))
    assert len(names) > 10
    for name in names:
        assert traits_of(f"NRT_decref {name}", ()).uses_blas, name
    assert not traits_of("NRT_decref numba_gil_ensure", ()).uses_blas


def compilations():
    """How many there are of all njit functions together."""
    return sum(len(d.overloads) for d in gc.get_objects() if type(d) is type(rosenbrock))


def test_a_second_call_with_the_same_types_compiles_nothing():
    for _ in range(20):  # the shortest way is compiled when it first pays, for all losses
        fg.grad(by_rows)(X, M)
    before = compilations()
    for n, m in [(3, 4), (5, 2), (1, 1), (200, 3)]:
        fg.grad(by_rows)(np.ones(n), np.ones((m, n)))
        fg.grad(by_rows, order=4)(np.ones(n), np.ones((m, n)))
    assert compilations() == before


@pytest.fixture
def made(monkeypatch):
    """Names of the functions that numba compiles."""
    names = []
    compile_extra = numba.core.compiler.compile_extra

    def spy(typingctx, targetctx, func, *args, **kwargs):
        names.append(func.__name__)
        return compile_extra(typingctx, targetctx, func, *args, **kwargs)

    monkeypatch.setattr(numba.core.compiler, "compile_extra", spy)
    return names


def test_a_new_loss_compiles_itself_and_its_adapter_only(made):
    """The kernels, and the loss a second time, would cost 0.5 s and more."""
    fg.grad(by_rows)(X, M)
    made.clear()

    @njit
    def fresh(x, A):
        return x[0] * A[0, 0] + x[1]

    fg.grad(fresh)(X, M)
    assert sorted(made) == ["adapter", "fresh"]


def test_thetas_of_other_sizes_share_one_adapter(made):
    loss = njit(lambda p: (p.W * p.W).sum() + p.b[0])
    for n in (2, 3, 4):
        fg.grad(loss)({"W": np.ones((n, n)), "b": np.ones(n)})
    assert made.count("adapter") == 1
    assert len(loss.signatures) == 1


def test_bound_arguments_are_released():
    data = np.ones(1000)
    before = sys.getrefcount(data)
    for _ in range(5):
        fg.grad(with_data)(X, data)
    gc.collect()
    assert sys.getrefcount(data) == before


def test_kernels_have_one_signature_after_all_these_losses():
    for name, kernel in vars(kernels).items():
        if name.startswith(("coordinates_", "line_", "checksums")):
            assert len(kernel.signatures) <= 1, name


def test_names_of_a_loaded_and_of_a_compiled_library():
    evaluator_of(rosenbrock, X)
    (result,) = rosenbrock.overloads.values()
    assert "rosenbrock" in names_in(result.library)


def of_keys(p, c):
    layers = p["layers"]
    return (p["fc1.weight"] * layers[1]["b"]).sum() * c["scale"] + layers[0]["b"]


KEYS = {"fc1.weight": np.array([1.0, 2.0]), "layers": [{"b": 3.0}, {"b": 4.0}]}


@pytest.mark.parametrize("backend", ["auto", "python"])
def test_a_dict_is_asked_for_its_keys_in_either_backend(backend):
    g = fg.grad(of_keys, backend=backend)(KEYS, {"scale": 2.0})
    np.testing.assert_allclose(g["fc1.weight"], [8.0, 8.0], rtol=1e-9)
    assert g["layers"][0]["b"] == pytest.approx(1.0)
    assert g["layers"][1]["b"] == pytest.approx(6.0)


def test_a_compiled_gradient_may_ask_for_keys_too():
    compiled = numba.njit(lambda p: 2 * p["w"])
    assert fg.check_grad(lambda p: (p["w"] ** 2).sum(), compiled, {"w": np.ones(2)})


def test_a_key_that_is_not_there_is_named():
    with pytest.raises(fg.errors.LossCompilationError, match="no 'v' among the keys w, b"):
        fg.grad(lambda p: p["v"], backend="compiled")({"w": 1.0, "b": 2.0})


def test_other_named_tuples_have_no_keys():
    Point = collections.namedtuple("Point", "x")
    with pytest.raises(numba.TypingError):
        numba.njit(lambda p: p["x"])(Point(1.0))
