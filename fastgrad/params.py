"""Structures of arrays <-> one flat theta: blocks, entry names, masks, and what a loss receives.

`flatten` reads a user's theta once and gives a `Layout` and a flat float64 vector. The layout
knows the way back (`Layout.rebuild`), what the compiled loss is handed (`Layout.native`), the name
of every entry, and how to lay anything else shaped like theta (`Layout.match`) along the vector.
"""

import dataclasses
import difflib
import keyword
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastgrad.errors import LossCompilationError, StructureMismatchError

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Block:
    """One array of theta: its name, its shape and its place ``[start, stop)`` in the flat vector."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int
    dtype: np.dtype[Any]
    scalar: bool
    """A plain number rather than an array of shape ()."""

    @property
    def size(self) -> int:
        return self.stop - self.start

    def index(self, position: int) -> tuple[int, ...]:
        """Index in the block of the entry at a position in the flat vector."""
        return tuple(int(k) for k in np.unravel_index(position - self.start, self.shape))

    def entry(self, position: int) -> str:
        """Name of the entry at a position in the flat vector, such as ``W1[3, 17]``."""
        return f"{self.name}[{', '.join(map(str, self.index(position)))}]" if self.shape else self.name


@dataclasses.dataclass(frozen=True)
class _Leaf:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scalar: bool


@dataclasses.dataclass(frozen=True)
class _Branch:
    container: type
    keys: tuple[Any, ...]
    children: tuple["_Node", ...]


_Node: TypeAlias = _Leaf | _Branch


class Layout:
    """How a theta of one structure lies in a flat vector. Equal structures share one layout."""

    def __init__(self, tree: _Node, root: str):
        self.tree = tree
        self.root = root
        self.blocks: tuple[Block, ...] = tuple(_blocks(tree, root))
        self.size = self.blocks[-1].stop if self.blocks else 0
        self.plain = isinstance(tree, _Leaf)
        """Whether theta is a single array or number."""

    def name(self, position: int) -> str:
        """Name of the entry at a position in the flat vector."""
        return self.block_at(position).entry(position)

    def block_at(self, position: int) -> Block:
        return self.blocks[int(np.searchsorted(self._starts, position, side="right")) - 1]

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.array([block.start for block in self.blocks])

    def rebuild(self, flat: Array) -> Any:
        """Theta's own structure and dtypes from a flat vector; may use its memory."""
        if self.plain and not self.blocks[0].scalar:
            block = self.blocks[0]
            return flat.astype(_float_dtype(block.dtype), copy=False).reshape(block.shape)
        leaves = iter(self.blocks)

        def leaf(_: _Leaf) -> Any:
            block = next(leaves)
            values = flat[block.start : block.stop].astype(_float_dtype(block.dtype))
            return values[0] if block.scalar else values.reshape(block.shape)

        return _build(self.tree, leaf)

    def given(self, flat: Floats) -> Any:
        """What a Python loss receives: theta's own structure in float64, in arrays of its own."""
        leaves = iter(self.blocks)
        flat = flat.copy()

        def leaf(_: _Leaf) -> Any:
            block = next(leaves)
            values = flat[block.start : block.stop]
            return float(values[0]) if block.scalar else values.reshape(block.shape)

        return _build(self.tree, leaf)

    def native(self, flat: Floats) -> Any:
        """What a compiled loss receives: views of ``flat``, in NamedTuples for dicts and dataclasses."""
        leaves = iter(self.blocks)

        def leaf(_: _Leaf) -> Any:
            block = next(leaves)
            values = flat[block.start : block.stop]
            return float(values[0]) if block.scalar else values.reshape(block.shape)

        return _build(self.tree, leaf, native=True)

    @cached_property
    def adapter(self) -> tuple[str, tuple[type, ...], NDArray[np.int64]]:
        """`native` as a Python expression over ``theta`` and ``table`` that numba can compile.

        Returns the expression, the NamedTuple classes that it calls ``Record0``, ``Record1``, ...,
        and the table of bounds and shapes (data, not code: thetas of other sizes share the
        compiled adapter).
        """
        if isinstance(self.tree, _Leaf) and len(self.tree.shape) == 1:
            return "theta", (), np.zeros(0, np.int64)
        table: list[int] = []
        classes: list[type] = []
        leaves = iter(self.blocks)

        def expression(node: _Node) -> str:
            if isinstance(node, _Leaf):
                block, k = next(leaves), len(table)
                table.extend((block.start, block.stop, *block.shape))
                if node.scalar:
                    return f"theta[table[{k}]]"
                view = f"theta[table[{k}] : table[{k + 1}]]"
                dims = "".join(f"table[{k + 2 + d}], " for d in range(len(node.shape)))
                return view if len(node.shape) == 1 else f"{view}.reshape(({dims}))"
            parts = "".join(f"{expression(child)}, " for child in node.children)
            if node.container in (list, tuple):
                return f"({parts})"
            classes.append(_record(node.container, node.keys))
            return f"Record{len(classes) - 1}({parts})"

        return expression(self.tree), tuple(classes), np.array(table, np.int64)

    def match(self, value: Any, what: str, leaf: Callable[[Any, Block], Array]) -> list[Array]:
        """Lay ``value``, structured like theta, along the blocks.

        Mappings, NamedTuples and dataclasses are matched by name, lists and tuples by position.

        Parameters
        ----------
        what : str
            Names ``value`` in messages, such as ``"trainable"``.
        leaf : callable
            ``leaf(part, block)`` turns the part that stands for one block into an array of the
            block's shape.

        Raises
        ------
        StructureMismatchError
            Where the structures differ, with the place, what was expected and what came.
        """
        blocks = iter(self.blocks)
        parts: list[Array] = []

        def visit(node: _Node, part: Any, path: str) -> None:
            if isinstance(node, _Leaf):
                parts.append(leaf(part, next(blocks)))
                return
            for key, child in zip(
                node.keys, _children_like(node, part, f"{what}{path}"), strict=True
            ):
                visit(node.children[node.keys.index(key)], child, f"{path}[{key!r}]")

        visit(self.tree, value, "")
        return parts

    def vector(self, value: Any, what: str) -> Floats:
        """One number an entry from a structure like theta's, one flat vector, or one number for all.

        Raises
        ------
        StructureMismatchError, TypeError
        """
        if np.isscalar(value) or (isinstance(value, np.ndarray) and value.ndim == 0):
            return np.full(self.size, real_array(value, what), np.float64)
        if isinstance(value, np.ndarray) and value.shape == (self.size,):
            return real_array(value, what).astype(np.float64)

        def leaf(part: Any, block: Block) -> Array:
            array = real_array(part, f"{what} for {block.name}")
            if array.ndim == 0:
                array = np.broadcast_to(array, block.shape)
            _require_shape(array, block, what)
            return array.astype(np.float64).ravel()

        return np.concatenate(self.match(value, what, leaf))

    def mask(self, trainable: Any) -> NDArray[np.bool_] | None:
        """Which entries may be perturbed, shape (n,); None when all may.

        Parameters
        ----------
        trainable : None, str, sequence of str, or structure of bool
            Names or path prefixes of blocks, or booleans shaped like theta (one for a whole block
            will do).

        Raises
        ------
        ValueError
            A name that no block has, or nothing trainable.
        StructureMismatchError, TypeError
            A structure that is not theta's, or not of booleans.
        """
        if trainable is None:
            return None
        names = [trainable] if isinstance(trainable, str) else trainable
        if isinstance(names, Sequence | set | frozenset) and all(isinstance(k, str) for k in names):
            mask = self._mask_of_names(list(names))
        elif isinstance(names, np.ndarray) and names.shape == (self.size,):
            mask = _booleans(names, "trainable").copy()
        else:
            mask = np.concatenate(self.match(names, "trainable", _mask_of_block))
        if not mask.any():
            raise ValueError(
                "trainable selects no entry of theta: at least one must be free to be perturbed"
            )
        return mask

    def _mask_of_names(self, names: list[str]) -> NDArray[np.bool_]:
        mask = np.zeros(self.size, np.bool_)
        for name in names:
            chosen = [b for b in self.blocks if b.name == name or b.name.startswith(f"{name}.")]
            if not chosen:
                known = [block.name for block in self.blocks]
                near = difflib.get_close_matches(name, known, n=1)
                raise ValueError(
                    f"trainable: theta has no block {name!r}; its blocks are {shortened(known)}"
                    + (f" (did you mean {near[0]!r}?)" if near else "")
                )
            for block in chosen:
                mask[block.start : block.stop] = True
        return mask


