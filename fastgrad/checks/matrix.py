"""The Jacobian under test: the matrix of outputs x inputs that arrays or structures stand for."""

from functools import partial
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats
from fastgrad.errors import MutatedInputError, StructureMismatchError
from fastgrad.evaluate.argument_guard import ArgumentGuard
from fastgrad.evaluate.explain import name_of
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.layout import Layout, flatten
from fastgrad.parameters.numbers import real_array
from fastgrad.parameters.operands import floating_leaves, is_floating, paired
from fastgrad.parameters.outputs import Outputs
from fastgrad.parameters.trees import children, describe, shortened
from fastgrad.spaces.points import copied, numbers_of


def asked(function: Any, args: tuple[Any, ...], guarded: tuple[Any, ...] = ()) -> Any:
    """What a function gives at ``args``, its first as a copy; values that are given are as they are.

    Raises
    ------
    MutatedInputError
        It wrote to its first argument, or to one of ``guarded``.
    """
    if not callable(function):
        return function
    first, *others = args
    own = copied(first)
    guard = ArgumentGuard(guarded, lambda k: f"{k + 1} after the first", name_of(function))
    result = function(own, *others)
    guard.check()
    before, after = _numbers(first), _numbers(own)
    changed = np.flatnonzero(before != after)
    if changed.size:
        raise MutatedInputError(
            f"{name_of(function)} wrote to its first argument (an entry was "
            f"{before[changed[0]]:.17g}, became {after[changed[0]]:.17g}): expected it to leave its "
            "inputs alone; copy what it changes first"
        )
    return result


def _numbers(value: Any) -> Floats:
    """The numbers of an argument that must not be written to; none of a point that shows none."""
    known = numbers_of(value)
    if known is None and children(value):
        known = flatten(value)[1]
    return np.zeros(0) if known is None else known


def is_sparse(value: Any) -> bool:
    """Whether it is one of scipy's sparse arrays or matrices, which is then loaded already."""
    return hasattr(value, "tocsc") and hasattr(value, "nnz")


def dense_matrix(value: Any, outputs: Outputs, layout: Layout, who: str) -> tuple[Floats, float]:
    """A Jacobian as outputs x inputs, and the rounding unit that it was given in.

    Parameters
    ----------
    value
        One array of shape (outputs, inputs), or ``out.shape + x.shape``; a structure like the outputs,
        of arrays or of structures like the inputs.

    Raises
    ------
    StructureMismatchError, TypeError
        It has another shape: where, expected, and what came.
    """
    p, n = outputs.layout.size, layout.size
    several = len(outputs.layout.blocks) * len(layout.blocks) > 1
    units: list[float] = []

    def as_matrix(rows: Block, place: str, part: Any, columns: Block) -> Floats:
        if several:
            place = f" for {rows.name} / {columns.name}"
        array = real_array(part, f"{who}{place}")
        units.append(_unit(array))
        return _reshaped(array, rows.shape + columns.shape, (rows.size, columns.size), who, place)

    if isinstance(value, np.ndarray | list) and not children_of_arrays(value):
        whole = real_array(value, who)
        one_output, one_input = len(outputs.layout.blocks) == 1, len(layout.blocks) == 1
        shape: tuple[int, ...] = (p, n)
        if one_output and one_input:
            shape = outputs.layout.blocks[0].shape + layout.blocks[0].shape
        if (one_output and one_input) or whole.shape == (p, n):
            return _reshaped(whole, shape, (p, n), who, ""), _unit(whole)
    rows = []
    for block, part in zip(outputs.layout.blocks, _by_output(value, outputs, who), strict=True):
        place = f" for {block.name}" if len(outputs.layout.blocks) > 1 else ""
        parts = layout.match(part, f"{who}{place}", partial(as_matrix, block, place))
        rows.append(np.hstack(parts))
    return np.vstack(rows), max(units)


def children_of_arrays(value: Any) -> bool:
    """Whether a list holds arrays, and is a structure."""
    return isinstance(value, list) and any(isinstance(child, np.ndarray) for child in value)


def _by_output(value: Any, outputs: Outputs, who: str) -> list[Any]:
    """What stands for each output."""
    if is_floating(outputs.example):
        return [value]
    if not children(value):
        names = ", ".join(block.name for block in outputs.layout.blocks)
        raise StructureMismatchError(
            f"{who} is {describe(value)}: expected a structure like the outputs ({names}), or one "
            f"array of {outputs.layout.size} rows"
        )
    root, given = outputs.layout.root, dict(children(value))
    for key, child in children(outputs.example):
        if key not in given and any(floating_leaves(child, "")):
            held = f"; it has {shortened(list(map(str, given)))}" if given else ""
            raise StructureMismatchError(
                f"{who} is {describe(value)}: expected {key!r} in it, as {root} has{held}"
            )
    return [part for _, _, part in paired(outputs.example, value, root, who)]


def _reshaped(
    array: Array, shape: tuple[int, ...], flat: tuple[int, int], who: str, place: str
) -> Floats:
    """An array of ``shape``, or flat already, as a matrix."""
    if array.shape in (shape, flat) or (array.size == 1 == flat[0] * flat[1]):
        return array.astype(np.float64).reshape(flat)
    if (flat[0] == 1 and array.shape == (flat[1],)) or (flat[1] == 1 and array.shape == (flat[0],)):
        return array.astype(np.float64).reshape(flat)
    turned = array.ndim == 2 and array.shape == flat[::-1]
    wanted = f"{flat}" + (f" or {shape}" if shape != flat else "")
    raise StructureMismatchError(
        f"{who}{place} has shape {array.shape}: expected {wanted}, a row for each output and a column "
        f"for each input{': transposed?' if turned else ''}"
    )


def _unit(array: Array) -> float:
    return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0


def caller_of(function: Any, value: str) -> str:
    """What to call what a function gives in messages, or the ``value`` that was given for it."""
    return f"what {name_of(function)} returned" if callable(function) else value
