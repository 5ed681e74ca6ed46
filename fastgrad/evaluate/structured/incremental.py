"""Losses that say themselves how they change with one entry: `fastgrad.structured.Incremental`."""

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numba.core.registry import CPUDispatcher
from numpy.typing import NDArray

from fastgrad.errors import LossError, MutatedInputError
from fastgrad.evaluate.adapters import BoundArguments
from fastgrad.evaluate.compiled import aligned_rows
from fastgrad.evaluate.explain import argument_name
from fastgrad.evaluate.guard import ArgumentGuard
from fastgrad.evaluate.kernels import is_sound
from fastgrad.evaluate.slabs import in_slabs
from fastgrad.evaluate.state import one_blas_thread
from fastgrad.evaluate.structured import kernels
from fastgrad.evaluate.structured.adapters import CFunction, delta_function, typed
from fastgrad.evaluate.structured.base import Plain, Structure, StructuredEvaluator
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.params import Block, Floats, Layout
from fastgrad.trees import shortened

Deltas: TypeAlias = CPUDispatcher | Mapping[str, CPUDispatcher]


class IncrementalEvaluator(StructuredEvaluator):
    """Differences by the user's ``delta``, entry by entry, on compiled threads."""

    chunk = 1 << 16

    def __init__(
        self,
        structure: Structure,
        plain: Plain,
        layout: Layout,
        theta: Floats,
        arguments: tuple[Any, ...],
        prepare: CPUDispatcher,
        deltas: Deltas,
        work: int | Callable[..., int],
        threads: int | None = None,
    ):
        super().__init__(structure, plain, layout, theta, arguments)
        self._functions, kinds, plan = block_plan(layout, _frozen(deltas))
        parameters = layout.native(self.theta)
        # BLAS's own threads would go on spinning beside those of the deltas, which then took 1.4 times.
        with one_blas_thread, self.guarded("prepare", prepare, parameters):
            self.state = prepare(parameters, *self.arguments)
        bound = (plan, self.state, *self.arguments)
        self._delta: CFunction = delta_function(
            self._functions, kinds, layout, typed((layout.adapter.table, *bound))
        )
        self._bound = BoundArguments(self._delta, layout.adapter.table, bound)  # type: ignore[arg-type]
        self._plan = plan
        size = work(parameters, *self.arguments) if callable(work) else work
        self._scratch_size = max(1, int(size))
        self._threads = threads
        self._make_rows(1)
        self._watch_each()
        names = ["state", *(argument_name(structure.loss, 1 + k) for k in range(len(arguments)))]
        self._guard = ArgumentGuard((self.state, *self.arguments), names.__getitem__, "a delta")

    @cached_property
    def magnitudes(self) -> Floats:
        return np.ones(self.theta.size)

    def coordinates(self, indices: NDArray[np.int64], offsets: Floats) -> Floats:
        """``values[k, j]``: f(theta + offsets[k, j] e_{indices[k]}) - f(theta), shape (m, k).

        Raises
        ------
        LossError
            A delta raised; with its own exception as cause.
        MutatedInputError
            A delta wrote to its parameters, to the state or to an argument.
        """
        indices = np.ascontiguousarray(indices, np.int64)
        offsets = np.ascontiguousarray(offsets)
        values = np.empty_like(offsets)
        for block, part in self._parts(indices):
            self._differences(block, indices[part], offsets[part], values[part])
        if not is_sound(self.theta, self._rows, np.zeros(0, np.uint8), 0, 0):
            raise MutatedInputError(
                "delta wrote to its parameters: expected the difference alone, and theta left as "
                "it is; use the work vector for what it needs to keep"
            )
        self._guard.check()
        return values

    def _parts(self, indices: NDArray[np.int64]) -> list[tuple[int, slice]]:
        """Where each block is among the indices; -1 and everything, if they are in no order.

        What a difference costs is the block's own.
        """
        if (np.diff(indices) < 0).any():
            return [(-1, slice(None))]
        bounds = np.searchsorted(indices, [0, *(block.stop for block in self.layout.blocks)])
        return [(b, slice(*ends)) for b, ends in enumerate(pairwise(bounds)) if ends[0] < ends[1]]

    def _differences(
        self, block: int, indices: NDArray[np.int64], offsets: Floats, values: Floats
    ) -> None:
        failed = np.zeros(offsets.shape, np.uint8)

        def launch(start: int, stop: int, threads: int) -> None:
            part = slice(start, stop)
            slab = (
                self._delta.address,
                self._bound.address,
                self._rows,
                self.theta.size,
                self._scratch,
                indices[part],
                offsets[part],
                values[part],
                failed[part],
            )
            if threads == 1:
                kernels.deltas_serial(*slab)
            else:
                grain = cost.turn(stop - start, threads)
                kernels.deltas_parallel(*slab, np.zeros(1, np.int64), grain)

        def done(start: int, stop: int) -> None:
            count = (stop - start) * offsets.shape[1]
            if failed[start:stop].any():
                self._raise(indices[start:stop], offsets[start:stop], failed[start:stop])
            self._made(count, count)

        shapes = (getattr(argument, "shape", ()) for argument in self.arguments)
        cost = self._delta.costs[block, self.theta.size, offsets.shape[1], *shapes]
        in_slabs(indices.size, cost, launch, done, self._grow, self._threads)

    def _watch_each(self) -> None:
        """Raise `MutatedInputError` if a delta, run once by itself, writes to what is not its own.

        In a whole launch the change by +h and that by -h may cancel.
        """
        own = self.layout.native(self.theta), self.state, 0, 0.0, 0.0
        for block in self.layout.blocks:
            if block.size == 0:
                continue
            function = self._functions[self._row(block.start)[2]]
            with self.guarded(f"the delta of {block.name}", function, *own):
                self._exception(block.start, CENTRAL[2].step)

    def _grow(self, threads: int) -> None:
        if threads > self._rows.shape[0]:
            self._make_rows(threads)

    def _make_rows(self, threads: int) -> None:
        self._rows = aligned_rows(threads, self.theta)
        self._scratch = np.zeros((threads, -(-self._scratch_size // 8) * 8))

    def _raise(
        self, indices: NDArray[np.int64], offsets: Floats, failed: NDArray[np.uint8]
    ) -> NoReturn:
        k, j = map(int, np.argwhere(failed)[0])
        position, h = int(indices[k]), float(offsets[k, j])
        name = self.layout.name(position)
        raise LossError(f"delta raised at {name} {h:+.3g}") from self._exception(position, h)

    def _exception(self, position: int, h: float) -> BaseException | None:
        row = self._row(position)
        block = self.layout.block_at(position)
        lead = row[3 : row.size - len(block.shape)]
        index: Any = (*map(int, lead[: self._lead(block)]), *block.index(position))
        index = index[0] if len(index) == 1 else index or 0
        work = np.zeros(self._scratch_size)
        try:
            self._functions[row[2]](
                self.layout.native(self.theta), self.state, index, h, work, *self.arguments
            )
        except Exception as error:
            return error
        return None

    def _row(self, position: int) -> NDArray[np.int64]:
        """Of the plan, for the block of an entry."""
        return np.asarray(self._plan[np.searchsorted(self._plan[:, 1], position, side="right")])

    def _lead(self, block: Block) -> int:
        return sum(part.isdigit() for part in block.name.split("."))


def _frozen(deltas: Deltas) -> Any:
    return tuple(deltas.items()) if isinstance(deltas, Mapping) else deltas


@lru_cache(maxsize=256)
def block_plan(
    layout: Layout, deltas: Any
) -> tuple[tuple[CPUDispatcher, ...], tuple[tuple[int, int], ...], NDArray[np.int64]]:
    """Which function answers for which block.

    A block in a list or a tuple, such as ``layers.0.W``, is found by its own name, or by its name
    without positions, ``layers.W``; its index then begins with them.

    Returns
    -------
    functions : tuple of njit functions
    kinds : tuple of (int, int)
        For each: number of positions that lead the index, number of axes of the block.
    plan : ndarray of int64, shape (blocks, width)
        Start, stop, position in ``functions``; then the leading positions and the block's shape.

    Raises
    ------
    ValueError
        A block that no function is for, or a name that no block has.
    """
    named = None if isinstance(deltas, CPUDispatcher) else dict(deltas)
    groups: dict[tuple[Any, int, int], int] = {}
    rows, used = [], set()
    for block in layout.blocks:
        parts = block.name.split(".")
        positions = [int(part) for part in parts if part.isdigit()]
        shared = ".".join(part for part in parts if not part.isdigit())
        if named is None:
            function = deltas
        elif block.name in named:
            function, positions = named[block.name], []
            used.add(block.name)
        elif shared in named:
            function = named[shared]
            used.add(shared)
        else:
            raise ValueError(
                f"delta: no function for the block {block.name!r} of theta; there is one for "
                f"{shortened(list(named))}"
            )
        group = groups.setdefault((function, len(positions), len(block.shape)), len(groups))
        rows.append([block.start, block.stop, group, *positions, *block.shape])
    unknown = [] if named is None else [name for name in named if name not in used]
    if unknown:
        raise ValueError(
            f"delta: theta has no block {unknown[0]!r}; its blocks are "
            f"{shortened([block.name for block in layout.blocks])}"
        )
    plan = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, values in zip(plan, rows, strict=True):
        row[: len(values)] = values
    functions = tuple(key[0] for key in groups)
    return functions, tuple((key[1], key[2]) for key in groups), plan
