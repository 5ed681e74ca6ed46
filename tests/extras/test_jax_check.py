"""fastgrad.jax.check: faults planted in rules and gradients, in every precision."""

from typing import NamedTuple

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="needs jax: pip install -e '.[test,jax]'")

import jax.numpy as jnp  # noqa: E402

import fastgrad as fg  # noqa: E402
from fastgrad.evaluate.protocol import Inputs  # noqa: E402
from fastgrad.jax import evaluator as evaluator_module  # noqa: E402
from fastgrad.jax.evaluator import JaxLoss  # noqa: E402
from fastgrad.jax.program import Program  # noqa: E402
from fastgrad.parameters.layout import flatten  # noqa: E402

RNG = np.random.default_rng(0)


def normal(*shape, dtype=jnp.float32):
    return jnp.asarray(RNG.standard_normal(shape), dtype)


def dense(factor):
    """tanh(x w), with a rule whose gradient of w is a factor too large."""

    @jax.custom_vjp
    def layer(x, w):
        return jnp.tanh(x @ w)

    def forward(x, w):
        y = layer(x, w)
        return y, (x, w, y)

    def backward(kept, g):
        x, w, y = kept
        d = g * (1 - y * y)
        return d @ w.T, jnp.asarray(factor, w.dtype) * (x.T @ d)

    layer.defvjp(forward, backward)
    return layer


def net(factor=1.0):
    layer = dense(factor)

    def loss(params, x):
        h = layer(x, params["layers"][0]["W"]) + params["layers"][0]["b"]
        return jnp.mean((h @ params["out"]) ** 2)

    return loss


def parameters(dtype=jnp.float32):
    return {
        "layers": [{"W": normal(5, 7, dtype=dtype), "b": normal(7, dtype=dtype)}],
        "out": normal(7, 2, dtype=dtype),
        "name": "a constant",
        "count": jnp.arange(3),
    }


def blamed(report):
    return [block.name for block in report.blocks if block.verdict == "disagrees"]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("factor", [1.0, 1.25])
def test_a_pytree_in_every_precision(dtype, factor):
    report = fg.jax.check(net(factor), parameters(dtype), normal(6, 5, dtype=dtype))
    assert [block.name for block in report.blocks] == ["layers.0.W", "layers.0.b", "out"]
    assert blamed(report) == ([] if factor == 1 else ["layers.0.W"])
    assert "float64" in report.ran
    if factor == 1:
        assert report.verdict == "agrees"
        word = str(jnp.dtype(dtype))
        assert f"In {word} itself the gradient is the same" in report.remarks[-1]


def test_the_configuration_of_the_caller_stays_as_it_is():
    before = jax.config.jax_enable_x64
    assert fg.jax.check(net(), parameters(), normal(6, 5)).verdict == "agrees"
    assert jax.config.jax_enable_x64 == before
    assert jnp.asarray(np.ones(2)).dtype == jnp.float32
    with pytest.raises(ZeroDivisionError):
        fg.jax.check(lambda p: 1 / 0, jnp.ones(2))
    assert jax.config.jax_enable_x64 == before


def test_a_gradient_of_ones_own():
    def loss(w, x, y):
        return jnp.mean((x @ w - y) ** 2)

    def right(w, x, y):
        return 2 * x.T @ (x @ w - y) / len(y)

    w, x, y = normal(4), normal(9, 4), normal(9)
    assert fg.jax.check(loss, w, x, y, grad=right).verdict == "agrees"
    report = fg.jax.check(loss, w, x, y, grad=lambda *args: 9 * right(*args))
    assert report.verdict == "disagrees"
    assert report.diagnoses[0].constants["factor"] == pytest.approx(9.0)
    assert report.entries[0].name.startswith("params[")


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_custom_vjp_with_outputs_that_are_a_pytree(factor):
    layer = dense(factor)

    def outputs(params, x):
        y = layer(x, params["w"])
        return {"y": y, "parts": (y.sum(0), y[:, 0])}

    report = fg.jax.check(outputs, {"w": normal(5, 3)}, normal(4, 5))
    assert blamed(report) == ([] if factor == 1 else ["w"])


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_custom_jvp(factor):
    @jax.custom_jvp
    def sine(x):
        return jnp.sin(x)

    sine.defjvps(lambda dot, ans, x: factor * jnp.cos(x) * dot)
    assert blamed(fg.jax.check(sine, normal(8))) == ([] if factor == 1 else ["params"])


