"""Layers and their backward passes: right ones agree, planted bugs are found and named."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import LossError, MutatedInputError, StructureMismatchError
from tests.layers.forms import (
    FORMS,
    LOSSES,
    affine_backward,
    affine_forward,
    edited,
    lstm_backward,
    lstm_forward,
)

QUICK, ALL = range(2), range(20)


def of_dropout(name):
    """What dropout is told beside x: its mask is boolean, and its rate a float that is no input."""
    return {"argnums": "x"} if name == "dropout" else {}


def blamed(report):
    return {block.name for block in report.blocks if block.verdict == "disagrees"}


def check_layer(name, seed):
    """The right backward pass, and each of its bugs."""
    form = FORMS[name]
    inputs = form.inputs(np.random.default_rng(seed))
    options = {"cache": True, "seed": seed, **of_dropout(name)}
    report = fg.check_vjp(form.forward, form.backward, *inputs, **options)
    assert report, f"{name}, seed {seed}\n{report}"
    for old, new, spoilt in form.bugs:
        report = fg.check_vjp(form.forward, edited(form.backward, old, new), *inputs, **options)
        assert blamed(report) == spoilt, f"{name}, {old} -> {new}, seed {seed}\n{report}"


@pytest.mark.parametrize("name", FORMS)
def test_layers_and_three_bugs_in_each(name):
    for seed in QUICK:
        check_layer(name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_layers_and_three_bugs_in_each_over_20_seeds(name):
    for seed in ALL:
        check_layer(name, seed)


def check_loss(name, seed):
    """The right loss layer, and each of its bugs."""
    both, bugs = LOSSES[name]
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(4, 5)), rng.integers(0, 5, 4)

    def check(function):
        return fg.check_grad(
            lambda x, y: both(x, y)[0], lambda x, y: function(x, y)[1], x, y, backend="python"
        )

    assert check(both), f"{name}, seed {seed}"
    for old, new in bugs:
        wrong = check(edited(both, old, new)).verdict
        assert wrong == "disagrees", f"{name}, {old} -> {new}, seed {seed}"


@pytest.mark.parametrize("name", LOSSES)
def test_loss_layers_and_three_bugs_in_each(name):
    for seed in QUICK:
        check_loss(name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_loss_layers_and_three_bugs_in_each_over_20_seeds(name):
    for seed in ALL:
        check_loss(name, seed)


def test_every_layer_has_three_bugs():
    asked = "affine, relu, batch norm, layer norm, conv, max pool, rnn step, lstm step, attention"
    assert set(asked.split(", ")) <= set(FORMS)
    assert set(LOSSES) == {"softmax loss", "svm loss"}
    assert {len(form.bugs) for form in FORMS.values()} == {3}
    assert {len(bugs) for _, bugs in LOSSES.values()} == {3}


RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)


def affine(x, w, b):
    return x @ w + b


def backward(dout, x, w, b):
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def test_without_a_cache_and_entries_bear_the_functions_own_names():
    assert fg.check_vjp(affine, backward, X, W, B)

    def wrong(dout, x, w, b):
        dx, dw, db = backward(dout, x, w, b)
        dw[2, 1] *= 1.01
        return dx, dw, db

    report = fg.check_vjp(affine, wrong, X, W, B)
    assert [entry.name for entry in report.entries] == ["w[2, 1]"]


def test_the_outputs_that_a_block_fails_for_are_named():
    def rows(dout, x, w, b):
        dout = np.where(np.isin(np.arange(5), (0, 3))[:, None], 2 * dout, dout)
        return backward(dout, x, w, b)

    report = fg.check_vjp(affine, rows, X, W, B)
    of = {d.block: d.sentence for d in report.diagnoses}
    assert all("rows 0 and 3 of out alone" in of[name] for name in "xwb")

    def column(dout, x, w, b):
        return dout @ w.T, x.T @ (dout * [1, 1, 0]), dout.sum(axis=0)

    report = fg.check_vjp(affine, column, X, W, B)
    assert "column 2 of out alone" in report.diagnoses[0].sentence


def moments(x):
    return {"mean": x.mean(axis=0), "var": x.var(axis=0), "argmax": x.argmax(axis=0)}


def moments_backward(dout, x, factor=1.0):
    assert not dout["argmax"].any()  # of what is not floating there is no cotangent
    centred = x - x.mean(axis=0)
    return dout["mean"] / len(x) + factor * 2 * dout["var"] * centred / len(x)


def test_outputs_in_a_dict_and_one_of_them_wrong():
    assert fg.check_vjp(moments, moments_backward, X)
    report = fg.check_vjp(moments, lambda dout, x: moments_backward(dout, x, 0.5), X)
    assert "out.var alone" in str(report)


def test_tuples_of_outputs_dicts_of_inputs_and_constants_inside_them():
    def forward(p, x, kind):
        z = x @ p["layers"][0]["w"] + p["layers"][0]["b"]
        return (np.tanh(z) if kind == "tanh" else z), z

    def back(dout, p, x, kind):
        w = p["layers"][0]["w"]
        dz = dout[0] * (1 - np.tanh(x @ w + p["layers"][0]["b"]) ** 2) + dout[1]
        return {"layers": [{"w": x.T @ dz, "b": dz.sum(axis=0)}]}, dz @ w.T

    p = {"layers": [{"w": W, "b": B, "frozen": 3}], "depth": 1}
    report = fg.check_vjp(forward, back, p, X, "tanh")
    assert report
    assert [block.name for block in report.blocks] == ["p.layers.0.w", "p.layers.0.b", "x"]


class Dense:
    """A layer that keeps what its backward pass reads, and its parameters."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.x = x
        return x @ self.w + self.b

    def backward(self, dout):
        self.dw, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.w.T


