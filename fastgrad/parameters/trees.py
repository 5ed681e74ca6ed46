"""Trees of arrays in dicts, NamedTuples, dataclasses, lists and tuples: read, built, matched."""

import dataclasses
from collections import namedtuple
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from numbers import Number
from typing import Any, TypeAlias

import numpy as np

from fastgrad.arrays import Array
from fastgrad.errors import StructureMismatchError
from fastgrad.parameters.numbers import real_array


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A number or an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scalar: bool


@dataclasses.dataclass(frozen=True)
class Branch:
    """A container, by its class and the keys of its children; other mappings count as dicts."""

    container: type
    keys: tuple[Any, ...]
    children: tuple["Node", ...]


BY_POSITION = "__by_position__"
"""An attribute of NamedTuples that a plain list or tuple of as many parts may stand for."""


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
    """Something that is no number, in a named field beside numbers: it passes through as it is."""

    value: Any

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Kept) or type(self.value) is not type(other.value):
            return False
        return self.value is other.value or (
            isinstance(self.value, str | bytes | bool) and self.value == other.value
        )

    def __hash__(self) -> int:
        known = isinstance(self.value, str | bytes | bool | None)
        return hash((type(self.value), self.value)) if known else id(self.value)


Node: TypeAlias = "Leaf | Branch | Kept"


def read(value: Any, path: str, arrays: list[Array], depth: int = 0) -> Node:
    """The tree of a value; its leaves are appended to ``arrays``.

    Raises
    ------
    TypeError
        A leaf that is not a real number or array, by its path.
    """
    if not _is_structure(value) or is_list_of_numbers(value):
        array = real_array(value, path)
        arrays.append(array)
        return Leaf(array.shape, array.dtype, scalar=np.isscalar(value))
    container, keys, parts = taken_apart(value)
    named = container not in (list, tuple)
    nodes = tuple(
        Kept(part)
        if named and is_no_number(part)
        else read(part, f"{path}.{key}" if depth else str(key), arrays, depth + 1)
        for key, part in zip(keys, parts, strict=True)
    )
    if not depth and not arrays:
        _require_numbers(container, keys, nodes)
    return Branch(container, keys, nodes)


def is_no_number(value: Any) -> bool:
    """Text, None, booleans, functions: what a theta may have in a field beside its numbers."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "b"
    return value is None or isinstance(value, str | bytes | bool | np.bool_) or callable(value)


def _require_numbers(container: type, keys: tuple[Any, ...], nodes: tuple["Node", ...]) -> None:
    """Raise TypeError for a theta of nothing but what is no number."""
    tree = Branch(container, keys, nodes)
    for path, node in kept(tree):
        raise TypeError(
            f"{path} is {type(node.value).__name__}: expected a number, an array of numbers, or a "
            "dict, NamedTuple, dataclass, list or tuple of them"
        )


def kept(node: Node, path: str = "", root: str = "") -> Iterator[tuple[str, Kept]]:
    """What passes through a tree, each with its path."""
    if isinstance(node, Kept):
        yield path, node
    elif isinstance(node, Branch):
        for key, child in zip(node.keys, node.children, strict=True):
            yield from kept(child, below(path, key, node, root), root)


def build(
    node: Node,
    leaf: Callable[[Leaf], Any],
    container: Callable[[Branch, list[Any]], Any] | None = None,
) -> Any:
    """A value of this tree: ``leaf(node)`` at each leaf, the tree's own containers or others."""
    if isinstance(node, Kept):
        return node.value
    if isinstance(node, Leaf):
        return leaf(node)
    parts = [build(child, leaf, container) for child in node.children]
    return (container or own_container)(node, parts)


def named_tuple(name: str, keys: Sequence[str]) -> Any:
    """The NamedTuple class of some keys; one that is no name is called by its position."""
    make: Any = namedtuple
    return make(name, keys, rename=True)


def own_container(node: Branch, parts: list[Any]) -> Any:
    """A container of the branch's own class and keys, of these children."""
    if node.container is tuple:
        return tuple(parts)
    if node.container is list:
        return parts
    if node.container is dict:
        return dict(zip(node.keys, parts, strict=True))
    if issubclass(node.container, tuple):
        made: Any = node.container  # a NamedTuple
        return made._make(parts)
    return _dataclass(node.container, dict(zip(node.keys, parts, strict=True)))


def children(value: Any) -> list[tuple[Any, Any]]:
    """Keys and values of a structure; empty for anything else."""
    if not _is_structure(value):
        return []
    _, keys, parts = taken_apart(value)
    return list(zip(keys, parts, strict=True))


def leaves(node: Node, path: str = "", root: str = "") -> Iterator[tuple[str, Leaf]]:
    """The leaves of a tree, each with its path, such as ``layers.0.W``, or ``theta[0]`` of a list."""
    if isinstance(node, Kept):
        return
    if isinstance(node, Leaf):
        yield path, node
        return
    for key, child in zip(node.keys, node.children, strict=True):
        yield from leaves(child, below(path, key, node, root))


def below(path: str, key: Any, node: Branch, root: str) -> str:
    """The path of a part of a node; what lies in a list that is all of theta has no name but that."""
    if path:
        return f"{path}.{key}"
    return f"{root}[{key}]" if root and node.container in (list, tuple) else str(key)


