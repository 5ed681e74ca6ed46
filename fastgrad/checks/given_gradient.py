"""The gradient under test as it is given: numbers in the structure of theta, or a function of theta."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats, Mask
from fastgrad.dispatchers import is_njit
from fastgrad.errors import MutatedInputError, StructureMismatchError
from fastgrad.evaluate.argument_guard import ArgumentGuard
from fastgrad.evaluate.explain import require_taken
from fastgrad.parameters.arguments import Argnum, merged, place_of
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.labels import matched
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.native import native_argument
from fastgrad.parameters.numbers import real_array, rounding_of
from fastgrad.parameters.trees import completed, parts_of
from fastgrad.spaces.layout import SpaceLayout

MOST_PARTS = 4
"""A tuple of so many is looked through for the gradient."""
MOST_POINT = 64
"""Numbers of a point that may have a tangent space of fewer: poses, rotations, quaternions."""


class SeveralGradientsError(TypeError):
    """The gradient under test returned several things like theta: it may be one with a Hessian."""

    def __init__(self, message: str, parts: int):
        super().__init__(message)
        self.parts = parts


@dataclass(frozen=True)
class Gradient:
    """The gradient under test as a function, and how to call it.

    A compiled gradient gets the NamedTuple that the compiled loss gets, a Python callable a copy of
    theta as the user passed it. It may return theta's structure or one flat vector.

    Parameters
    ----------
    function : callable
    layout : Layout
    flat : ndarray, shape (n,)
    theta : object
        The same as the user passed it.
    args : tuple
    """

    function: Callable[..., Any]
    layout: Layout
    flat: Floats
    theta: Any
    args: tuple[Any, ...]
    argnum: Argnum = 0
    """The position of theta among its arguments."""

    def here(self) -> tuple[Floats, Floats]:
        """Its values at theta, and the rounding unit of each block.

        Raises
        ------
        MutatedInputError
            The gradient wrote to theta or to another argument.
        StructureMismatchError, TypeError
            It is not shaped like theta, or not made of real numbers.
        """
        guard = ArgumentGuard(self.args, lambda k: self._name(k), "the gradient under test")
        value = self._call(self.flat, self.theta)
        guard.check()
        try:
            return flat_gradient(value, self.layout)
        except StructureMismatchError as error:
            hint = self._other_theta(value)
            if not hint:
                raise
            raise StructureMismatchError(f"{error}{hint}") from None

    def free(self) -> Mask | None:
        """What may be perturbed, as `free_by_claim` has it: asked only where integers are arrays."""
        if not any(block.of_integers for block in self.layout.blocks):
            return None
        return free_by_claim(self._call(self.flat, self.theta), self.layout)

    def _other_theta(self, value: Any) -> str:
        """What to do where the gradient is shaped like another argument, which may be theta."""
        for k, argument in enumerate(self.args):
            if (
                isinstance(argument, np.ndarray)
                and argument.shape == np.shape(value)
                and argument.ndim
            ):
                place = place_of(k, self.argnum)
                return (
                    f". It is shaped like argument {place} of the loss, counted from 0: if that is "
                    f"theta, give it as theta, the others after it, and argnum={place}"
                )
        return ""

    def _name(self, k: int) -> str:
        return f"number {place_of(k, self.argnum)}" if self.argnum else f"{k + 1} after theta"

    def elsewhere(self, point: Floats) -> Floats:
        """Its values at another point, shape (n,)."""
        compiled = is_njit(self.function)
        there = None if compiled else self.layout.given(point.copy())
        return flat_gradient(self._call(point, there), self.layout)[0]

    def error_bars(self) -> Floats | None:
        """How far its values may be off by its own rounding, shape (n,), if it says so.

        That is a method ``error_bars(theta)`` of the function, which returns what is shaped like theta.
        """
        ask = getattr(self.function, "error_bars", None)
        return None if ask is None else flat_gradient(ask(self.theta), self.layout)[0]

    def _call(self, flat: Floats, theta: Any) -> Any:
        """The gradient at a point; it must leave its own copy of the point alone."""
        if is_njit(self.function):
            own = flat.copy()
            others = list(map(native_argument, self.args))
            result = self.function(*merged(self.layout.native(own), others, self.argnum))
        else:
            given = self.layout.copied(theta)
            if isinstance(self.layout, SpaceLayout):  # points are in precisions of their own
                flat = self.layout.reread(given)
            arguments = merged(given, self.args, self.argnum)
            try:
                result = self.function(*arguments)
            except TypeError:
                require_taken(self.function, len(arguments))
                raise
            own = self.layout.reread(given)
        changed = np.flatnonzero(own != flat)
        if changed.size:
            raise MutatedInputError(
                f"the gradient under test wrote to theta ({self.layout.name(int(changed[0]))} was "
                f"{flat[changed[0]]:.17g}, became {own[changed[0]]:.17g}): expected it to leave "
                "its parameters alone"
            )
        return result


def flat_gradient(gradient: Any, layout: Layout) -> tuple[Floats, Floats]:
    """A gradient's values along the flat theta, and the rounding unit of each block.

    Raises
    ------
    StructureMismatchError, TypeError
        It is not shaped like theta, or not made of real numbers.
    """
    if gradient is None:
        raise TypeError(
            "the gradient under test returned None: expected numbers shaped like theta (is a "
            "return statement missing?)"
        )
    units = np.full(len(layout.blocks), np.finfo(np.float64).eps)
    if isinstance(layout, SpaceLayout):
        return layout.claimed(gradient, "the gradient under test")
    if isinstance(gradient, np.ndarray) and gradient.shape == (layout.size,):
        array = real_array(gradient, "the gradient under test")
        units[:] = rounding_of(array)
        return array.astype(np.float64), units

    _require_alone(gradient, layout)
    gradient = _with_constants(gradient, layout)
    numbers = count()

    def leaf(part: Any, block: Block) -> Array:
        b = next(numbers)
        if b in layout.constants:
            return np.zeros(block.size)
        if b in layout.templates:
            part = matched(layout.templates[b], part, f"the gradient under test for {block.name}")
        array = real_array(part, f"the gradient under test for {block.name}")
        _require_like(array, block, layout)
        units[layout.blocks.index(block)] = rounding_of(array)
        return array.astype(np.float64).ravel()

    return np.concatenate(layout.match(gradient, "the gradient under test", leaf)), units


def _with_constants(gradient: Any, layout: Layout) -> Any:
    """A gradient with zeros for what it left out, where that is not perturbed."""
    if not layout.constants:
        return gradient
    names = {layout.blocks[b].name for b in layout.constants}
    return completed(gradient, layout.tree, names, layout.root)


def free_by_claim(gradient: Any, layout: Layout) -> Mask | None:
    """What may be perturbed where nobody says so: all but integers that the gradient has nothing for.

    Arrays of integers beside floats, such as indices, are constants unless the gradient under test
    has numbers for them.
    """
    if isinstance(gradient, np.ndarray) and gradient.shape == (layout.size,):
        return None
    free = np.ones(layout.size, np.bool_)
    parts = parts_of(gradient, layout.tree)
    for part, block in zip(parts, layout.blocks, strict=True):
        if block.of_integers and (part is None or _is_integer_zero(part)):
            free[block.start : block.stop] = False
    return None if free.all() or not free.any() else free


def _is_integer_zero(part: Any) -> bool:
    array = np.asarray(part)
    return array.dtype.kind in "iub" and not array.any()


def _require_alone(gradient: Any, layout: Layout) -> None:
    """Raise TypeError for (value, gradient), (gradient, hessian), or one gradient an argument."""
    if (
        type(gradient) is not tuple
        or not 1 < len(gradient) <= MOST_PARTS
        or _is_like(gradient, layout)
    ):
        return
    alike = [k for k, part in enumerate(gradient) if _is_like(part, layout)]
    if not alike:
        return
    said = f"the gradient under test returned a tuple of {len(gradient)}"
    take = f"hand over lambda *args: f(*args)[{alike[0]}]"
    if len(alike) == 1:
        place = ("first", "second", "third", "fourth")[alike[0]]
        raise TypeError(
            f"{said}: expected the gradient alone. Its {place} part is shaped like "
            f"{layout.root}: {take}, with f your function"
        )
    raise SeveralGradientsError(
        f"{said}, and {len(alike)} of them are shaped like {layout.root}: expected the gradient "
        f"alone. If it is (gradient, hessian), {take}; if there is one for each argument, give these "
        f"as one tuple, (x, y, ...), with argnum={tuple(range(len(gradient)))}",
        len(gradient),
    )


def _is_like(part: Any, layout: Layout) -> bool:
    """Whether something is laid out like theta."""
    try:
        found = layout.match(part, "", lambda own, _: np.asarray(own))
    except (StructureMismatchError, TypeError, ValueError):
        return False
    return all(
        array.dtype.kind in "iuf" and array.shape == block.shape
        for array, block in zip(found, layout.blocks, strict=True)
    )


def _require_like(array: Array, block: Block, layout: Layout) -> None:
    if array.shape == block.shape:
        return
    flat = f", or one flat vector of {layout.size}" if not layout.plain or block.shape else ""
    raise StructureMismatchError(
        f"the gradient under test for {block.name}: expected shape {block.shape}, as the "
        f"parameters have{flat}; got {array.shape}{_transposed(array, block)}{_tangent(array, block)}"
    )


def _transposed(array: Array, block: Block) -> str:
    """Whether the shape is the other way round."""
    return " (is it transposed?)" if array.shape == block.shape[::-1] else ""


def _tangent(array: Array, block: Block) -> str:
    """What a gradient with fewer numbers than the parameters may be."""
    of_batch = array.shape[:-1] == block.shape[: array.ndim - 1]
    points = array.size // array.shape[-1] if array.ndim and array.size else 0
    if not points or not of_batch or not array.size < block.size <= points * MOST_POINT:
        return ""
    if array.ndim > 1:
        return (
            f" ({array.shape[-1]} numbers for {block.size // points} each: a gradient in tangent "
            "spaces? Say which by space=, such as fg.spaces.pose())"
        )
    return (
        f" ({array.size} numbers for {block.size}: a gradient in a tangent space? Say which by space=, "
        f"such as fg.spaces.pose() or fg.Space(retract, dim={array.size}))"
    )
