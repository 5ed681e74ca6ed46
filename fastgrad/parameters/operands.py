"""The inputs of a function: which of their arrays are real numbers that may vary.

A layer takes what a loss never does: integers, masks, strings and configurations beside its arrays. What
is floating in them are *leaves*, by path; everything else is constant.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastgrad.arrays import Array
from fastgrad.errors import StructureMismatchError
from fastgrad.parameters.numbers import real_array
from fastgrad.parameters.trees import (
    Branch,
    children,
    describe,
    is_list_of_numbers,
    own_container,
    shortened,
    taken_apart,
)

FLOATING = "fc"
"""Kinds of numpy's dtypes that vary continuously; complex ones are refused when they are read."""


def is_floating(value: Any) -> bool:
    """Whether a value is a floating number, an array of them, or a list of them."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in FLOATING
    if isinstance(value, float | complex):
        return True
    return type(value) is list and is_list_of_numbers(value) and is_floating(np.asarray(value))


def is_leaf(value: Any, space: Any) -> bool:
    """Whether a value is one leaf: floating numbers, or whatever has one space to itself."""
    return is_floating(value) if space is None else not children(space)


def space_of(space: Any, key: Any) -> Any:
    """The space of one part, of a structure of spaces; None where it has none."""
    return None if space is None else dict(children(space)).get(key)


def floating_leaves(value: Any, path: str, space: Any = None) -> Iterator[tuple[str, Any]]:
    """What is floating in a structure, or has a space, each with its path."""
    if is_leaf(value, space):
        yield path, value
        return
    for key, child in children(value):
        yield from floating_leaves(child, f"{path}.{key}", space_of(space, key))


def with_leaves(value: Any, leaf: Callable[[Any], Any], space: Any = None) -> Any:
    """A structure with ``leaf(old)`` in the place of each floating leaf, in containers of its own."""
    if is_leaf(value, space):
        return leaf(value)
    parts = children(value)
    if not parts:
        return value
    container, keys, _ = taken_apart(value)
    made = [with_leaves(part, leaf, space_of(space, key)) for key, part in parts]
    return own_container(Branch(container, keys, ()), made)


@dataclass(frozen=True)
class Operands:
    """The inputs of a function at one point.

    Parameters
    ----------
    names : tuple of str
        What the function itself calls them.
    values : tuple
    chosen : tuple of int
        The inputs that are differentiated by; the others are constants.
    spaces : tuple, optional
        The space of each input, or structure of them; None for R^n.
    """

    names: tuple[str, ...]
    values: tuple[Any, ...]
    chosen: tuple[int, ...]
    spaces: tuple[Any, ...] = ()

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        values: tuple[Any, ...],
        argnums: Any,
        spaces: tuple[Any, ...] = (),
    ) -> "Operands":
        """The inputs, of which ``argnums`` (positions or names, one or several) are differentiated.

        By default those that have a space, or are numbers through and through, some of them floating.

        Raises
        ------
        ValueError, TypeError
            No such input, or nothing in it to differentiate by.
        """
        spaces = spaces or (None,) * len(values)
        if argnums is None:
            chosen = tuple(
                k
                for k, (value, space) in enumerate(zip(values, spaces, strict=True))
                if space is not None or _is_numeric(value)
            )
            if not chosen:
                kinds = ", ".join(
                    f"{name} is {describe(value)}"
                    for name, value in zip(names, values, strict=True)
                )
                raise TypeError(
                    "no input is floating, so there is nothing to differentiate by "
                    f"({kinds or 'there are no inputs'}): expected at least one array of floats"
                )
            return cls(tuple(names), values, chosen, spaces)
        several = isinstance(argnums, Sequence) and not isinstance(argnums, str)
        wanted = list(argnums) if several else [argnums]
        chosen = tuple(_position(names, which) for which in wanted)
        for k in chosen:
            if not any(True for _ in floating_leaves(values[k], "", spaces[k])):
                raise TypeError(
                    f"argnums: the input {names[k]} is {describe(values[k])}, with nothing floating "
                    "in it: expected numbers to differentiate by"
                )
        return cls(tuple(names), values, tuple(sorted(set(chosen))), spaces)

    def _space(self, k: int) -> Any:
        return self.spaces[k] if self.spaces else None

    @cached_property
    def theta(self) -> dict[str, Any]:
        """The leaves of the chosen inputs, by path."""
        return {
            path: leaf
            for k in self.chosen
            for path, leaf in floating_leaves(self.values[k], self.names[k], self._space(k))
        }

    @cached_property
    def space(self) -> dict[str, Any] | None:
        """The space of each leaf that has one, by path; None where none has."""
        found = {
            path: space
            for k in self.chosen
            for path, space in _alone(self._space(k), self.names[k])
        }
        return found or None

    def filled(self, leaves: Mapping[str, Any]) -> tuple[Any, ...]:
        """The inputs with other leaves; constants as they are, in containers of their own."""
        left = iter(leaves.values())
        return tuple(
            with_leaves(value, lambda _: next(left), self._space(k))
            if k in self.chosen
            else with_leaves(value, lambda same: same, self._space(k))
            for k, value in enumerate(self.values)
        )

    def laid_out(self, result: Any, who: str) -> dict[str, Array]:
        """What a backward pass returned, by the paths of the leaves.

        Parameters
        ----------
        result
            A tuple or list of one for each chosen input, or of one for each input (those of constants
            are not looked at); a dict by the names of inputs; or what belongs to the only one.

        Raises
        ------
        StructureMismatchError, TypeError
            Another number of them, a wrong shape, or none: which, expected, and what came.
        """
        found: dict[str, Array] = {}
        for k, part in zip(self.chosen, self._parts(result, who), strict=True):
            space = self._space(k)
            for path, leaf, given in paired(self.values[k], part, self.names[k], who, space):
                alone = self.space is not None and path in self.space and given is not None
                found[path] = given if alone else shaped_like(leaf, given, path, who)
        return found

    def _parts(self, result: Any, who: str) -> list[Any]:
        """One part for each chosen input."""
        names = [self.names[k] for k in self.chosen]
        if isinstance(result, Mapping) and set(names) <= set(result):
            return [result[name] for name in names]
        is_sequence = isinstance(result, tuple | list)
        if is_sequence and len(result) == len(self.values):
            if len(self.values) > 1 or not isinstance(self.values[0], tuple | list):
                return [result[k] for k in self.chosen]
        elif is_sequence and len(result) == len(names) > 1:
            return list(result)
        if len(names) == 1:
            return list(result) if is_sequence and len(result) == 1 else [result]
        got = f"a {type(result).__name__} of {len(result)}" if is_sequence else describe(result)
        raise StructureMismatchError(
            f"{who} returned {got}: expected a tuple of {len(names)}, one for each of "
            f"{shortened(names)}; argnums= says which inputs to check, if not all of them"
        )


def _position(names: Sequence[str], which: Any) -> int:
    if isinstance(which, str):
        if which in names:
            return list(names).index(which)
        raise ValueError(f"argnums: there is no input {which!r}; there are {shortened(names)}")
    if not isinstance(which, int) or isinstance(which, bool):
        raise TypeError(
            f"argnums has {which!r}: expected positions of inputs, or their names "
            f"({shortened(names)})"
        )
    if not -len(names) <= which < len(names):
        raise ValueError(f"argnums: there is no input {which}; there are {len(names)}, from 0")
    return which % len(names)


def _is_numeric(value: Any) -> bool:
    """Whether there are floating numbers in an input, and beside them none but other numbers."""

    def kinds(part: Any) -> Iterator[str]:
        if is_floating(part):
            yield "floating"
        elif inside := children(part):
            for _, child in inside:
                yield from kinds(child)
        else:
            yield "number" if np.asarray(part).dtype.kind in "iub" else "other"

    found = set(kinds(value))
    return "floating" in found and "other" not in found


def _alone(space: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The spaces in a structure of them, by path."""
    if space is not None and not children(space):
        yield path, space
    for key, part in children(space):
        yield from _alone(part, f"{path}.{key}")


