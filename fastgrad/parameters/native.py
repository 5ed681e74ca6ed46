"""What compiled code is handed for Python's containers, which numba does not know.

Dicts and dataclasses become NamedTuples of the same fields, lists tuples.
"""

import unicodedata
from collections import namedtuple
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastgrad.arrays import Array, Indices
from fastgrad.errors import LossCompilationError
from fastgrad.parameters.trees import (
    Branch,
    Kept,
    Leaf,
    Node,
    is_list_of_numbers,
    is_record,
    kept,
    taken_apart,
)

KEYS = "__keys__"


def native_container(node: Branch, parts: list[Any]) -> Any:
    """The container that stands for a branch in compiled code."""
    if node.container in (list, tuple):
        return tuple(parts)
    return record(node.container, node.keys)(*parts)


def native_argument(value: Any) -> Any:
    """Another argument of the loss as compiled code takes it; arrays are copied if they must be.

    Dicts and dataclasses become NamedTuples, lists of numbers arrays, other lists tuples. A
    strided array is made contiguous: numba cannot reshape one, and copies it for every BLAS call.
    """
    if isinstance(value, np.ndarray):
        if not (value.flags.c_contiguous or value.flags.f_contiguous):
            value = np.ascontiguousarray(value)
        return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))
    if hasattr(value, "_numba_type_"):  # numba.typed.Dict is a Mapping too
        return value
    if type(value) is list and is_list_of_numbers(value):
        return np.asarray(value)
    if isinstance(value, Mapping) or is_record(value):
        container, keys, parts = taken_apart(value)
        return record(container, keys)(*map(native_argument, parts))
    if type(value) in (list, tuple):
        return tuple(map(native_argument, value))
    return value


def plain_array(array: Array) -> Array:
    """An array itself if it is writeable and in C order, else a copy that is."""
    return array if array.flags.carray else np.require(array, requirements=("C", "W"))


@lru_cache(maxsize=1024)
def record(container: type, keys: tuple[Any, ...]) -> type:
    """The NamedTuple class that stands for a container in compiled code.

    That of a dict has them in its attribute `KEYS`, and can be asked for them; those that are no
    names are not attributes.

    Raises
    ------
    LossCompilationError
        A key that compiled code cannot be asked for.
    """
    if issubclass(container, tuple):
        return container
    is_dict = container is dict
    for key in keys:
        if not isinstance(key, str) or (not is_dict and key[0] == "_"):
            raise LossCompilationError(
                f"the key {key!r} cannot be a field of a NamedTuple, which is what a compiled loss "
                'receives for a dict: expected a string, or backend="python"',
                f"the key {key!r} is no field of a NamedTuple",
            )
    seen: dict[str, Any] = {}
    for key in keys:
        other = seen.setdefault(unicodedata.normalize("NFKC", key), key)
        if other is not key and other != key:
            raise LossCompilationError(
                f"the keys {other!r} and {key!r} are one and the same name to Python, which compares "
                'them in normal form: expected names that differ, or backend="python"',
                f"the keys {other!r} and {key!r} are one name to Python",
            )
    name = "Parameters" if is_dict else container.__name__
    made: Any = namedtuple(name, keys, rename=True)  # type: ignore[misc]
    if is_dict:
        setattr(made, KEYS, keys)
        made.__getitem__ = _by_key  # type: ignore[method-assign]
    return made


def _by_key(self: Any, key: Any) -> Any:
    """An item of a record by its key or position, as compiled code has it."""
    return tuple.__getitem__(self, type(self).__keys__.index(key) if isinstance(key, str) else key)


class Expression(NamedTuple):
    """How compiled code builds a loss's parameters from one flat theta."""

    source: str
    """Over ``theta`` and ``table``."""
    records: tuple[Any, ...]
    """The NamedTuples, and functions, that the source calls ``Record0``, ``Record1``, ..."""
    table: Indices
    """Bounds and shapes: data, not code, so that thetas of other sizes share an adapter."""


def expression(
    tree: Node,
    bounds: Sequence[tuple[int, int]],
    made: Mapping[int, tuple[Any, Array | None]] | None = None,
) -> Expression:
    """The parameters as views of theta, whose part ``bounds[k]`` is leaf k of the tree.

    Parameters
    ----------
    made : mapping, optional
        Leaves that a compiled function makes, ``function(base, part)`` or, without a base,
        ``function(part)``; bases are arrays of float64 whose bits lie in the table.
    """
    if isinstance(tree, Leaf) and len(tree.shape) == 1 and not made:
        return Expression("theta", (), np.zeros(0, np.int64))
    for path, node in kept(tree):
        kind = type(node.value).__name__
        raise LossCompilationError(
            f"{path} is {kind}, which passes through theta as it is, and compiled code cannot have: "
            'hand it over as another argument, or backend="python"',
            f"{path} is {kind}, which compiled code cannot have in theta",
        )
    table: list[int] = []
    records: list[Any] = []
    left = iter(enumerate(bounds))

    def source(node: Node) -> str:
        if isinstance(node, Leaf):
            k = len(table)
            leaf, bound = next(left)
            if made and leaf in made:
                table.extend(bound)
                return _made(made[leaf], k, table, records)
            table.extend((*bound, *node.shape))
            if node.scalar:
                return f"theta[table[{k}]]"
            view = f"theta[table[{k}] : table[{k + 1}]]"
            dims = "".join(f"table[{k + 2 + d}], " for d in range(len(node.shape)))
            return view if len(node.shape) == 1 else f"{view}.reshape(({dims}))"
        assert not isinstance(node, Kept)  # refused above
        parts = "".join(f"{source(child)}, " for child in node.children)
        if node.container in (list, tuple):
            return f"({parts})"
        records.append(record(node.container, node.keys))
        return f"Record{len(records) - 1}({parts})"

    return Expression(source(tree), tuple(records), np.array(table, np.int64))


def _made(how: tuple[Any, Array | None], k: int, table: list[int], records: list[Any]) -> str:
    """The source of a leaf that a function makes; its bounds are in the table from k on."""
    function, base = how
    records.append(function)
    call = f"Record{len(records) - 1}"
    part = f"theta[table[{k}] : table[{k + 1}]]"
    if base is None:
        return f"{call}({part})"
    start = len(table)
    table.extend((0, *base.shape))
    table[start] = len(table) + base.size
    table.extend(np.ascontiguousarray(base, np.float64).reshape(-1).view(np.int64).tolist())
    dims = "".join(f"table[{start + 1 + d}], " for d in range(base.ndim))
    bits = f"table[{start + 1 + base.ndim} : table[{start}]]"
    return f"{call}({bits}.view(float64).reshape(({dims})), {part})"
