"""The arrays that a loss computes with beside theta, as far as laws ask for them."""

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from fastgrad.arrays import Indices
from fastgrad.checks.diagnose.known_numbers import Size
from fastgrad.evaluate.read_from_outside import values_read
from fastgrad.evaluate.signature import argument_name
from fastgrad.parameters.arguments import Argnum, place_of


class Data(NamedTuple):
    """What is known of the arrays that a loss is given, and of those that it reads from outside."""

    lengths: tuple[Size, ...]
    indices: dict[str, Indices]
    """Those of whole numbers, by name."""


def data_of(loss: Callable[..., Any], argnum: Argnum, args: tuple[Any, ...]) -> Data:
    """The arrays among the arguments of a loss, which theta is none of, and outside it."""
    read = _arrays_read(loss)
    given = {k: value for k, value in enumerate(args) if isinstance(value, np.ndarray)}
    lengths = [
        Size(len(a), "m", f"m = {len(a)} is the length of an argument of the loss")
        for a in given.values()
        if a.ndim
    ]
    lengths += [
        Size(len(a), "m", f"m = {len(a)} is the length of {name}, which the loss reads")
        for name, a in read.items()
        if a.ndim
    ]
    known = dict(read)
    known |= {argument_name(loss, place_of(k, argnum)): value for k, value in given.items()}
    indices = {name: value for name, value in known.items() if value.dtype.kind in "iu"}
    return Data(tuple(lengths), indices)


def _arrays_read(function: Any, seen: frozenset[Any] = frozenset()) -> dict[str, Any]:
    """The arrays that a function, or a plain one that it reads, reads from outside, by name."""
    plain = getattr(function, "py_func", getattr(function, "__func__", function))
    found: dict[str, Any] = {}
    for name, value in values_read(plain) if type(plain) is FunctionType else ():
        if isinstance(value, np.ndarray):
            found[name] = value
        elif type(value) is FunctionType and value not in seen:
            found = {**_arrays_read(value, seen | {value}), **found}
    return found
