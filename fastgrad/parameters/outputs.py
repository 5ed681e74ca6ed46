"""What a function returns, along one vector: an array, or a structure with floating leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats
from fastgrad.errors import StructureMismatchError
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.operands import (
    floating_leaves,
    is_floating,
    paired,
    shaped_like,
    with_leaves,
)
from fastgrad.parameters.trees import (
    Branch,
    children,
    describe,
    own_container,
    read,
    taken_apart,
)


@dataclass(frozen=True)
class Outputs:
    """What a function returns: its floating leaves, always of the same shapes.

    Parameters
    ----------
    example
        What it returned once.
    layout : Layout
        How its leaves lie in one vector, by path: ``out``, ``out.mean``, ``out.0``.
    """

    example: Any
    layout: Layout

    @classmethod
    def of(cls, example: Any, who: str) -> "Outputs":
        """Read an output.

        Raises
        ------
        TypeError
            There are no floating numbers in it.
        """
        leaves = dict(floating_leaves(example, "out"))
        if not leaves:
            raise TypeError(
                f"{who} returned {describe(example)}: expected an array of floats, or a structure of "
                "them"
            )
        arrays: list[Array] = []
        tree = read(leaves, "out", arrays)
        return cls(example, Layout(tree, "out"))

    def vector(self, out: Any, who: str) -> Floats:
        """The leaves of an output along one vector.

        Raises
        ------
        ValueError
            Another output than the first, of other leaves or shapes.
        """
        blocks = self.layout.blocks
        leaves = list(floating_leaves(out, "out"))
        got = [(path, np.shape(leaf)) for path, leaf in leaves]
        if got != [(block.name, block.shape) for block in blocks]:
            raise StructureMismatchError(
                f"{who} returned {_shapes(got)} and before "
                f"{_shapes([(b.name, b.shape) for b in blocks])}: expected the same shapes whatever "
                "the values of its inputs"
            )
        if len(leaves) == 1:
            return np.asarray(leaves[0][1], np.float64).ravel()
        return np.concatenate([np.asarray(leaf, np.float64).ravel() for _, leaf in leaves])

    def claimed(self, value: Any, who: str) -> Floats:
        """What ``who`` returned to stand for the outputs, along one vector.

        Raises
        ------
        StructureMismatchError, TypeError
            It is not shaped like the outputs: where, expected, and what came.
        """
        parts = list(paired(self.example, value, "out", who))
        found = [
            shaped_like(leaf, given, path, who).astype(np.float64).ravel()
            for path, leaf, given in parts
        ]
        return np.concatenate(found)

    def filled(self, parts: Sequence[Any]) -> Any:
        """A structure like the output with other things in the places of its leaves."""
        left = iter(parts)
        return with_leaves(self.example, lambda _: next(left))

    def shaped(self, vector: Floats) -> Any:
        """A structure like the output with other leaves, in their own dtypes; zeros for the rest."""
        blocks = iter(self.layout.blocks)

        def leaf(old: Any) -> Any:
            block = next(blocks)
            values = vector[block.start : block.stop].astype(block.float_dtype)
            return values.reshape(block.shape) if isinstance(old, np.ndarray) else values[0]

        return _others_zero(self.example, with_leaves(self.example, leaf))


def _others_zero(example: Any, value: Any) -> Any:
    """``value`` with zeros for what is not floating in ``example``, such as indices."""
    if is_floating(example):
        return value
    if isinstance(example, np.ndarray | int | np.generic):
        return np.zeros(np.shape(example), np.int64)
    if not children(example):
        return value
    container, keys, parts = taken_apart(value)
    pairs = zip(children(example), parts, strict=True)
    return own_container(
        Branch(container, keys, ()), [_others_zero(child, part) for (_, child), part in pairs]
    )


def _shapes(leaves: list[tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(f"{path} of shape {shape}" for path, shape in leaves) or "nothing floating"
