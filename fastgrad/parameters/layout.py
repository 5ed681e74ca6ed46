"""Structures of arrays <-> one flat theta: blocks, entry names, masks, and what a loss receives.

`flatten` reads a user's theta once and gives a `Layout` and a flat float64 vector. The layout
knows the way back (`Layout.rebuild`), what the compiled loss is handed (`Layout.native`), the name
of every entry, and how to lay anything else shaped like theta (`Layout.match`) along the vector.
"""

import copy
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import count
from types import MappingProxyType
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats, Indices, Mask
from fastgrad.errors import StructureMismatchError
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.labels import is_labelled, labels_of, like
from fastgrad.parameters.native import Expression, expression, has_long_list, native_container
from fastgrad.parameters.numbers import real_array
from fastgrad.parameters.trees import Leaf, Node, aligned, build, describe, leaves, read, shortened


class Layout:
    """How a theta of one structure lies in a flat vector. Equal structures share one layout."""

    linear = True
    """Whether theta is linear in the flat vector; it is not on a space (`fastgrad.spaces`)."""
    own_units: Floats | None = None
    """The units of entries that are known otherwise than by their values, else 0, shape (n,)."""
    own_one_unit: Mapping[int, bool] = MappingProxyType({})
    """Whether the entries of a block are of one unit, by position, where that is known so."""
    kinds: Indices | None = None
    """The number of the unit of each entry, shape (n,), -1 where its block tells; None if all do."""
    finest: Floats | None = None
    """The least steps of entries, shape (n,), beside which rounding of the point is small."""

    def __init__(self, tree: Node, root: str):
        self.tree = tree
        self.root = root
        self.blocks: tuple[Block, ...] = tuple(_blocks(tree, root))
        self.size = self.blocks[-1].stop if self.blocks else 0
        self.plain = isinstance(tree, Leaf)
        """Whether theta is a single array or number."""
        self.constants: dict[int, Any] = {}
        """What a Python loss gets for blocks that are not perturbed: just what was passed."""
        self.templates: dict[int, Any] = {}
        """Labelled blocks, as pandas has them, by position: a Python loss gets the like."""

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: not the adapter, whose records are made where needed."""
        made = "adapter", "listed"
        return {name: value for name, value in self.__dict__.items() if name not in made}

    @cached_property
    def mixed(self) -> bool:
        """Whether some block of a structure is not of float64."""
        return not self.plain and any(block.dtype != np.float64 for block in self.blocks)

    @cached_property
    def array_shape(self) -> tuple[int, ...] | None:
        """The shape of a theta that is one array, which a Python loss is `given`; None of others."""
        is_array = self.plain and not self.blocks[0].scalar
        return self.blocks[0].shape if is_array and not self.constants | self.templates else None

    @cached_property
    def stops(self) -> Indices:
        """The end of each block in the flat vector, shape (blocks,)."""
        return np.array([block.stop for block in self.blocks])

    def name(self, position: int) -> str:
        """Name of the entry at a position in the flat vector."""
        return self.block_at(position).entry(position)

    def block_at(self, position: int) -> Block:
        return self.blocks[int(np.searchsorted(self._starts, position, side="right")) - 1]

    @cached_property
    def _starts(self) -> Indices:
        return np.array([block.start for block in self.blocks])

    def rebuild(self, flat: Array) -> Any:
        """Theta's own structure and dtypes from a flat vector; may use its memory."""
        if self.plain and not self.blocks[0].scalar:
            block = self.blocks[0]
            return flat.astype(block.float_dtype, copy=False).reshape(block.shape)
        blocks = iter(self.blocks)

        def leaf(_: Leaf) -> Any:
            block = next(blocks)
            values = flat[block.start : block.stop]
            values = values.astype(block.float_dtype, copy=False)
            if not block.scalar:
                return values.reshape(block.shape)
            return float(values[0]) if values.dtype == np.float64 else values[0]

        return build(self.tree, leaf)

    def alike(self, flat: Array) -> Any:
        """Numbers beside a gradient, such as its error bars, in its structure."""
        return self.rebuild(flat)

    def filled(self, parts: Sequence[Any]) -> Any:
        """Theta's own structure with other things in the places of its blocks."""
        left = iter(parts)
        return build(self.tree, lambda _: next(left))

    def given(self, flat: Floats) -> Any:
        """What a Python loss receives: views of ``flat`` in theta's own structure."""
        if not self.constants and not self.templates:
            return (
                _view(flat, self.blocks[0]) if self.plain else build(self.tree, self._views(flat))
            )
        views, number = self._views(flat), count()

        def leaf(node: Leaf) -> Any:
            view, b = views(node), next(number)
            if b in self.constants:
                return self.constants[b]
            return like(self.templates[b], view) if b in self.templates else view

        return build(self.tree, leaf)

    def holding(self, theta: Any, free: Mask | None) -> "Layout":
        """The same for this very theta: with its labels, and what is not perturbed just as it is."""
        parts = list(aligned(self.tree, theta, self.root))
        constants = {
            b: parts[b].copy() if isinstance(parts[b], np.ndarray) else parts[b]
            for b, block in enumerate(self.blocks)
            if free is not None and block.size and not free[block.start : block.stop].any()
        }
        templates = {b: part for b, part in enumerate(parts) if is_labelled(part)}
        if not constants and not templates:
            return self
        made = Layout(self.tree, self.root)
        made.blocks = self.blocks
        made.constants = constants
        made.templates = {b: part for b, part in templates.items() if b not in constants}
        made.blocks = tuple(
            replace(block, labels=labels_of(templates[b])) if b in templates else block
            for b, block in enumerate(made.blocks)
        )
        return made

    def called(self, names: Sequence[str]) -> "Layout":
        """The same with names for the entries of a theta that is one array.

        Raises
        ------
        ValueError
            Theta is a structure, or has another number of entries, or two share a name.
        """
        if isinstance(names, str) or not self.plain or len(names) != self.size:
            got = repr(names) if isinstance(names, str) else f"{len(names)} of them"
            what = f"of {self.size} entries" if self.plain else "which names its parts itself"
            raise ValueError(
                f"names: expected one name for each entry of a theta that is an array; got {got} for "
                f"a theta {what}"
            )
        if len(set(names)) < len(names):
            raise ValueError("names: expected names that differ from each other")
        made = Layout(self.tree, self.root)
        made.blocks = (replace(self.blocks[0], names=tuple(map(str, names))),)
        return made

    def native(self, flat: Floats, container: Callable[..., Any] = native_container) -> Any:
        """What a compiled loss receives: views, in NamedTuples for dicts and dataclasses.

        ``container(node, parts)`` makes another container of the parts of a branch.
        """
        return build(self.tree, self._views(flat), container)

    def copied(self, theta: Any) -> Any:
        """A copy of a theta of this layout, for code that may write to it."""
        return copy.deepcopy(theta)

    def reread(self, given: Any) -> Floats:
        """The flat vector of a theta that was handed out; no copy where it is one array of floats."""
        is_flat = type(given) is np.ndarray and given.dtype == np.float64
        if is_flat and given.flags.c_contiguous:
            return np.asarray(given.reshape(-1))
        return flatten(given, self.root)[1]

    def moved(self, flat: Floats, change: Floats) -> Any:
        """Theta with its entries changed: another point to check at."""
        return self.rebuild(flat + change)

    def require_unbounded(self, bounded: Mask) -> None:
        """Raise ValueError if entries have bounds, shape (n,), that are coordinates of a space."""

    @cached_property
    def adapter(self) -> Expression:
        """`native` as source that numba can compile."""
        return expression(self.tree, [(block.start, block.stop) for block in self.blocks])

    @cached_property
    def listed(self) -> Expression | None:
        """The same with long lists as typed Lists; None where there are none."""
        if not has_long_list(self.tree):
            return None
        bounds = [(block.start, block.stop) for block in self.blocks]
        return expression(self.tree, bounds, listed=True)

    def _views(self, flat: Floats) -> Callable[[Leaf], Any]:
        """The blocks of ``flat``, one a call."""
        blocks = iter(self.blocks)

        def leaf(_: Leaf) -> Any:
            return _view(flat, next(blocks))

        return leaf

    def match(self, value: Any, what: str, leaf: Callable[[Any, Block], Array]) -> list[Array]:
        """Lay ``value``, structured like theta, along the blocks.

        Parameters
        ----------
        value
            Mappings, NamedTuples and dataclasses are matched by name, lists and tuples by position.
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
        parts = aligned(self.tree, value, what)
        return [leaf(part, block) for part, block in zip(parts, self.blocks, strict=True)]

    def vector(self, value: Any, what: str) -> Floats:
        """One number an entry, from a structure like theta, a flat vector, or one number for all.

        Raises
        ------
        StructureMismatchError, TypeError
        """
        if np.isscalar(value) or (isinstance(value, np.ndarray) and value.ndim == 0):
            return np.full(self.size, real_array(value, what), np.float64)
        if isinstance(value, np.ndarray) and value.shape == (self.size,):
            return real_array(value, what).astype(np.float64)

        def leaf(part: Any, block: Block) -> Array:
            array = real_array(part, f"{what} for {block.name}").astype(np.float64)
            return _over_block(array, block, what)

        return np.concatenate(self.match(value, what, leaf))

    def claimed_vector(self, gradient: Any, what: str) -> Floats:
        """The slopes along the flat vector that something like a gradient claims."""
        return self.vector(gradient, what)

    def mask(self, trainable: Any) -> Mask | None:
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
        if isinstance(names, Sequence | Set) and all(isinstance(k, str) for k in names):
            mask = self._mask_of_names(names)
        elif isinstance(names, np.ndarray) and names.shape == (self.size,):
            mask = _booleans(names, "trainable").copy()
        else:
            mask = np.concatenate(self.match(names, "trainable", _mask_of_block))
        if not mask.any():
            raise ValueError(
                "trainable selects no entry of theta: at least one must be free to be perturbed"
            )
        return mask

    def _named(self, name: str) -> list[Block]:
        return [b for b in self.blocks if b.name == name or b.name.startswith(f"{name}.")]

    def _mask_of_names(self, names: Iterable[str]) -> Mask:
        mask = np.zeros(self.size, np.bool_)
        for name in names:
            first, dot, rest = name.partition(".")
            chosen = self._named(name) or self._named(f"{self.root}[{first}]{dot}{rest}")
            own = self.blocks[0].names if self.plain else ()
            if name in own:
                mask[own.index(name)] = True
                continue
            if not chosen:
                known = [*own] or [block.name for block in self.blocks]
                near = difflib.get_close_matches(name, known, n=1)
                raise ValueError(
                    f"trainable: theta has no block {name!r}; its blocks are {shortened(known)}"
                    + (f" (did you mean {near[0]!r}?)" if near else "")
                )
            for block in chosen:
                mask[block.start : block.stop] = True
        return mask


def _view(flat: Floats, block: Block) -> Any:
    """A block of a flat vector, as a loss receives it."""
    values = flat[block.start : block.stop]
    return float(values[0]) if block.scalar else values.reshape(block.shape)


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
        layout = _layout_of_array(theta.shape, root)
        flat = theta.flatten()
    else:
        arrays: list[Array] = []
        try:
            tree = read(theta, root, arrays)
        except RecursionError:
            raise ValueError(
                f"{root} is nested too deeply to be read: expected arrays in a few levels of dicts, "
                "lists or dataclasses (does one of them hold itself?)"
            ) from None
        layout = _layout(tree, root)
        flat = np.concatenate([np.asarray(a, np.float64).ravel() for a in arrays] or [np.zeros(0)])
    if layout.size == 0:
        raise ValueError(f"{root} is empty: expected at least one parameter to differentiate")
    finite = np.isfinite(flat)
    if np.count_nonzero(finite) < flat.size:
        first, bad = int(np.argmin(finite)), np.count_nonzero(~finite)
        raise ValueError(
            f"{layout.name(first)} is {flat[first]}: expected finite parameters "
            f"({bad} of {flat.size} are not)"
        )
    return layout, flat


def _blocks(tree: Node, root: str) -> list[Block]:
    blocks: list[Block] = []
    start = 0
    for path, leaf in leaves(tree, root=root):
        blocks.append(Block(path or root, leaf.shape, start, leaf.dtype, leaf.scalar))
        start = blocks[-1].stop
    return blocks


@lru_cache(maxsize=1024)
def _layout(tree: Node, root: str) -> Layout:
    return Layout(tree, root)


@lru_cache(maxsize=1024)
def _layout_of_array(shape: tuple[int, ...], root: str) -> Layout:
    return _layout(Leaf(shape, np.dtype(np.float64), scalar=False), root)


def _over_block(array: Array, block: Block, what: str) -> Array:
    """One number an entry of a block, from as many or from one for all, shape (block.size,)."""
    if array.ndim and array.shape != block.shape:
        raise StructureMismatchError(
            f"{what} for {block.name}: expected shape {block.shape}, got {array.shape}"
        )
    return np.broadcast_to(array, block.shape).ravel()


def _booleans(value: Any, what: str) -> Mask:
    array = np.asarray(value)
    if array.dtype != np.bool_:
        raise TypeError(
            f"{what}: expected booleans, or names of blocks; got {describe(value)} of {array.dtype}"
        )
    return array


def _mask_of_block(part: Any, block: Block) -> Array:
    return _over_block(_booleans(part, f"trainable for {block.name}"), block, "trainable")