class Pair(NamedTuple):
    a: jax.Array
    b: jax.Array


def test_named_tuples_and_wrt():
    def loss(pair):
        return jnp.sum(pair.a**2) + jnp.sum(pair.b**3)

    pair = Pair(normal(3), normal(2))
    wrong = fg.jax.check(loss, pair, grad=lambda p: Pair(2 * p.a, p.b))
    assert blamed(wrong) == ["b"]
    assert fg.jax.check(loss, pair, grad=lambda p: Pair(2 * p.a, p.b), wrt="a").verdict == "agrees"


def only_in_single(x):
    if x.dtype != jnp.float32:
        raise TypeError("the kernel takes float32 alone")
    return jnp.sin(x)


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_float32_alone(factor):
    report = fg.jax.check(
        lambda x: jnp.sum(only_in_single(x)),
        normal(30),
        grad=lambda x: factor * jnp.cos(x),
        rtol=1e-2,
    )
    assert any("the kernel takes float32 alone" in remark for remark in report.remarks)
    assert report.verdict == ("agrees" if factor == 1 else "disagrees")


def test_what_is_wrong_in_bfloat16_alone_is_found():
    def loss(w):
        return jnp.sum(w**2)

    def claimed(w):
        return 2 * w if w.dtype == jnp.float64 else (2 * w).at[2].multiply(1.5)

    w = jnp.linspace(-2, 1, 9, dtype=jnp.bfloat16)  # what w[2] does is beyond the rounding of all
    report = fg.jax.check(loss, w, grad=claimed)
    assert report.verdict == "disagrees"
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["params[2]"]


def test_what_does_not_vmap_goes_point_by_point():
    shape = jax.ShapeDtypeStruct((), jnp.float64)

    def loss(x):
        kind = jax.ShapeDtypeStruct((), x.dtype) if x.dtype != jnp.float64 else shape
        return jax.pure_callback(lambda v: np.asarray((np.asarray(v) ** 2).sum(), v.dtype), kind, x)

    report = fg.jax.check(loss, normal(4), grad=lambda x: 2 * x)
    assert report.verdict == "agrees"
    assert "one point at a time" in report.ran


def test_large_arguments_are_no_constants_and_arrays_of_numpy_will_do():
    x = np.ones((200, 4), np.float32)
    assert fg.jax.check(lambda w, x: jnp.sum(jnp.tanh(x @ w)), np.ones(4), x).verdict == "agrees"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: fg.jax.check(3, jnp.ones(2)), "expected functions"),
        (lambda: fg.jax.check(jnp.sum, jnp.arange(3)), "floating numbers, got none"),
        (lambda: fg.jax.check(jnp.argmax, jnp.ones(3)), "no floating numbers"),
        (lambda: fg.jax.check(jnp.sin, jnp.ones(3), grad=jnp.cos), "does not return a scalar"),
        (
            lambda: fg.jax.check(jnp.sum, jnp.ones(3), grad=lambda x: {"a": x}),
            "like the parameters",
        ),
        (lambda: fg.jax.check(jnp.sum, jnp.ones(3), dtype="float64"), "dtype='float64'"),
        (
            lambda: fg.jax.check(lambda p: float(p.sum()), jnp.ones(3)),
            "expected one that jax.jit takes",
        ),
    ],
)
def test_mistakes(call, said):
    with pytest.raises((TypeError, ValueError), match=said):
        call()


