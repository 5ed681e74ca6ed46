"""Structures of parameters: blocks and names, flat and back, masks and steps shaped like them."""

import copy
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastgrad as fg
from fastgrad.errors import LossCompilationError, PythonBackendWarning, StructureMismatchError
from fastgrad.parameters.layout import flatten
from fastgrad.parameters.native import native_argument

rng = np.random.default_rng(0)


class Layer(NamedTuple):
    W: np.ndarray
    b: np.ndarray


@dataclass
class Net:
    layers: list
    scale: float


@dataclass(frozen=True)
class Frozen:
    w: np.ndarray
    steps: np.ndarray = field(init=False, default_factory=lambda: np.ones(2))


def ones(*shape):
    return np.ones(shape)


# theta: the expected (block, shape), in order
STRUCTURES = {
    "number": (2.0, [("theta", ())]),
    "0-d array": (np.array(2.0), [("theta", ())]),
    "vector": (ones(3), [("theta", (3,))]),
    "tensor": (ones(2, 3, 4), [("theta", (2, 3, 4))]),
    "list of numbers": ([1.0, 2.0], [("theta", (2,))]),
    "list of lists": ([[1, 2, 3], [4, 5, 6]], [("theta", (2, 3))]),
    "dict": ({"W": ones(2, 3), "b": ones(3)}, [("W", (2, 3)), ("b", (3,))]),
    "NamedTuple": (Layer(ones(2, 3), ones(3)), [("W", (2, 3)), ("b", (3,))]),
    "list of arrays": ([ones(2), ones(2, 2)], [("theta[0]", (2,)), ("theta[1]", (2, 2))]),
    "tuple of arrays": ((ones(2), 1.0), [("theta[0]", (2,)), ("theta[1]", ())]),
    "ragged list": ([[1.0], [2.0, 3.0]], [("theta[0]", (1,)), ("theta[1]", (2,))]),
    "dataclass, nested": (
        Net([Layer(ones(2, 3), ones(3)), {"V": ones(4)}], 0.5),
        [("layers.0.W", (2, 3)), ("layers.0.b", (3,)), ("layers.1.V", (4,)), ("scale", ())],
    ),
    "an empty block": (
        {"a": ones(0, 3), "b": ones(2), "c": ones(0)},
        [("a", (0, 3)), ("b", (2,)), ("c", (0,))],
    ),
    "frozen dataclass": (Frozen(ones(2)), [("w", (2,)), ("steps", (2,))]),
    "OrderedDict": (OrderedDict(b=1.0, a=ones(1)), [("b", ()), ("a", (1,))]),
}


@pytest.fixture(params=STRUCTURES)
def structure(request):
    theta, blocks = STRUCTURES[request.param]
    return copy.deepcopy(theta), blocks


def leaves(value):
    """The numbers of any structure, the slow and obvious way."""
    if hasattr(value, "__dataclass_fields__"):
        return [x for name in value.__dataclass_fields__ for x in leaves(getattr(value, name))]
    if isinstance(value, dict):
        return [x for child in value.values() for x in leaves(child)]
    if isinstance(value, list | tuple):
        return [x for child in value for x in leaves(child)]
    return [float(x) for x in np.ravel(value)]


def test_blocks_and_their_names(structure):
    theta, blocks = structure
    layout, flat = flatten(theta)
    assert [(block.name, block.shape) for block in layout.blocks] == blocks
    assert flat.tolist() == leaves(theta)
    assert flat.dtype == np.float64


def test_every_entry_has_a_name_that_leads_to_it(structure):
    theta, _ = structure
    layout, flat = flatten(theta)
    seen = set()
    for position in range(flat.size):
        block = layout.block_at(position)
        index = block.index(position)
        name = layout.name(position)
        shown = f"[{', '.join(map(str, index))}]" if block.shape else ""
        assert name == block.name + shown
        assert np.ravel_multi_index(index, block.shape) == position - block.start
        seen.add(name)
    assert len(seen) == flat.size


