"""Who else checks a gradient, each called as its own documentation says; True means it passes.

torch gets the compiled loss as a `torch.autograd.Function`, jax and autograd the same formula in
their own arrays; in all three the backward pass returns the gradient under test.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import fastgrad as fg
from bench.rivals import textbook_loop, version

NORM_RATIO = 2e-7
"""The rule of textbooks and courses: ||a - D|| / (||a|| + ||D||), with a step of 1e-7."""


@dataclass(frozen=True)
class Checker:
    """``passes(problem, gradient under test)``; a problem has loss, model, theta and args."""

    name: str
    package: str
    passes: Callable[[Any, Callable[..., np.ndarray]], bool]

    @property
    def installed(self) -> bool:
        return version(self.package) is not None


def fastgrad_check(problem: Any, gradient: Callable, strategy: str = "sweep") -> bool:
    return fastgrad_verdict(problem, gradient, strategy) == "agrees"


def fastgrad_verdict(problem: Any, gradient: Callable, strategy: str = "sweep") -> str:
    return fg.check_grad(
        problem.loss, gradient, problem.theta, *problem.args, strategy=strategy
    ).verdict


def torch_gradcheck(problem: Any, gradient: Callable, fast_mode: bool) -> bool:
    import torch

    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, theta):
            ctx.save_for_backward(theta)
            value = problem.loss(theta.detach().numpy(), *problem.args)
            return torch.tensor(value, dtype=torch.float64)

        @staticmethod
        def backward(ctx, upstream):
            (theta,) = ctx.saved_tensors
            g = gradient(theta.detach().numpy(), *problem.args)
            return upstream * torch.from_numpy(np.asarray(g))

    theta = torch.tensor(problem.theta, dtype=torch.float64, requires_grad=True)
    return bool(
        torch.autograd.gradcheck(Loss.apply, (theta,), fast_mode=fast_mode, raise_exception=False)
    )


def jax_check_grads(problem: Any, gradient: Callable) -> bool:
    import jax
    import jax.numpy as jnp
    from jax.test_util import check_grads

    with jax.enable_x64(True):

        @jax.custom_vjp
        def loss(theta):
            return problem.model(jnp, theta, *problem.args)

        def forward(theta):
            return loss(theta), theta

        def backward(theta, upstream):
            return (upstream * jnp.asarray(gradient(np.asarray(theta), *problem.args)),)

        loss.defvjp(forward, backward)
        try:
            check_grads(loss, (jnp.asarray(problem.theta),), order=1, modes=["rev"])
        except AssertionError:
            return False
    return True


def autograd_check_grads(problem: Any, gradient: Callable) -> bool:
    import autograd.numpy as anp
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    loss = primitive(lambda theta: problem.model(anp, theta, *problem.args))
    defvjp(loss, lambda value, theta: lambda up: up * gradient(theta, *problem.args))
    try:
        check_grads(loss, modes=["rev"], order=1)(problem.theta.copy())
    except AssertionError:
        return False
    return True


def textbook_rule(problem: Any, gradient: Callable) -> bool:
    a = np.asarray(gradient(problem.theta, *problem.args))
    D = textbook_loop(partial(numpy_value, problem), problem.theta, h=1e-7)
    return bool(np.linalg.norm(a - D) <= NORM_RATIO * (np.linalg.norm(a) + np.linalg.norm(D)))


def numpy_value(problem: Any, theta: np.ndarray) -> float:
    return float(problem.model(np, theta, *problem.args))


def has_screen() -> bool:
    """Whether this version of check_grad knows the strategy."""
    return '"screen"' in (inspect.getdoc(fg.check_grad) or "")


CHECKERS = (
    Checker("fastgrad", "numpy", fastgrad_check),
    Checker("torch gradcheck", "torch", partial(torch_gradcheck, fast_mode=False)),
    Checker("torch gradcheck, fast_mode", "torch", partial(torch_gradcheck, fast_mode=True)),
    Checker("jax check_grads", "jax", jax_check_grads),
    Checker("autograd check_grads", "autograd", autograd_check_grads),
    Checker("textbook rule, NumPy", "numpy", textbook_rule),
)
SCREEN = Checker("fastgrad, screen", "numpy", partial(fastgrad_check, strategy="screen"))