def aligned(node: Node, value: Any, what: str) -> Iterator[Any]:
    """The parts of ``value`` that stand for the leaves of a tree, in their order.

    Mappings, NamedTuples and dataclasses are matched by name, lists and tuples by position.

    Raises
    ------
    StructureMismatchError
        ``value`` is not shaped like the tree; the message names the place, beginning with ``what``.
    """
    if isinstance(node, Kept):
        return
    if isinstance(node, Leaf):
        yield value
        return
    by_position = node.container in (list, tuple)
    if by_position and type(value) in (list, tuple):
        given = dict(enumerate(value))
    elif type(value) in (list, tuple) and _is_like_arguments(node, value):
        given = dict(zip(node.keys, value, strict=True))
    elif not by_position and (isinstance(value, Mapping) or is_record(value)):
        given = dict(children(value))
    else:
        kind = (
            f"a sequence of {len(node.keys)}" if by_position else f"fields {shortened(node.keys)}"
        )
        raise StructureMismatchError(
            f"{what}: expected {kind}, as theta has there; got {describe(value)}"
        )
    needed = tuple(
        key
        for key, child in zip(node.keys, node.children, strict=True)
        if not isinstance(child, Kept)
    )
    _require_keys(
        needed, {key: given[key] for key in given if key in needed or key not in node.keys}, what
    )
    for key, child in zip(node.keys, node.children, strict=True):
        if not isinstance(child, Kept):
            yield from aligned(child, given[key], f"{what}[{key!r}]")


def parts_of(value: Any, node: Node) -> Iterator[Any]:
    """What stands in a value for each leaf of a tree; None where nothing does."""
    if isinstance(node, Leaf):
        yield value
    elif isinstance(node, Branch):
        held = dict(children(value))
        for key, child in zip(node.keys, node.children, strict=True):
            yield from parts_of(held.get(key), child)


def completed(
    value: Any, node: Node, absent: Container[str], root: str = "", path: str = ""
) -> Any:
    """A value of nested dicts and lists with zeros for leaves that may be absent, by their paths."""
    if not isinstance(node, Branch) or type(value) not in (dict, list, tuple):
        return value
    if (type(value) is dict) == (node.container in (list, tuple)):
        return value
    whole = dict(children(value))
    for key, child in zip(node.keys, node.children, strict=True):
        own = below(path, key, node, root)
        if whole.get(key) is not None:
            whole[key] = completed(whole[key], child, absent, root, own)
        elif all(name in absent for name, _ in leaves(child, own)):
            whole[key] = build(child, lambda _: 0.0)
    return whole if type(value) is dict else type(value)(whole.values())


def _is_like_arguments(node: Branch, value: Sequence[Any]) -> bool:
    return getattr(node.container, BY_POSITION, False) and len(value) == len(node.keys)


def _require_keys(keys: tuple[Any, ...], given: dict[Any, Any], what: str) -> None:
    missing = [key for key in keys if key not in given]
    unknown = [key for key in given if key not in keys]
    if missing or unknown:
        raise StructureMismatchError(
            f"{what}: expected the fields of theta, {shortened(keys)};"
            + (f" missing {shortened(missing)}" if missing else "")
            + (f" unknown {shortened(unknown)}, which theta has not" if unknown else "")
        )


def is_list_of_numbers(value: Any) -> bool:
    """A list of numbers, nested or not, stands for an array, as in numpy; of arrays, for blocks."""
    return type(value) in (list, tuple) and _shape_of_numbers(value) is not None


def _shape_of_numbers(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, Number | np.bool_):
        return ()
    if type(value) not in (list, tuple):
        return None
    shapes = {_shape_of_numbers(child) for child in value}
    shape = shapes.pop() if len(shapes) == 1 else None
    return None if shape is None else (len(value), *shape)


def describe(value: Any) -> str:
    """A value in a message: its type, and its shape if it has one."""
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} of shape {shape}" if shape is not None else type(value).__name__


def shortened(names: Sequence[str], most: int = 8) -> str:
    """A list of names for a message, cut where it would bury the message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _is_structure(value: Any) -> bool:
    return isinstance(value, Mapping) or is_record(value) or type(value) in (list, tuple)


def is_record(value: Any) -> bool:
    is_named_tuple = isinstance(value, tuple) and hasattr(value, "_fields")
    return is_named_tuple or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def taken_apart(value: Any) -> tuple[type, tuple[Any, ...], tuple[Any, ...]]:
    """Container, keys and children of a structure."""
    if isinstance(value, Mapping):
        return dict, tuple(value), tuple(value.values())
    if dataclasses.is_dataclass(value):
        keys = tuple(field.name for field in dataclasses.fields(value))
        return type(value), keys, tuple(getattr(value, key) for key in keys)
    return type(value), getattr(value, "_fields", tuple(range(len(value)))), tuple(value)


def _dataclass(container: type, fields: dict[str, Any]) -> Any:
    """A dataclass of these fields; those that its constructor does not take are set afterwards."""
    taken = {f.name for f in dataclasses.fields(container) if f.init}
    made = container(**{key: value for key, value in fields.items() if key in taken})
    for key in fields.keys() - taken:
        object.__setattr__(made, key, fields[key])  # the dataclass may be frozen
    return made