def flatten(theta: Any, root: str = "theta") -> tuple[Layout, Floats]:
    """Read a theta: its layout, and a flat float64 copy of its values.

    Parameters
    ----------
    theta : number, array, or dict, NamedTuple, dataclass, list or tuple of these
    root : str
        The name of a theta that is a single array.

    Raises
    ------
    TypeError
        Something in theta that is not a real number or array, by its path.
    ValueError
        Empty, or not finite, by the first entry's name.

    Examples
    --------
    >>> layout, flat = flatten({"W": np.ones((2, 3)), "b": 0.5})
    >>> flat.size, layout.name(4), layout.name(6)
    (7, 'W[1, 1]', 'b')
    """
    if type(theta) is np.ndarray and theta.dtype == np.float64:
        layout = _layout(_Leaf(theta.shape, theta.dtype, scalar=False), root)
        flat = theta.flatten()
    else:
        arrays: list[Array] = []
        layout = _layout(_read(theta, root, arrays), root)
        flat = np.concatenate([np.asarray(a, np.float64).ravel() for a in arrays] or [np.zeros(0)])
    if layout.size == 0:
        raise ValueError(f"{root} is empty: expected at least one parameter to differentiate")
    if not np.isfinite(flat).all():
        position = int(np.flatnonzero(~np.isfinite(flat))[0])
        raise ValueError(
            f"{layout.name(position)} is {flat[position]}: expected finite parameters "
            f"({np.count_nonzero(~np.isfinite(flat))} of {flat.size} are not)"
        )
    return layout, flat