def test_the_neutral_monitor_takes_arrays_of_jax():
    def loss(w, x):
        return jnp.mean(jnp.tanh(x @ w["a"]) ** 2)

    w, x = {"a": normal(6, 3)}, normal(20, 6)
    monitor = fg.Monitor(jax.jit(loss), jax.jit(jax.grad(loss)), every=1, on_alarm="raise")
    for step in range(20):
        monitor(step, w, x)
    assert sorted(abs(record.relative) for record in monitor.records)[10] < 1e-3


def test_a_rule_of_a_loss_that_leaves_out_its_cotangent():
    @jax.custom_vjp
    def squared_norm(x):
        return jnp.sum(x * x) / 2

    squared_norm.defvjp(lambda x: (squared_norm(x), x), lambda x, g: (x,))
    report = fg.jax.check(squared_norm, normal(5))
    assert report.diagnoses[0].constants == {"factor": -0.25}


def test_a_gradient_is_compiled_once():
    traced = []

    def loss(x):
        traced.append(1)
        return jnp.sum(x**2)

    program = Program(loss, jnp.ones(3), (), False)
    program.gradient(program.values(), None)
    count = len(traced)
    program.gradient({"params": np.zeros(3)}, None)
    assert len(traced) == count


def test_points_of_half_precision_are_on_the_line_on_average():
    """Nearest ones, a tenth of a unit away, are all where they were: the slope would be 0."""
    x = jnp.asarray(np.random.default_rng(0).random(4000) + 1, jnp.bfloat16)
    c = np.random.default_rng(1).standard_normal(4000)
    program = Program(lambda x: jnp.sum(c * x.astype(jnp.float32)), x, (), False)
    run = JaxLoss(program).evaluator_at(Inputs(*flatten(program.values())))
    h = 0.1 * 2.0**-7
    above, below, again = run.along(c, np.array([h, -h, h]))
    noise = 2.0**-7 * np.sqrt(0.1 * (c**2 * abs(c)).sum() / 2) / h
    assert above == again
    assert (above - below) / (2 * h) == pytest.approx((c**2).sum(), abs=5 * noise)
    assert noise < 0.2 * (c**2).sum()


def test_what_a_line_does_not_move_stands_where_it_was():
    """Below a power of two numbers of half precision lie half as far apart as above it."""
    x = jnp.asarray(np.tile(2.0 ** np.arange(-8.0, 8.0), 50), jnp.bfloat16)
    program = Program(lambda x: jnp.sum(x.astype(jnp.float32)), x, (), False)
    run = JaxLoss(program).evaluator_at(Inputs(*flatten(program.values())))
    here = run.along(np.ones(x.size), np.zeros(1))[0]
    assert here == run.coordinates(np.array([0]), np.zeros((1, 1)))[0, 0]


@pytest.mark.parametrize(("points", "chunk"), [(1, 1), (3, 3), (10**6, 256)])
def test_chunks_are_sized_by_memory(points, chunk, monkeypatch):
    x = normal(40)
    program = Program(lambda x: jnp.sum(jnp.cos(x)), x, (), True)
    layout, theta = flatten(program.values())
    monkeypatch.setattr(evaluator_module, "MEMORY", 8.0 * theta.size * points)
    run = JaxLoss(program).evaluator_at(Inputs(layout, theta))
    offsets = np.linspace(-1, 1, 10)
    got = run.along(np.ones(40), offsets)
    assert got == pytest.approx([np.cos(theta + t).sum() for t in offsets], rel=1e-12)
    assert f"{chunk} points at a time" in run.ran
    got = run.coordinates(np.arange(40), np.full((40, 1), 0.5))[:, 0]
    expected = [np.cos(theta + 0.5 * (np.arange(40) == i)).sum() for i in range(40)]
    assert got == pytest.approx(expected, rel=1e-12)


