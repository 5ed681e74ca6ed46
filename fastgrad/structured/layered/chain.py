"""The layers of a `fastgrad.structured.Layered`: their functions, and where they are in theta."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher

from fastgrad.arrays import Floats, Indices
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.layout import Layout


@dataclass(frozen=True)
class Objective:
    """What is made of the last Z: a sum or a mean of losses, one a sample, and a penalty."""

    losses: CPUDispatcher
    mean: bool
    penalty: CPUDispatcher | None
    penalised: tuple[str, ...] | None
    """The blocks that bear the penalty; None for the W of every layer."""


@dataclass(frozen=True)
class Chain:
    """The functions of a `fastgrad.structured.Layered`, and where its layers are in theta."""

    layers: tuple[tuple[str, str | None], ...]
    """The blocks W and b of each, by name."""
    activations: tuple[CPUDispatcher, ...]
    inputs: int
    """Position of X among the loss's arguments."""
    objective: Objective


@dataclass
class Layer:
    """One layer Z = A W + b at theta."""

    W: Block
    b: Block | None
    A: Floats
    """Its input, shape (m, n_in)."""
    n_out: int

    @property
    def blocks(self) -> list[Block]:
        return [self.W] if self.b is None else [self.W, self.b]

    @cached_property
    def positive(self) -> bool:
        """Whether no input is negative."""
        return float(self.A.min(initial=0.0)) >= 0.0


def matrix_shape(block: Block) -> tuple[int, int]:
    """Shape of W; a vector is a matrix of one column."""
    if len(block.shape) not in (1, 2):
        raise ValueError(f"layers: {block.name} has shape {block.shape}, expected (n_in, n_out)")
    return (block.shape[0], block.shape[1]) if len(block.shape) == 2 else (block.shape[0], 1)


def named(layout: Layout, names: tuple[str, ...]) -> list[str]:
    """The blocks that names stand for: their own, or all those of a list or tuple."""
    return [b.name for name in names for b in blocks_of(layout, name)]


def blocks_of(layout: Layout, name: str) -> list[Block]:
    """The block of a name, or all those of the list or tuple of that name."""
    found = [b for b in layout.blocks if b.name == name]
    if not found:
        found = [b for b in layout.blocks if b.name.rpartition(".")[0] == name]
    if not found and not name:
        found = list(layout.blocks)
    if not found:
        raise ValueError(
            f"layers: theta has no block {name!r}; its blocks are "
            f"{', '.join(repr(b.name) for b in layout.blocks[:8])}"
        )
    return found


def pairs_of(
    layout: Layout, layers: tuple[tuple[str, str | None], ...]
) -> list[tuple[Block, Block | None]]:
    """W and b of every layer; a pair of lists or tuples of blocks stands for as many layers."""
    pairs: list[tuple[Block, Block | None]] = []
    for weights, biases in layers:
        W = blocks_of(layout, weights)
        b: list[Block | None] = [None] * len(W) if biases is None else [*blocks_of(layout, biases)]
        if len(b) != len(W):
            raise ValueError(
                f"layers: {weights!r} has {len(W)} blocks, but {biases!r} has {len(b)}"
            )
        pairs += zip(W, b, strict=True)
    for W_, b_ in pairs:
        if b_ is not None and b_.size != matrix_shape(W_)[1]:
            columns = matrix_shape(W_)[1]
            raise ValueError(
                f"layers: {W_.name} has {columns} columns, but {b_.name} {b_.size} entries"
            )
    return pairs


def inside(indices: Indices, block: Block) -> Any:
    """Which of the indices lie in a block: a slice where they are sorted."""
    if indices.size < 2 or (np.diff(indices) > 0).all():
        first, last = np.searchsorted(indices, (block.start, block.stop))
        return slice(int(first), int(last))
    return np.flatnonzero((indices >= block.start) & (indices < block.stop))