def real_array(value: Any, path: str) -> Array:
    """``value`` as an array of real numbers.

    Raises
    ------
    TypeError
        Naming ``path``, when it is anything else.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        array = np.empty(0, object)
    if array.dtype.kind == "c":
        raise TypeError(f"{path} is complex: expected real numbers; split it into its real parts")
    if array.dtype.kind not in "iuf":
        kind = "boolean" if array.dtype.kind == "b" else type(value).__name__
        raise TypeError(
            f"{path} is {kind}: expected a number, an array of numbers, or a dict, NamedTuple, "
            "dataclass, list or tuple of them"
        )
    return array


def native_argument(value: Any) -> Any:
    """Another argument of the loss as compiled code takes it; arrays are not copied if they can be used.

    Dicts and dataclasses become NamedTuples, lists tuples, lists of numbers arrays; a strided array
    is made contiguous (numba cannot reshape one, and multiplies it by BLAS only after a copy).
    """
    if isinstance(value, np.ndarray):
        if not (value.flags.c_contiguous or value.flags.f_contiguous):
            value = np.ascontiguousarray(value)
        return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))
    if _is_list_of_numbers(value):
        return np.asarray(value)
    if isinstance(value, Mapping) or _is_record(value):
        container, keys, children = _parts(value)
        return _record(container, keys)(*map(native_argument, children))
    if type(value) in (list, tuple):
        return tuple(map(native_argument, value))
    return value


def shortened(names: Sequence[str], most: int = 8) -> str:
    """A list of names for a message, cut where it would bury the message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _read(value: Any, path: str, arrays: list[Array], depth: int = 0) -> _Node:
    structured = isinstance(value, Mapping) or _is_record(value) or type(value) in (list, tuple)
    if not structured or _is_list_of_numbers(value):
        array = real_array(value, path)
        arrays.append(array)
        return _Leaf(array.shape, array.dtype, scalar=np.isscalar(value))
    container, keys, children = _parts(value)
    nodes = tuple(
        _read(child, f"{path}.{key}" if depth else str(key), arrays, depth + 1)
        for key, child in zip(keys, children, strict=True)
    )
    return _Branch(container, keys, nodes)


def _is_record(value: Any) -> bool:
    is_named_tuple = isinstance(value, tuple) and hasattr(value, "_fields")
    return is_named_tuple or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _is_list_of_numbers(value: Any) -> bool:
    """A list of numbers, nested or not, stands for an array, as in numpy; of arrays, for blocks."""
    return (
        type(value) in (list, tuple)
        and len(value) > 0
        and all(_is_list_of_numbers(v) if type(v) in (list, tuple) else np.isscalar(v) for v in value)
    )