def test_a_loss_that_compiles_at_every_call_is_told_so():
    x = np.linspace(0.1, 1.0, 6)

    def compiles(x):
        return float(jax.jit(lambda x: jnp.sum(jnp.sin(x)))(x))

    summed = jax.jit(lambda x: jnp.sum(jnp.sin(x)))
    with jax.enable_x64(True):
        report = fg.check_grad(compiles, np.cos(x), x, backend="python")
        assert report.verdict == "agrees"
        assert "make the loss one function that is compiled once, loss = jax.jit(loss)" in str(
            report
        )
        quick = fg.check_grad(lambda x: float(summed(x)), np.cos(x), x, backend="python")
        assert quick.verdict == "agrees"
        assert "JAX compiled" not in str(quick)


def nested(x, y):
    return {"layers": [{"x": x}], "y": y}


def test_bounds_like_the_parameters_or_by_name():
    outside = []

    def seen(x):
        outside.append(bool(np.any(x < 0) or np.any(x > 1)))
        return x

    def root(p):
        x = p["layers"][0]["x"]
        x = jax.pure_callback(
            seen, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential"
        )
        return jnp.sum(jnp.sqrt(x * (1.5 - x)) * p["y"])

    def slope(p):
        x, y = p["layers"][0]["x"], p["y"]
        root = jnp.sqrt(x * (1.5 - x))
        return nested(y * (1.5 - 2 * x) / (2 * root), root)

    params = nested(jnp.asarray([0.001, 0.5, 1.0]), normal(3))
    for bounds in (
        ({"layers.0.x": 0.0}, {"layers.0.x": jnp.ones(3)}),
        (nested(0.0, -jnp.inf), nested(jnp.ones(3), jnp.inf)),
    ):
        assert fg.jax.check(root, params, grad=slope, bounds=bounds).verdict == "agrees"
    assert len(outside) > 10
    assert not any(outside)
    with pytest.raises(ValueError, match="'z' is no parameter or input"):
        fg.jax.check(root, params, grad=slope, bounds=({"z": 0.0}, None))


def test_points_like_the_parameters_or_by_name():
    @jax.custom_vjp
    def square(w):
        return w**2

    square.defvjp(lambda w: (w**2, w), lambda w, g: (2 * jnp.clip(w, -1, 1) * g,))

    def loss(p):
        return jnp.sum(square(p["layers"][0]["x"])) + jnp.sum(p["y"])

    params = nested(jnp.asarray([0.3, -0.4]), normal(3))
    assert fg.jax.check(loss, params, points=2).verdict == "agrees"
    for there in (nested(jnp.asarray([3.0, -0.4]), normal(3)), {"layers.0.x": [3.0, -0.4]}):
        report = fg.jax.check(loss, params, points=[there])
        assert [point.verdict for point in report.points] == ["agrees", "disagrees"]
        assert blamed(report) == ["layers.0.x"]


def test_scale_and_step_like_the_parameters():
    def loss(p):
        return jnp.sum(jnp.sin(p["t"] / 60)) * p["w"]

    with jax.enable_x64(True):
        params = {"t": jnp.asarray([1.7e9]), "w": jnp.asarray(2.0)}
        for asked in (
            {"scale": {"t": jnp.asarray([60.0]), "w": 1.0}},
            {"step": {"t": 0.01, "w": 1e-4}},
        ):
            assert fg.jax.check(loss, params, **asked).verdict == "agrees"


def test_leaves_of_complex_numbers_are_named():
    params = {"w": normal(3), "z": jnp.ones(2, jnp.complex64)}
    report = fg.jax.check(lambda p: jnp.sum(p["w"] ** 2) + jnp.abs(p["z"]).sum(), params)
    assert [block.name for block in report.blocks] == ["w"]
    assert "Leaves of complex numbers were not checked: 'z'." in report.remarks