def test_objects_that_keep_what_they_need():
    layer = Dense(W, B)
    assert fg.check_vjp(layer.forward, layer.backward, X)

    def forward(x, w, b):
        layer.w, layer.b = w, b
        return layer.forward(x)

    def back(dout):
        return layer.backward(dout), layer.dw, layer.db

    assert fg.check_vjp(forward, back, X, W, B)

    def stale(dout):
        return layer.dw, layer.backward(dout), layer.db

    assert not fg.check_vjp(forward, lambda d: (stale(d)[1], stale(d)[0] * 2, layer.db), X, W, B)


def test_several_cotangents():
    report = fg.check_vjp(affine, backward, X, W, B, cotangents=3)
    assert report
    assert len(report.points) == 3
    assert len({point.entries[0].analytic for point in report.points}) == 3


def test_a_backward_pass_that_is_not_linear_or_ignores_the_cotangent():
    report = fg.check_vjp(affine, lambda d, x, w, b: backward(d * abs(d), x, w, b), X, W, B)
    assert "not linear in the cotangent" in str(report)
    report = fg.check_vjp(affine, lambda d, x, w, b: backward(np.ones_like(d), x, w, b), X, W, B)
    assert "does not use it" in str(report)


def test_a_cotangent_of_ones_would_not_see_it():
    """All that a softmax returns adds up to one."""

    def softmax(x):
        e = np.exp(x)
        return e / e.sum()

    x = np.array([0.1, 0.7, -0.3])
    assert not fg.check_vjp(softmax, lambda c, x: np.zeros(3), x)
    assert fg.check_vjp(softmax, lambda c, x: softmax(x) * (c - c @ softmax(x)), x)


def test_lstm_blames_the_output_that_is_wrong():
    form = FORMS["lstm step"]
    wrong = edited(lstm_backward, "dh, dc = dout", "dh, dc = dout[0], 2 * dout[1]")
    report = fg.check_vjp(lstm_forward, wrong, *form.inputs(np.random.default_rng(1)), cache=True)
    assert "out.1 alone" in str(report)


def inplace(dout, x, w, b):
    dout *= 2
    return backward(dout / 2, x, w, b)


def wrote_to_w(dout, x, w, b):
    w += 1
    return backward(dout, x, w - 1, b)


def forward_writes(x, w, b):
    x -= x.mean()
    return affine(x, w, b)


def updates(x, state):
    state *= 0.9
    return x * 2.0


