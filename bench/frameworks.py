"""Checkers of torch and jax on nets whose parameters have faults planted; True means it passes.

torch's own gradcheck is given the parameters by `torch.func.functional_call`: by itself it looks at
inputs alone. The nets of jax are the same perceptrons.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np

from bench.rivals import version

PRECISIONS = "float64", "float32", "bfloat16"
FAULTS = (
    *("1% too large", "twice", "a row zero", "bias mean for sum", "wrong activation", "no L2"),
    "detached path",
)
L2, ROWS = 1e-2, 16
SIZES = {"mlp": (64, 256, 256, 64, 10), "small mlp": (6, 10, 10, 5, 3)}


@dataclass(frozen=True)
class FrameworkChecker:
    """``passes(net, precision, seed, fault)``; ``nets`` are those that it is quick enough for.

    ``seeds``: how many; one for those of jax, which compiles anew for every net.
    """

    name: str
    package: str
    passes: Callable[[str, str, int, str | None], bool]
    nets: tuple[str, ...] = ("small mlp", "mlp", "transformer")
    seeds: int = 3

    @property
    def installed(self) -> bool:
        return version(self.package) is not None


def of_torch(check: Callable[[Any, tuple[Any, ...]], bool]) -> Callable[..., bool]:
    def passes(net: str, precision: str, seed: int, fault: str | None) -> bool:
        import torch

        from tests.extras.nets import problem

        return check(*problem(net, getattr(torch, precision), seed, fault))

    return passes


def fastgrad_torch(module: Any, inputs: tuple[Any, ...]) -> bool:
    import fastgrad.torch

    asked = {"wrt": "parameters", "strategy": "screen", "budget": None}
    return fastgrad.torch.check(module, *inputs, **asked).verdict == "agrees"


def torch_gradcheck(module: Any, inputs: tuple[Any, ...], fast_mode: bool) -> bool:
    import torch

    names = [name for name, _ in module.named_parameters()]

    def loss(*parameters):
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(module, given, inputs)

    given = tuple(p.detach().clone().requires_grad_() for p in module.parameters())
    gradcheck = sys.modules["torch.autograd.gradcheck"]
    try:
        # Where fast mode fails it takes the slow Jacobian for its message: hours for 1e5 parameters.
        with mock.patch.object(gradcheck, "_run_slow_mode_and_get_error", return_value=""):
            passed = gradcheck.gradcheck(loss, given, fast_mode=fast_mode, raise_exception=False)
    except RuntimeError:  # a precision that it does not take
        return False
    return bool(passed)


def jax_net(net: str, precision: str, seed: int, fault: str | None) -> tuple[Any, ...]:
    """The loss, its parameters and its data; as `tests.extras.nets.Perceptron`."""
    import jax
    import jax.numpy as jnp

    rng, sizes = np.random.default_rng(seed), SIZES[net]
    dtype = jnp.dtype(precision)
    changes = {
        "1% too large": lambda g: 1.01 * g,
        "twice": lambda g: 2 * g,
        "a row zero": lambda g: g.at[:, 2].set(0),
    }

    def faulty(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
        identity = jax.custom_vjp(lambda w: w)
        identity.defvjp(lambda w: (w, None), lambda _, g: (change(g).astype(g.dtype),))
        return identity

    weight = faulty(changes[fault]) if fault in changes else lambda w: w
    bias = faulty(lambda g: g / ROWS) if fault == "bias mean for sum" else lambda b: b
    path = jax.lax.stop_gradient if fault == "detached path" else lambda h: h
    penalty = jax.lax.stop_gradient if fault == "no L2" else lambda p: p

    @jax.custom_vjp
    def silu(x):
        return x * jax.nn.sigmoid(x)

    def backward(x, g):
        s = jax.nn.sigmoid(x)
        return (g * (s if fault == "wrong activation" else s + x * s * (1 - s)),)

    silu.defvjp(lambda x: (silu(x), x), backward)

    def loss(p, x, y):
        h = silu(x @ p["W0"] + p["b0"])
        z = jnp.tanh(h @ weight(p["W1"]) + bias(p["b1"])) + path(h)
        out = jnp.tanh(z @ p["W2"] + p["b2"]) @ p["W3"] + p["b3"]
        wide = jnp.promote_types(out.dtype, jnp.float32)
        logs = jax.nn.log_softmax(out.astype(wide))
        square = L2 * (p["W1"].astype(wide) ** 2).sum()
        return -jnp.take_along_axis(logs, y[:, None], 1).mean() + penalty(square)

    params = {}
    for k, (n, m) in enumerate(pairwise(sizes)):
        params[f"W{k}"] = jnp.asarray(rng.uniform(-1, 1, (n, m)) / np.sqrt(n), dtype)
        params[f"b{k}"] = jnp.asarray(rng.uniform(-1, 1, m) / np.sqrt(n), dtype)
    x, y = rng.standard_normal((ROWS, sizes[0])), rng.integers(sizes[-1], size=ROWS)
    return loss, params, jnp.asarray(x, dtype), jnp.asarray(y)


def of_jax(check: Callable[..., bool]) -> Callable[..., bool]:
    def passes(net: str, precision: str, seed: int, fault: str | None) -> bool:
        import jax

        with jax.enable_x64(precision == "float64"):
            return check(*jax_net(net, precision, seed, fault))

    return passes


def fastgrad_jax(loss: Any, params: Any, *args: Any) -> bool:
    import fastgrad.jax

    asked = {"strategy": "screen", "budget": None}
    return fastgrad.jax.check(loss, params, *args, **asked).verdict == "agrees"


def jax_check_grads(loss: Any, params: Any, *args: Any) -> bool:
    from jax.test_util import check_grads

    try:
        check_grads(lambda p: loss(p, *args), (params,), order=1, modes=["rev"])
    except AssertionError:
        return False
    return True


CHECKERS = (
    FrameworkChecker("fastgrad.torch.check", "torch", of_torch(fastgrad_torch)),
    FrameworkChecker(
        "torch gradcheck",
        "torch",
        of_torch(partial(torch_gradcheck, fast_mode=False)),
        ("small mlp",),
    ),
    FrameworkChecker(
        "torch gradcheck, fast_mode", "torch", of_torch(partial(torch_gradcheck, fast_mode=True))
    ),
    FrameworkChecker("fastgrad.jax.check", "jax", of_jax(fastgrad_jax), ("mlp",), 1),
    FrameworkChecker("jax check_grads", "jax", of_jax(jax_check_grads), ("mlp",), 1),
)
