"""How the entries of a Jacobian lie in one vector: the pairs of an output and an input, and their names.

Inputs that no output reads together may be moved together, as one *column* (a colour of a sparse
pattern).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.trees import Leaf


@dataclass(frozen=True)
class Columns:
    """What is moved together: of an input each, or several of one colour.

    Parameters
    ----------
    of_entry : ndarray of int, shape (n,)
        The column that each entry of the input belongs to; -1 for constants.
    count : int
    """

    of_entry: Indices
    count: int

    @classmethod
    def of_each(cls, entries: Indices, size: int) -> "Columns":
        """One column for each of some entries."""
        of_entry = np.full(size, -1)
        of_entry[entries] = np.arange(entries.size)
        return cls(of_entry, entries.size)

    @property
    def single(self) -> bool:
        """Whether no two entries share a column."""
        return self.count == int(np.count_nonzero(self.of_entry >= 0))

    @property
    def first(self) -> Indices:
        """An entry of each column, shape (count,)."""
        found = np.zeros(self.count, np.intp)
        inside = np.flatnonzero(self.of_entry >= 0)
        found[self.of_entry[inside[::-1]]] = inside[::-1]
        return found


@dataclass(frozen=True)
class PairBlock(Block):
    """The pairs of a block of outputs and some columns; row by row."""

    rows: Block
    columns: Indices
    """Columns of the block, increasing."""
    name_of: Callable[[int, int], str]
    """``name_of(output, column)``: what a pair is called."""

    def pair(self, position: int) -> tuple[int, int]:
        """Output and column of a position."""
        row, column = divmod(position - self.start, self.columns.size)
        return self.rows.start + row, int(self.columns[column])

    def entry(self, position: int) -> str:
        return self.name_of(*self.pair(position))


class PairLayout(Layout):
    """How the pairs of outputs and columns lie in one vector.

    Parameters
    ----------
    outputs, inputs : Layout
    columns : Columns
    name_of : callable, optional
        ``name_of(output, column)``; by default by output and by the only entry of the column.
    named_by_outputs : bool
        Whether there is one column, and pairs are called by their outputs alone.
    """

    def __init__(
        self,
        outputs: Layout,
        inputs: Layout,
        columns: Columns,
        name_of: Callable[[int, int], str] | None = None,
        named_by_outputs: bool = False,
    ):
        self.outputs, self.inputs, self.columns = outputs, inputs, columns
        self.root = "jacobian"
        self._by_outputs = named_by_outputs
        self.plain = False
        self._first = columns.first
        self.parts = tuple(self._pair_blocks(name_of or self._plain_name))
        """The blocks, which know their rows and columns."""
        self.blocks = self.parts
        self.size = self.parts[-1].stop
        self.tree = Leaf((self.size,), np.dtype(np.float64), False)
        self.constants, self.templates = {}, {}
        self._row_starts = np.array([part.rows.start for part in self.parts])
        self._widths = np.array([part.columns.size for part in self.parts])

    def _pair_blocks(self, name_of: Callable[[int, int], str]) -> Iterator[PairBlock]:
        start, float64 = 0, np.dtype(np.float64)
        for rows in self.outputs.blocks:
            for name, shape, which in self._parts_of_inputs():
                place = f"{rows.name} / {name}", rows.shape + shape, start
                if self._by_outputs:
                    place = rows.name, rows.shape, start
                made = PairBlock(*place, float64, False, rows, which, name_of)
                yield made
                start = made.stop

    def _parts_of_inputs(self) -> Iterator[tuple[str, tuple[int, ...], Indices]]:
        """Name, shape and columns of each block of the inputs, or of all where columns are shared."""
        if not self.columns.single:
            names = [block.name for block in self.inputs.blocks]
            every = np.arange(self.columns.count)
            yield names[0] if len(names) == 1 else "inputs", every.shape, every
            return
        for block in self.inputs.blocks:
            which = np.flatnonzero((self._first >= block.start) & (self._first < block.stop))
            if which.size:
                yield block.name, block.shape if which.size == block.size else which.shape, which

    def _plain_name(self, output: int, column: int) -> str:
        return f"{self.outputs.name(output)} / {self.inputs.name(int(self._first[column]))}"

    def pairs(self, positions: Indices) -> tuple[Indices, Indices]:
        """Outputs and columns of some positions, each of shape (m,)."""
        b = np.searchsorted(self._starts, positions, side="right") - 1
        row, within = np.divmod(positions - self._starts[b], self._widths[b])
        if len(self.blocks) == 1:
            return self._row_starts[b] + row, within
        columns = np.concatenate([part.columns for part in self.parts])
        offsets = np.cumsum([0, *self._widths[:-1]])
        return self._row_starts[b] + row, columns[offsets[b] + within]

    def vector(self, value: Any, what: str = "") -> Floats:
        """A matrix of outputs x columns along the positions."""
        parts = [
            value[part.rows.start : part.rows.stop][:, part.columns].ravel() for part in self.parts
        ]
        return np.asarray(np.concatenate(parts), np.float64)

    def matrix(self, flat: Floats) -> Floats:
        """`vector`, undone."""
        found = np.zeros((self.outputs.size, self.columns.count))
        for part in self.parts:
            values = flat[part.start : part.stop].reshape(part.rows.size, -1)
            found[part.rows.start : part.rows.stop, part.columns] = values
        return found