BAD = {
    "a transposed gradient": (
        affine, lambda *a: (backward(*a)[0].T, *backward(*a)[1:]), (X, W, B), {},
        StructureMismatchError, "shape (4, 5) for x: expected (5, 4) transposed?",
    ),
    "a gradient not summed": (
        affine, lambda d, *a: (*backward(d, *a)[:2], d), (X, W, B), {},
        StructureMismatchError, "shape (5, 3) for b: expected (3,) sum over the leading axis",
    ),
    "a flattened gradient": (
        affine, lambda *a: (backward(*a)[0].ravel(), *backward(*a)[1:]), (X, W, B), {},
        StructureMismatchError, "shape (20,) for x: expected (5, 4) reshape",
    ),
    "too few gradients": (
        affine, lambda *a: backward(*a)[:2], (X, W, B), {},
        StructureMismatchError, "a tuple of 2: expected a tuple of 3 'x', 'w', 'b' argnums=",
    ),
    "one gradient of three": (
        affine, lambda *a: backward(*a)[0], (X, W, B), {},
        StructureMismatchError, "ndarray of shape (5, 4): expected a tuple of 3",
    ),
    "None": (
        affine, lambda *a: (*backward(*a)[:2], None), (X, W, B), {},
        TypeError, "None for b: expected numbers of shape (3,) argnums=",
    ),
    "no cache": (
        affine, backward, (X, W, B), {"cache": True},
        TypeError, "affine returned ndarray of shape (5, 3): with cache=True expected two",
    ),
    "a cache unasked for": (
        affine_forward, affine_backward, (X, W, B), {},
        TypeError, "affine_backward(dout, cache) cannot be called with 4 in all cache=True",
    ),
    "a cache that is an object": (
        lambda x: (x * 2, object()), lambda d, c: 2 * d, (X,), {},
        TypeError, "tuple of 2, of which the second is object cache=True",
    ),
    "integers alone": (
        lambda k: k * 2.0, lambda d, k: d, (np.arange(3),), {},
        TypeError, "no input is floating k is ndarray expected at least one array of floats",
    ),
    "an input that is not there": (
        affine, backward, (X, W, B), {"argnums": "v"},
        ValueError, "no input 'v'; there are 'x', 'w', 'b'",
    ),
    "a position that is not there": (
        affine, backward, (X, W, B), {"argnums": 3}, ValueError, "no input 3; there are 3, from 0",
    ),
    "a constant asked for": (
        lambda x, k: x * k, lambda d, x, k: d * k, (X, 2), {"argnums": "k"},
        TypeError, "input k is int nothing floating",
    ),
    "integer outputs": (
        lambda x: x.argmax(axis=0), lambda d, x: x, (X,), {},
        TypeError, "returned ndarray of shape (4,): expected an array of floats",
    ),
    "no function": (affine, X, (X, W, B), {}, TypeError, "vjp is ndarray expected a function"),
    "NaN": (
        lambda x: np.log(-abs(x)), lambda d, x: d / x, (X,), {},
        ValueError, "returned nan for out[0, 0] (20 of 20 outputs",
    ),
    "it raises": (
        lambda x: x @ np.ones(7), lambda d, x: x, (X,), {},
        LossError, "raised ValueError at the given inputs",
    ),
    "writes to the cotangent": (
        affine, inplace, (X, W, B), {},
        MutatedInputError, "inplace wrote to the cotangent that of out[0, 0] copy",
    ),
    "writes to an input": (
        affine, wrote_to_w, (X, W, B), {},
        MutatedInputError, "wrote_to_w wrote to its input w (w[0, 0] was copy",
    ),
    "fun writes to an input": (
        forward_writes, backward, (X, W, B), {},
        MutatedInputError, "forward_writes wrote to its input x (x[0, 0] was",
    ),
    "fun writes to a constant": (
        updates, lambda d, x, state: 2 * d, (X, np.ones(2)), {"argnums": 0},
        MutatedInputError, "wrote to its argument state",
    ),
    "no cotangents": (affine, backward, (X, W, B), {"cotangents": 0}, ValueError, "from 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_are_told_what_to_do(name):
    fun, vjp, inputs, options, kind, words = BAD[name]
    with np.errstate(invalid="ignore"), pytest.raises(kind) as caught:
        fg.check_vjp(fun, vjp, *inputs, **options)
    for word in words.split():
        assert word in str(caught.value), str(caught.value)


def test_lower_precision_among_float64_is_reported_by_name():
    def coarse(dout, x, w, b):
        dx, dw, db = backward(dout, x, w, b)
        return dx, dw.astype(np.float32), db

    report = fg.check_vjp(affine, coarse, X, W, B)
    assert "lower precision than the inputs have for w (float32)" in str(report)


def test_data_drawn_with_the_same_seed_are_not_the_cotangent():
    """Along x itself, the gradient of a batch norm of x is zero, and nothing could be told."""
    form = FORMS["batch norm"]
    x, *others = form.inputs(np.random.default_rng(0))
    report = fg.check_vjp(form.forward, form.backward, x, *others, cache=True, seed=0)
    assert report
    assert report.blocks[0].detection_limit < 1e-8


def test_inputs_at_their_bounds():
    def fun(x, p):
        assert np.all(p >= 0)
        return x * np.sqrt(1 + p) + p**2

    def back(dout, x, p):
        return dout * np.sqrt(1 + p), dout * (x / (2 * np.sqrt(1 + p)) + 2 * p)

    p = np.array([0.0, 1.0, 0.0])
    low = {"x": np.full(3, -np.inf), "p": np.zeros(3)}
    report = fg.check_vjp(fun, back, np.array([1.0, 2.0, -1.0]), p, bounds=(low, None))
    assert report, str(report)
    assert "one-sided differences: p[0], p[2] at their bounds" in str(report)
