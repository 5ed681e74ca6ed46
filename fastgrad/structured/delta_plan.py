"""Which of the user's deltas answers for which block, and with what index."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numba.core.registry import CPUDispatcher

from fastgrad.arrays import Indices
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.trees import shortened

Deltas: TypeAlias = CPUDispatcher | Mapping[str, CPUDispatcher]
"""One for all blocks, or one by the name of each."""


@dataclass(frozen=True, eq=False)
class DeltaPlan:
    """The functions that answer for the blocks of a theta."""

    functions: tuple[CPUDispatcher, ...]
    kinds: tuple[tuple[int, int], ...]
    """What leads each index: how many positions in lists lead the index, and how many axes follow."""
    table: Indices
    """Rows of int64, one a block: start, stop, position in ``functions``; then the leading positions
    and the block's shape. Shape (blocks, width)."""

    def function_for(self, position: int) -> CPUDispatcher:
        """The delta of an entry."""
        return self.functions[self._row(position)[2]]

    def index_of(self, block: Block, position: int) -> Any:
        """The index that the delta gets for an entry of a block."""
        row = self._row(position)
        lead, _ = self.kinds[row[2]]
        index = (*map(int, row[3 : 3 + lead]), *block.index(position))
        return index[0] if len(index) == 1 else index or 0

    def _row(self, position: int) -> Indices:
        return np.asarray(self.table[np.searchsorted(self.table[:, 1], position, side="right")])


def plan_of(layout: Layout, deltas: Deltas) -> DeltaPlan:
    """The plan for these blocks, made once.

    A block in a list or a tuple, such as ``layers.0.W``, is found by its own name, or by its name
    without positions, ``layers.W``; its index then begins with them.

    Raises
    ------
    ValueError
        A block that no function is for, or a name that no block has.
    """
    return _plan_of(layout, tuple(deltas.items()) if isinstance(deltas, Mapping) else deltas)


@lru_cache(maxsize=256)
def _plan_of(layout: Layout, deltas: Any) -> DeltaPlan:
    named = None if isinstance(deltas, CPUDispatcher) else dict(deltas)
    groups: dict[tuple[Any, int, int], int] = {}
    rows, used = [], set()
    for block in layout.blocks:
        if named is None:
            function, positions = deltas, _positions(block)
        else:
            name, positions = _found(named, block)
            function = named[name]
            used.add(name)
        group = groups.setdefault((function, len(positions), len(block.shape)), len(groups))
        rows.append([block.start, block.stop, group, *positions, *block.shape])
    unknown = [] if named is None else [name for name in named if name not in used]
    if unknown:
        raise ValueError(
            f"delta: theta has no block {unknown[0]!r}; its blocks are "
            f"{shortened([block.name for block in layout.blocks])}"
        )
    table = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    functions = tuple(key[0] for key in groups)
    return DeltaPlan(functions, tuple((key[1], key[2]) for key in groups), table)


def _found(named: Mapping[str, CPUDispatcher], block: Block) -> tuple[str, list[int]]:
    """The name that stands for a block, and the positions that lead its index."""
    if block.name in named:
        return block.name, []
    shared = ".".join(part for part in block.name.split(".") if not part.isdigit())
    if shared in named:
        return shared, _positions(block)
    raise ValueError(
        f"delta: no function for the block {block.name!r} of theta; there is one for "
        f"{shortened(list(named))}"
    )


def _positions(block: Block) -> list[int]:
    """A block's positions in lists and tuples, which its name tells."""
    return [int(part) for part in block.name.split(".") if part.isdigit()]
