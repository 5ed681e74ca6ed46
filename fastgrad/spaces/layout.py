"""Theta with spaces in it <-> one flat vector: a `Layout` whose blocks may be charts.

What a loss is handed for a flat vector are points: so evaluators, differences and checks move numbers,
and know nothing of spaces.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats, Indices, Mask
from fastgrad.errors import LossCompilationError
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.native import Expression, expression, native_container
from fastgrad.parameters.numbers import real_array, rounding_of
from fastgrad.parameters.trees import Leaf, Node, build
from fastgrad.spaces.charts import Chart, require_shape


@dataclass(frozen=True)
class SpaceBlock(Block):
    """A block whose entries are those of a chart."""

    chart: Chart

    def entry(self, position: int) -> str:
        return self.name + self.chart.entry(self.index(position))


class SpaceLayout(Layout):
    """How a theta with spaces in it lies in a flat vector; of one theta alone.

    Parameters
    ----------
    tree : Node
        Its leaves are of the shapes of charts, or plain.
    root : str
    charts : sequence of Chart or None
        One a leaf.
    """

    def __init__(self, tree: Node, root: str, charts: Sequence[Chart | None]):
        super().__init__(tree, root)
        self.charts = tuple(charts)
        self.blocks = tuple(map(_block, self.blocks, charts))
        self.plain = False
        self.linear = all(chart is None or chart.linear for chart in charts)
        self.own_units = self._along(lambda chart: chart.units)
        self.own_one_unit = {
            b: chart.one_unit
            for b, chart in enumerate(charts)
            if chart is not None and chart.one_unit is not None
        }
        self.kinds = self._kinds()
        self.finest = self._along(lambda chart: chart.finest)

    def _along(self, of_chart: Callable[[Chart], Floats | None]) -> Floats | None:
        """What charts say of their entries, 0 for others, shape (n,); None where none says anything."""
        values, said = np.zeros(self.size), False
        for chart, block in self._both:
            known = None if chart is None else of_chart(chart)
            if known is not None:
                values[block.start : block.stop], said = known, True
        return values if said else None

    def _kinds(self) -> Indices | None:
        found, first = np.full(self.size, -1), 0
        for chart, block in self._both:
            if chart is not None and chart.kinds is not None:
                found[block.start : block.stop] = first + chart.kinds
                first += int(chart.kinds.max()) + 1
        return found if first else None

    def rebuild(self, flat: Array) -> Any:
        return build(self.tree, self._leaf(flat, lambda chart, x: chart.gradient(x)))

    def alike(self, flat: Array) -> Any:
        return build(self.tree, self._leaf(flat, lambda chart, x: chart.alike(x)))

    def given(self, flat: Floats) -> Any:
        return build(self.tree, self._leaf(flat, lambda chart, x: chart.point(x)))

    def holding(self, theta: Any, free: Mask | None) -> "SpaceLayout":
        return self

    def native(self, flat: Floats, container: Callable[..., Any] = native_container) -> Any:
        made = self._leaf(flat, lambda chart, x: chart.native(x))
        return build(self.tree, made, container)

    def moved(self, flat: Floats, change: Floats) -> Any:
        return self.given(flat + change)

    def claimed(self, gradient: Any, what: str) -> tuple[Floats, Floats]:
        """The slopes that a gradient claims along the flat vector, and each block's rounding unit.

        Raises
        ------
        StructureMismatchError, TypeError
            It is not shaped like theta, or not made of numbers.
        """
        units: list[float] = []

        def slopes(part: Any, block: Block) -> Array:
            chart = getattr(block, "chart", None)
            said = f"{what} for {block.name}"
            if chart is not None:
                values, unit = chart.claimed(part, said)
            else:
                array = real_array(part, said)
                require_shape(array, [block.shape], said, "as the parameters have")
                values, unit = array.astype(np.float64).ravel(), rounding_of(array)
            units.append(unit)
            return np.asarray(values)

        flat = np.concatenate(self.match(gradient, what, slopes))
        return flat, np.maximum(units, np.finfo(np.float64).eps)

    def claimed_vector(self, gradient: Any, what: str) -> Floats:
        return self.claimed(gradient, what)[0]

    @property
    def _both(self) -> list[tuple[Chart | None, Block]]:
        return list(zip(self.charts, self.blocks, strict=True))

    def _leaf(self, flat: Array, of_chart: Callable[[Chart, Any], Any]) -> Callable[[Leaf], Any]:
        both = iter(self._both)

        def leaf(_: Leaf) -> Any:
            chart, block = next(both)
            values = flat[block.start : block.stop]
            if chart is not None:
                return of_chart(chart, values)
            if block.scalar:
                return float(values[0])
            return values.reshape(block.shape)

        return leaf

    listed = None
    """Lists of points are tuples."""

    @property
    def adapter(self) -> Expression:
        """`native` as source that numba can compile; points lie in the table, bit by bit."""
        found = self.__dict__.get("_adapter")
        if found is None:
            found = self.__dict__["_adapter"] = self._expression()
        return found

    def _expression(self) -> Expression:
        bounds = [(block.start, block.stop) for block in self.blocks]
        special: dict[int, tuple[Any, Floats | None]] = {}
        for k, chart in enumerate(self.charts):
            if chart is None:
                continue
            compiled = chart.compiled()
            if compiled is None:
                raise LossCompilationError(
                    f"the retraction of {self.blocks[k].name} is no compiled function: expected one "
                    'made by njit, of a point that is an array of float64, or backend="python"',
                    f"the retraction of {self.blocks[k].name} is a Python function",
                )
            special[k] = compiled
        return expression(self.tree, bounds, special)

    def copied(self, theta: Any) -> Any:
        return self.given(self.reread(theta))

    def reread(self, given: Any) -> Floats:
        """The flat vector of a theta that was handed out; its points must be as they were.

        Raises
        ------
        MutatedInputError
        """

        def values(part: Any, block: Block) -> Array:
            chart = getattr(block, "chart", None)
            if chart is None:
                return np.asarray(part, np.float64).reshape(-1)
            return np.asarray(chart.values_of(part, "the gradient under test"))

        return np.concatenate(self.match(given, self.root, values))

    def require_unbounded(self, bounded: Mask) -> None:
        for chart, block in self._both:
            if chart is not None and not chart.linear and bounded[block.start : block.stop].any():
                raise ValueError(
                    f"bounds for {block.name}: expected None, for it moves along its space alone; "
                    "those of plain blocks beside it are shaped like theta"
                )

    def remarks(self) -> Iterator[str]:
        """What a report says of how theta was read."""
        for chart, block in self._both:
            if chart is not None:
                yield from chart.remarks(block.name)


def _block(block: Block, chart: Chart | None) -> Block:
    if chart is None:
        return block
    return SpaceBlock(block.name, block.shape, block.start, block.dtype, block.scalar, chart)