def _parts(value: Any) -> tuple[type, tuple[Any, ...], tuple[Any, ...]]:
    """Container, keys and children of a structure."""
    if isinstance(value, Mapping):
        return dict, tuple(value), tuple(value.values())
    if dataclasses.is_dataclass(value):
        keys = tuple(field.name for field in dataclasses.fields(value))
        return type(value), keys, tuple(getattr(value, key) for key in keys)  # type: ignore[return-value]  # an instance: `_is_record`
    return type(value), getattr(value, "_fields", tuple(range(len(value)))), tuple(value)


def _blocks(tree: _Node, root: str) -> list[Block]:
    blocks: list[Block] = []

    def visit(node: _Node, path: str) -> None:
        if isinstance(node, _Leaf):
            start = blocks[-1].stop if blocks else 0
            stop = start + int(np.prod(node.shape, dtype=np.int64))
            blocks.append(Block(path or root, node.shape, start, stop, node.dtype, node.scalar))
            return
        for key, child in zip(node.keys, node.children, strict=True):
            visit(child, f"{path}.{key}" if path else str(key))

    visit(tree, "")
    return blocks


@lru_cache(maxsize=1024)
def _layout(tree: _Node, root: str) -> Layout:
    return Layout(tree, root)


def _build(node: _Node, leaf: Callable[[_Leaf], Any], native: bool = False) -> Any:
    if isinstance(node, _Leaf):
        return leaf(node)
    children = [_build(child, leaf, native) for child in node.children]
    if node.container is tuple or (native and node.container is list):
        return tuple(children)
    if node.container is list:
        return children
    if native:
        return _record(node.container, node.keys)(*children)
    if node.container is dict:
        return dict(zip(node.keys, children, strict=True))
    return node.container(**dict(zip(node.keys, children, strict=True)))


@lru_cache(maxsize=1024)
def _record(container: type, keys: tuple[Any, ...]) -> type:
    """The NamedTuple class that stands for a container in compiled code."""
    if issubclass(container, tuple):
        return container
    for key in keys:
        if not (isinstance(key, str) and key.isidentifier()) or key[0] == "_" or keyword.iskeyword(key):
            raise LossCompilationError(
                f"the key {key!r} cannot be a field of a NamedTuple, which is what a compiled loss "
                'receives for a dict: rename it to a Python name, or pass backend="python"'
            )
    return namedtuple("Parameters" if container is dict else container.__name__, keys)  # noqa: PYI024 - the fields are data


def _children_like(node: _Branch, part: Any, what: str) -> list[Any]:
    """The children of ``part`` in the order of ``node``'s, whatever kind of container it is."""
    by_position = node.container in (list, tuple)
    if by_position and type(part) in (list, tuple):
        given = dict(enumerate(part))
    elif not by_position and (isinstance(part, Mapping) or _is_record(part)):
        _, keys, children = _parts(part)
        given = dict(zip(keys, children, strict=True))
    else:
        kind = f"a sequence of {len(node.keys)}" if by_position else f"fields {shortened(node.keys)}"
        raise StructureMismatchError(
            f"{what}: expected {kind}, as theta has there; got {describe(part)}"
        )
    missing = [key for key in node.keys if key not in given]
    unknown = [key for key in given if key not in node.keys]
    if missing or unknown:
        raise StructureMismatchError(
            f"{what}: expected the fields of theta, {shortened(node.keys)};"
            + (f" missing {shortened(missing)}" if missing else "")
            + (f" unknown {shortened(unknown)}" if unknown else "")
        )
    return [given[key] for key in node.keys]


def describe(value: Any) -> str:
    """A value in a message: its type, and its shape if it has one."""
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} of shape {shape}" if shape is not None else type(value).__name__


def _require_shape(array: Array, block: Block, what: str) -> None:
    if array.shape != block.shape:
        raise StructureMismatchError(
            f"{what} for {block.name}: expected shape {block.shape}, got {array.shape}"
        )


def _booleans(value: Any, what: str) -> NDArray[np.bool_]:
    array = np.asarray(value)
    if array.dtype != np.bool_:
        raise TypeError(
            f"{what}: expected booleans, or names of blocks; got {describe(value)} of {array.dtype}"
        )
    return array


def _mask_of_block(part: Any, block: Block) -> NDArray[np.bool_]:
    array = _booleans(part, f"trainable for {block.name}")
    if array.ndim == 0:
        array = np.broadcast_to(array, block.shape)
    _require_shape(array, block, "trainable")
    return array.ravel()


def _float_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Integers are promoted; every float keeps its own precision."""
    return dtype if dtype.kind == "f" else np.dtype(np.float64)