def paired(
    value: Any, part: Any, path: str, who: str, space: Any = None
) -> Iterator[tuple[str, Any, Any]]:
    """The leaves of an input, each with its path and with what stands for it in ``part``."""
    if is_leaf(value, space):
        yield path, value, part
        return
    given = dict(children(part))
    for key, child in children(value):
        if not any(True for _ in floating_leaves(child, "", space_of(space, key))):
            continue
        if key not in given:
            raise StructureMismatchError(
                f"{who} returned {describe(part)} for {path}: expected {key!r} in it, as {path} "
                f"has{f'; it has {shortened(list(map(str, given)))}' if given else ''}"
            )
        yield from paired(child, given[key], f"{path}.{key}", who, space_of(space, key))


def shaped_like(leaf: Any, given: Any, path: str, who: str) -> Array:
    shape = np.shape(leaf)
    if given is None:
        raise TypeError(
            f"{who} returned None for {path}: expected numbers of shape {shape}, as {path} has (is a "
            "return value missing? argnums= says which inputs to check, if not all of them)"
        )
    array = real_array(given, f"what {who} returned for {path}")
    if array.shape == shape:
        return array
    hint = ""
    if array.shape == shape[::-1]:
        hint = ": transposed?"
    elif array.size == int(np.prod(shape)):
        hint = f": is .reshape({path}.shape) missing?"
    elif array.ndim > len(shape) and array.shape[-len(shape) or array.ndim :] == shape:
        hint = ": is a sum over the leading axis missing?"
    raise StructureMismatchError(
        f"{who} returned shape {array.shape} for {path}: expected {shape}, as {path} has{hint}"
    )
