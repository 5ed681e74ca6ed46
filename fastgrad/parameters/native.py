"""What compiled code is handed for Python's containers, which numba does not know.

Dicts and dataclasses become NamedTuples of the same fields, lists tuples.
"""

import unicodedata
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
    named_tuple,
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
    made = named_tuple(name, keys)
    if is_dict:
        setattr(made, KEYS, keys)
        made.__getitem__ = _by_key
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


LONG_LIST = 8
"""A list of more arrays than this is a typed List, compiled once for any length. A tuple of 10 took
1.6 s to compile, of 100 4 s, of 400 30 s, and again for every length."""


class ListOf(NamedTuple):
    """What makes a typed List of the items of a list of parameters that differ in sizes alone."""

    item: str
    """Source of one item over ``theta``, ``table``, and ``at``, where its own part of that begins."""
    width: int
    """How many numbers of the table belong to an item."""
    records: tuple[Any, ...]
    """Those that the item calls, as in an `Expression`."""


def is_long_list(node: Node) -> bool:
    """Whether compiled code has a list of parameters as a typed List."""
    if not isinstance(node, Branch) or node.container is not list:
        return False
    return len(node.children) > LONG_LIST and len(set(map(_kind, node.children))) == 1


def has_long_list(node: Node) -> bool:
    """Whether there is such a list anywhere in a tree."""
    if not isinstance(node, Branch):
        return False
    return is_long_list(node) or any(map(has_long_list, node.children))


def _kind(node: Node) -> Any:
    """What two parameters have in common if one code serves both."""
    if isinstance(node, Leaf):
        return len(node.shape), node.scalar
    return (
        (node.container, node.keys, *map(_kind, node.children))
        if isinstance(node, Branch)
        else node
    )


def expression(
    tree: Node,
    bounds: Sequence[tuple[int, int]],
    made: Mapping[int, tuple[Any, Array | None]] | None = None,
    listed: bool = False,
) -> Expression:
    """The parameters as views of theta, whose part ``bounds[k]`` is leaf k of the tree.

    Parameters
    ----------
    made : mapping, optional
        Leaves that a compiled function makes, ``function(base, part)`` or, without a base,
        ``function(part)``; bases are arrays of float64 whose bits lie in the table.
    listed : bool
        Whether long lists are typed Lists, and tuples otherwise.
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
    return _Writer(bounds, made or {}, listed).written(tree)


class _Writer:
    """What writes the source of parameters, and the table that it reads."""

    def __init__(
        self,
        bounds: Sequence[tuple[int, int]],
        made: Mapping[int, tuple[Any, Array | None]],
        listed: bool,
    ):
        self._left = iter(enumerate(bounds))
        self._made, self._listed = made, listed
        self._records: list[Any] = []
        self._tails: list[tuple[int, list[int]]] = []
        """What belongs to items of lists, behind all else, and where it is told where that begins."""

    def written(self, tree: Node) -> Expression:
        table: list[int] = []
        source = self._source(tree, table)
        for place, tail in self._tails:
            table[place] = len(table)
            table.extend(tail)
        return Expression(source, tuple(self._records), np.array(table, np.int64))

    def _source(self, node: Node, table: list[int], at: str = "") -> str:
        """The source of a node, whose bounds and shapes it adds to a table that begins ``at``."""
        if isinstance(node, Leaf):
            return self._leaf(node, table, at)
        assert not isinstance(node, Kept)  # refused above
        if self._listed and not at and is_long_list(node):
            return self._list(node, table)
        parts = "".join(f"{self._source(child, table, at)}, " for child in node.children)
        if node.container in (list, tuple):
            return f"({parts})"
        return f"{self._called(record(node.container, node.keys))}({parts})"

    def _leaf(self, node: Leaf, table: list[int], at: str) -> str:
        k = len(table)
        leaf, bound = next(self._left)
        if leaf in self._made:
            table.extend(bound)
            return _made(self._made[leaf], k, table, self._records)
        table.extend((*bound, *node.shape))
        if node.scalar:
            return f"theta[table[{at}{k}]]"
        view = f"theta[table[{at}{k}] : table[{at}{k + 1}]]"
        dims = "".join(f"table[{at}{k + 2 + d}], " for d in range(len(node.shape)))
        return view if len(node.shape) == 1 else f"{view}.reshape(({dims}))"

    def _list(self, node: Branch, table: list[int]) -> str:
        k = len(table)
        table.extend((0, len(node.children)))
        tail: list[int] = []
        for child in node.children:
            own: list[int] = []
            item = self._source(child, own, "at + ")
            tail += own
        self._tails.append((k, tail))
        made = ListOf(item, len(own), tuple(self._records))
        return f"{self._called(made)}(theta, table, table[{k}], table[{k + 1}])"

    def _called(self, record: Any) -> str:
        """The name of a record."""
        if record not in self._records:
            self._records.append(record)
        return f"Record{self._records.index(record)}"


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
