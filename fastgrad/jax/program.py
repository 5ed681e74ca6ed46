"""A function of a pytree in one precision: its leaves by name, its value, and its gradient.

In float64 everything runs within ``jax.enable_x64``, which ends where it began: the configuration of
the caller is not changed.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import keystr, tree_flatten, tree_flatten_with_path, tree_unflatten

from fastgrad.arrays import Array, Floats
from fastgrad.evaluate.explain import name_of

STREAM = 0x636F74
"""Beside the seed, what draws cotangents."""


SCALAR_COTANGENT = -4.0
"""What the gradient of one number is asked with, and divided by: a rule that leaves out what it is given
is off by it. A power of two, so that nothing is rounded."""


class Program:
    """A function at some parameters.

    Parameters
    ----------
    loss : callable
        ``loss(params, *args)``, a scalar or a pytree of arrays.
    params : pytree
    args : tuple
    wide : bool
        Whether it computes in float64; else everything is as it was passed.
    seed : int
        Of the combination of outputs, where they are not a scalar.
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        params: Any,
        args: tuple[Any, ...],
        wide: bool,
        seed: int = 0,
    ):
        self.loss, self.wide, self.seed = loss, wide, seed
        self.name = name_of(loss)
        with self.x64():
            paths, self._tree = tree_flatten_with_path(params)
            self._given = [self._converted(leaf) for _, leaf in paths]
            arguments, self._arguments_tree = tree_flatten(args)
            self.arguments = [self._converted(leaf) for leaf in arguments]
        names = [keystr(path, simple=True, separator=".") or "params" for path, _ in paths]
        self._places = [k for k, leaf in enumerate(self._given) if is_inexact(leaf)]
        self.complex = tuple(names[k] for k, x in enumerate(self._given) if is_complex(x))
        """Leaves of complex numbers, which are constants."""
        if not self._places:
            raise TypeError(f"{self.name}: expected parameters of floating numbers, got none")
        self.leaves: dict[str, Any] = {names[k]: self._given[k] for k in self._places}
        self._cotangents: list[Array] | None = None
        self._require_outputs(self._shapes())

    @contextmanager
    def x64(self) -> Iterator[None]:
        """A context with float64, if that is what it computes in."""
        context: AbstractContextManager[Any] = jax.enable_x64(True) if self.wide else nullcontext()
        with context:
            yield

    @property
    def eps(self) -> float:
        """The rounding unit of the coarsest leaf."""
        return max(float(jnp.finfo(leaf.dtype).eps) for leaf in self.leaves.values())

    def values(self) -> dict[str, Array]:
        """Theta: the leaves as float64 arrays, by name."""
        return {name: np.asarray(leaf).astype(np.float64) for name, leaf in self.leaves.items()}

    def named(self, given: Any) -> Any:
        """What is like the parameters, by the names of leaves; anything else as it is."""
        parts, tree = tree_flatten(given)
        if tree != self._tree or isinstance(given, str):
            return given
        return {name: parts[k] for name, k in zip(self.leaves, self._places, strict=True)}

    def nearest(self, name: str, values: Array) -> Floats:
        """The nearest numbers that a leaf can hold."""
        return values.astype(self.leaves[name].dtype).astype(np.float64)

    def next(self, name: str, values: Array, ends: Array) -> Floats:
        """The numbers that a leaf can hold next to others, towards ends of infinity."""
        own = values.astype(self.leaves[name].dtype)
        return np.nextafter(own, ends.astype(own.dtype)).astype(np.float64)

    def scalar(self, leaves: list[Any], arguments: list[Any]) -> Any:
        """The loss, or the random combination of the outputs that stands for it; traced."""
        outputs = [jnp.asarray(out) for out in self._outputs_of(leaves, arguments)]
        if self.is_scalar:
            return outputs[0].reshape(())
        assert self._cotangents is not None
        kind = outputs[0].dtype if not self.wide else jnp.float64
        pairs = zip(self._cotangents, outputs, strict=True)
        return sum(jnp.sum(jnp.asarray(c, kind) * out.astype(kind)) for c, out in pairs)

    def outputs(self) -> list[Array]:
        """What it returns at its parameters, in float64."""
        with self.x64():
            found = jax.jit(self._outputs_of)(list(self.leaves.values()), self.arguments_given())
        return [np.asarray(out).astype(np.float64) for out in found]

    def gradient(
        self, theta: dict[str, Array], claimed: Callable[..., Any] | None
    ) -> dict[str, Array]:
        """The gradient at other values of the leaves: ``claimed``'s, or by ``jax.grad``."""
        with self.x64():
            leaves = [jnp.asarray(theta[name], leaf.dtype) for name, leaf in self.leaves.items()]
            if claimed is None:
                found = self._compiled(leaves, self.arguments_given())
            else:
                found = self._leaves_of(
                    claimed(self._params(leaves), *self._args(self.arguments_given()))
                )
            return dict(zip(self.leaves, map(_as_array, found), strict=True))

    @cached_property
    def _compiled(self) -> Callable[..., Any]:
        """JAX's gradient, compiled once: a method that is jitted anew is compiled anew."""
        return jax.jit(self._own_gradient)

    def _own_gradient(self, leaves: list[Any], arguments: list[Any]) -> Any:
        """That of JAX; of one number, by a cotangent that no rule may leave out."""
        if not self.is_scalar:
            return jax.grad(self.scalar)(leaves, arguments)
        value, backward = jax.vjp(lambda leaves: self.scalar(leaves, arguments), leaves)
        (found,) = backward(jnp.asarray(SCALAR_COTANGENT, value.dtype))
        return [g / jnp.asarray(SCALAR_COTANGENT, g.dtype) for g in found]

    def _leaves_of(self, gradient: Any) -> list[Any]:
        """The leaves of a gradient that a user computed, in order.

        Raises
        ------
        TypeError
        """
        parts, tree = tree_flatten(gradient)
        if tree != self._tree:
            raise TypeError(
                f"the gradient under test is a pytree {tree}: expected one like the parameters, "
                f"{self._tree}"
            )
        return [parts[k] for k in self._places]

    def _outputs_of(self, leaves: list[Any], arguments: list[Any]) -> list[Any]:
        out = self.loss(self._params(leaves), *self._args(arguments))
        return [part for part in tree_flatten(out)[0] if is_inexact(part)]

    def _shapes(self) -> list[Any]:
        """What it returns, in shapes alone.

        Raises
        ------
        TypeError
            It needs the values of its parameters.
        """
        try:
            with self.x64():
                return jax.eval_shape(
                    self._outputs_of, list(self.leaves.values()), self.arguments_given()
                )
        except jax.errors.JAXTypeError as error:
            first = str(error).partition("\n")[0]
            raise TypeError(
                f"{self.name} cannot be traced by JAX ({first}): expected one that jax.jit takes; "
                "fastgrad.check_grad checks one that computes with NumPy"
            ) from error

    def _require_outputs(self, outputs: list[Any]) -> None:
        if not outputs:
            raise TypeError(
                f"{self.name} returned no floating numbers: expected a loss, or outputs"
            )
        self.is_scalar = len(outputs) == 1 and math.prod(outputs[0].shape) == 1
        rng = np.random.default_rng([self.seed, STREAM])
        self._cotangents = [rng.standard_normal(out.shape).astype(np.float32) for out in outputs]

    def _params(self, leaves: list[Any]) -> Any:
        filled = list(self._given)
        for k, leaf in zip(self._places, leaves, strict=True):
            filled[k] = leaf
        return tree_unflatten(self._tree, filled)

    def _args(self, traced: list[Any]) -> tuple[Any, ...]:
        left = iter(traced)
        parts = [next(left) if is_array(part) else part for part in self.arguments]
        return tree_unflatten(self._arguments_tree, parts)

    def arguments_given(self) -> list[Any]:
        """The arguments that are arrays: no constants of the compiled code."""
        return [part for part in self.arguments if is_array(part)]

    def _converted(self, leaf: Any) -> Any:
        if isinstance(leaf, float):
            leaf = np.asarray(leaf, np.float64 if self.wide else np.float32)
        if not is_inexact(leaf):
            return jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf
        return jnp.asarray(leaf, jnp.float64) if self.wide else jnp.asarray(leaf)


def is_array(value: Any) -> bool:
    """Whether a leaf is an array of JAX or NumPy."""
    return isinstance(value, jax.Array | np.ndarray | np.generic)


def is_inexact(value: Any) -> bool:
    """Whether a leaf is of real floating numbers."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.floating)) and value.size > 0


def is_complex(value: Any) -> bool:
    """Whether a leaf is of complex numbers."""
    dtype = getattr(value, "dtype", type(value))
    return bool(jnp.issubdtype(dtype, jnp.complexfloating)) if is_array(value) else dtype is complex


def _as_array(gradient: Any) -> Array:
    """A leaf's gradient in a dtype that NumPy knows."""
    array = np.asarray(gradient)
    return array if array.dtype in (np.float64, np.float32) else array.astype(np.float32)