@pytest.mark.parametrize(
    ("theta", "position", "name"),
    [
        ({"W1": ones(5, 20)}, 77, "W1[3, 17]"),
        ({"layers": [{"W": ones(4)}]}, 2, "layers.0.W[2]"),
        (ones(9), 5, "theta[5]"),
        (3.0, 0, "theta"),
        ({"b": 2.0}, 0, "b"),
        (Net([Layer(ones(1), ones(2))], 1.0), 2, "layers.0.b[1]"),
    ],
)
def test_names_as_the_manual_spells_them(theta, position, name):
    assert flatten(theta)[0].name(position) == name


def test_there_and_back(structure):
    theta, _ = structure
    layout, flat = flatten(theta)
    numbers = rng.normal(size=flat.size)
    back = layout.rebuild(numbers)
    assert leaves(back) == numbers.tolist()
    again, _ = flatten(back)
    assert [b.shape for b in again.blocks] == [b.shape for b in layout.blocks]
    if not isinstance(theta, list | OrderedDict):
        assert type(back) is type(theta)


def test_a_gradient_has_the_structure_of_theta(structure):
    theta, _ = structure

    def loss(given):
        return 0.5 * sum(x**2 * k for k, x in enumerate(leaves(given)))

    got = fg.grad(loss, backend="python")(theta)
    expected = [x * k for k, x in enumerate(leaves(theta))]
    np.testing.assert_allclose(leaves(got), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", ">f4", "i1", "i8", "u2"])
def test_floats_keep_their_precision_and_integers_become_float64(dtype):
    theta = np.array([1, 2, 3], dtype)
    got = fg.grad(lambda x: (x * x).sum())(theta)
    expected = np.dtype(dtype).newbyteorder("=") if np.dtype(dtype).kind == "f" else np.float64
    assert got.dtype == expected
    np.testing.assert_allclose(got, 2 * theta, rtol=1e-3)


def test_in_a_mixed_structure_each_block_keeps_its_own():
    theta = {"a": np.ones(2, np.float32), "b": np.ones(2, np.int32), "c": np.float32(1), "d": 1}
    got = fg.grad(lambda p: (p.a * p.a).sum() + (p.b * p.b).sum() + p.c**2 + p.d**2)(theta)
    kinds = {key: np.asarray(value).dtype for key, value in got.items()}
    assert kinds == {"a": np.float32, "b": np.float64, "c": np.float32, "d": np.float64}
    assert type(got["d"]) is float
    assert leaves(got) == pytest.approx([2] * 6)


def test_the_compiled_loss_sees_named_views_and_the_python_loss_what_was_passed():
    theta = {"net": [Layer(ones(2, 2), ones(2)), {"V": ones(3)}], "scale": 2.0}

    def compiled(p):
        return p.scale * (p.net[0].W[1] * p.net[0].b).sum() + p.net[1].V[2]

    def python(p):
        return float(p["scale"] * (p["net"][0].W[1] * p["net"][0].b).sum() + p["net"][1]["V"][2])

    got, expected = fg.grad(compiled)(theta), fg.grad(python, backend="python")(theta)
    assert leaves(got) == leaves(expected)
    assert isinstance(got["net"], list)
    assert isinstance(got["net"][0], Layer)


@pytest.mark.parametrize("key", ["lambda", "layer 1", "_hidden", "1st", "fc1.weight", ""])
def test_keys_that_are_no_names(key):
    """They are no attributes, but can be asked for; the others are both."""
    theta = {"W": ones(2), key: ones(2)}
    scope = {}
    exec(f"def loss(p):\n    return p.W.sum() + 2 * p[{key!r}].sum()\n", scope)
    got = fg.grad(scope["loss"])(theta)
    np.testing.assert_allclose(got["W"], 1, rtol=1e-9)
    np.testing.assert_allclose(got[key], 2, rtol=1e-9)


def test_a_key_that_is_no_string():
    theta = {"W": ones(2), 3: ones(2)}
    with pytest.raises(LossCompilationError, match=r"the key 3 .*backend=.python"):
        fg.grad(lambda p: p.W.sum(), backend="compiled")(theta)
    with pytest.warns(PythonBackendWarning, match="the key 3"):
        got = fg.grad(lambda p: float(p["W"].sum()))(theta)
    np.testing.assert_allclose(got["W"], 1, rtol=1e-9)


# what may be trainable in THETA, and the positions it frees
THETA = {"layers": [Layer(ones(2, 2), ones(2)), Layer(ones(1, 2), ones(1))], "scale": 2.0}
PARTS = {"0.W": [0, 1, 2, 3], "0.b": [4, 5], "1.W": [6, 7], "1.b": [8], "scale": [9]}
TRAINABLE = {
    "a block": ("layers.0.b", [4, 5]),
    "a number": ("scale", [9]),
    "a prefix": ("layers.1", [6, 7, 8]),
    "everything under a name": ("layers", list(range(9))),
    "several": (["scale", "layers.0.W"], [0, 1, 2, 3, 9]),
    "a tuple": (("scale",), [9]),
    "a set": ({"scale", "layers.1.b"}, [8, 9]),
    "keys": (dict.fromkeys(["scale"]).keys(), [9]),
    "booleans": (
        {
            "layers": [
                Layer(np.array([[True, False], [False, True]]), np.array([False, True])),
                Layer(np.zeros((1, 2), bool), np.array([True])),
            ],
            "scale": False,
        },
        [0, 3, 5, 8],
    ),
    "one boolean a block": (
        {"layers": [{"W": True, "b": False}, {"b": True, "W": False}], "scale": True},
        [0, 1, 2, 3, 8, 9],
    ),
    "one flat vector": (np.arange(10) % 3 == 0, [0, 3, 6, 9]),
}


@pytest.mark.parametrize("kind", TRAINABLE)
def test_what_is_trainable(kind):
    trainable, expected = TRAINABLE[kind]
    mask = flatten(THETA)[0].mask(trainable)
    assert np.flatnonzero(mask).tolist() == expected


@pytest.mark.parametrize("kind", TRAINABLE)
def test_constants_are_never_perturbed_and_have_gradient_zero(kind):
    trainable, free = TRAINABLE[kind]
    calls = []

    def loss(p):
        values = np.array(leaves(p))
        calls.append(np.flatnonzero(values != leaves(THETA)))
        return float((values**2).sum())

    got = leaves(fg.grad(loss, trainable=trainable, backend="python")(THETA))
    expected = [2 * x * (k in free) for k, x in enumerate(leaves(THETA))]
    np.testing.assert_allclose(got, expected, atol=1e-8)
    assert {int(k) for changed in calls for k in changed} == set(free)
    assert len(calls) == 2 * len(free)


@pytest.mark.parametrize(
    ("trainable", "error", "words"),
    [
        ("layers.0.w", ValueError, r"no block 'layers.0.w'.*did you mean 'layers.0.[Wb]'"),
        ("lay", ValueError, "no block 'lay'; its blocks are 'layers.0.W'"),
        (["scale", "W"], ValueError, "no block 'W'"),
        ([], ValueError, "selects no entry"),
        (np.zeros(10, bool), ValueError, "selects no entry"),
        (np.zeros(9, bool), StructureMismatchError, "got ndarray of shape"),
        (True, StructureMismatchError, "expected fields 'layers', 'scale'.*got bool"),
        ({"layers": [True], "scale": True}, StructureMismatchError, "trainable.'layers'."),
        ({"layers": True}, StructureMismatchError, "missing 'scale'"),
        ({"layers": [True, True], "scale": True}, StructureMismatchError, r"\[0\]: expected"),
        (
            {"layers": [{"W": np.ones((2, 3), bool), "b": True}] * 2, "scale": True},
            StructureMismatchError,
            r"trainable for layers.0.W: expected shape \(2, 2\), got \(2, 3\)",
        ),
        ({"layers": [{"W": 1, "b": 1}] * 2, "scale": 0}, TypeError, "layers.0.W: expected bool"),
        (np.array(["scale"]), StructureMismatchError, "ndarray"),
        (3.5, StructureMismatchError, "got float"),
    ],
)
def test_what_cannot_be_trainable(trainable, error, words):
    with pytest.raises(error, match=words):
        fg.grad(lambda p: 1.0, trainable=trainable, backend="python")(THETA)


def test_a_mask_of_a_plain_array():
    x = np.arange(6.0).reshape(2, 3) + 1
    for trainable in (x > 3, (x > 3).ravel(), (x > 3).tolist()):
        got = fg.grad(lambda W: (W * W).sum(), trainable=trainable)(x)
        np.testing.assert_allclose(got, 2 * x * (x > 3), atol=1e-8)


def test_argnum_differentiates_by_another_argument_under_its_own_name():
    def loss(w, inputs, shift):
        return (w * inputs).sum() + shift

    w, inputs = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_allclose(fg.grad(loss, argnum=1)(w, inputs, 0.5), w, rtol=1e-9)
    assert fg.grad(loss, argnum=2)(w, inputs, 0.5) == pytest.approx(1.0, rel=1e-9)
    got = fg.grad(loss, argnum=1, trainable="inputs")(w, inputs, 0.5)
    np.testing.assert_allclose(got, w, rtol=1e-9)
    with pytest.raises(ValueError, match=r"inputs\[1\] is nan"):
        fg.grad(loss, argnum=1)(w, np.array([1.0, np.nan]), 0.5)


def test_argnum_with_structures_on_both_sides():
    def loss(data, p, power):
        return (data.X * p.w).sum() ** power

    data, p = {"X": np.array([1.0, 2.0])}, {"w": np.array([3.0, 4.0])}
    got = fg.grad(loss, argnum=1)(data, p, 2)
    np.testing.assert_allclose(got["w"], 22 * data["X"], rtol=1e-8)
    got = fg.grad(loss, argnum=0)(data, p, 2)
    np.testing.assert_allclose(got["X"], 22 * p["w"], rtol=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_nest_of_arrays_comes_back_as_it_was(data):
    array = hnp.arrays(
        st.sampled_from([np.float64, np.float32]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        elements=st.floats(-1e3, 1e3, width=32),
    )
    names = st.text("abcW1_", min_size=1, max_size=4)
    nest = st.recursive(
        array | st.floats(-1e3, 1e3),
        lambda inner: (
            st.dictionaries(names, inner, min_size=1, max_size=3)
            | st.lists(array | st.dictionaries(names, inner, min_size=1), min_size=1, max_size=3)
            | st.tuples(array, inner)
        ),
        max_leaves=8,
    )
    theta = data.draw(nest)
    if not leaves(theta):
        with pytest.raises(ValueError, match="empty"):
            flatten(theta)
        return
    layout, flat = flatten(theta)
    back = layout.rebuild(flat)
    assert repr(back) == repr(theta)
    assert leaves(layout.given(flat)) == leaves(theta)
    assert sum(block.size for block in layout.blocks) == layout.size == flat.size


def test_equal_structures_share_a_layout():
    first, _ = flatten({"W": np.zeros((2, 2)), "b": 1.0})
    second, _ = flatten({"W": np.ones((2, 2)), "b": 2.0})
    third, _ = flatten({"W": np.ones((2, 3)), "b": 2.0})
    assert first is second
    assert first is not third


def test_flatten_copies():
    x = np.ones(3)
    _, flat = flatten(x)
    flat[0] = 5.0
    assert x[0] == 1.0


def test_large_numbers_are_finite():
    flatten(np.array([1.7e308, -1.7e308]))


def test_arguments_are_copied_only_if_they_must_be():
    for usable in (ones(2, 3), np.asfortranarray(ones(2, 3)), ones(3).astype(np.float32)):
        assert native_argument(usable) is usable
    assert native_argument("text") == "text"
    assert native_argument((1, 2)) == (1, 2)
    np.testing.assert_array_equal(native_argument([1, 2]), [1, 2])
    assert native_argument(ones(4)[::2]).flags.c_contiguous


def test_vector_lays_numbers_along_theta():
    layout, _ = flatten(THETA)
    assert layout.vector(2, "step").tolist() == [2.0] * 10
    assert layout.vector(np.arange(10.0), "step").tolist() == list(range(10))
    layers = [{"b": 1, "W": 2 * ones(2, 2)}, Layer(ones(1, 2), [3])]
    got = layout.vector({"scale": 9, "layers": layers}, "step")
    assert got.tolist() == [2, 2, 2, 2, 1, 1, 1, 1, 3, 9]
