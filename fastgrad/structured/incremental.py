"""Losses that say themselves how they change with one entry."""

from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastgrad.arrays import Floats, Indices
from fastgrad.errors import LossError, MutatedInputError
from fastgrad.evaluate.adapters import BoundArguments, dispatcher
from fastgrad.evaluate.argument_guard import ArgumentGuard
from fastgrad.evaluate.copies_of_theta import aligned_rows
from fastgrad.evaluate.process import one_blas_thread
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.schedule import Work, in_slabs
from fastgrad.evaluate.signature import argument_name
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.structured import kernels
from fastgrad.structured.adapters import delta_function, typed
from fastgrad.structured.delta_plan import Deltas, plan_of
from fastgrad.structured.evaluator import StructuredEvaluator
from fastgrad.structured.structure import Plain, Structure


class Incremental(Structure):
    """A loss with functions that give ``f(theta + h e_i) - f(theta)`` without evaluating f.

    Parameters
    ----------
    loss : njit function
        ``loss(theta, *args) -> float``, the plain loss.
    prepare : njit function
        ``prepare(theta, *args) -> state``: whatever the deltas share, computed once for a theta and
        read by all threads; an array or a (named) tuple. Nothing may write to it.
    delta : njit function, or mapping of block names to njit functions
        ``delta(theta, state, index, h, work, *args) -> f(theta + h e_index) - f(theta)``. ``theta``
        and ``args`` come as the loss gets them. ``index`` is that of the entry in its block:
        ``j`` for a vector, ``(i, j)`` for a matrix, 0 for a number. Blocks in a list or tuple share
        one function, ``{"layers.W": delta_W}`` for ``layers.0.W``, ``layers.1.W``, ..., and their
        index begins with the position: ``(layer, i, j)``. ``work`` is a float64 vector of scratch
        memory of the thread's own, with anything in it.
    work : int, or callable
        Length of ``work``, or ``work(theta, *args) -> int``.

    Notes
    -----
    Return a difference that was computed as one, not a new value less an old one: nothing large
    cancels then, and the gradient is 30 to 40 times more accurate than that of the plain loss.

    Examples
    --------
    Least squares: with r = X w - y kept in the state, changing ``w[j]`` by h adds ``h X[:, j]``.

    >>> import numpy as np, fastgrad as fg
    >>> from numba import njit
    >>> @njit
    ... def loss(w, X, y):
    ...     r = X @ w - y
    ...     return 0.5 * r @ r
    >>> @njit
    ... def prepare(w, X, y):
    ...     return X @ w - y
    >>> @njit
    ... def delta(w, r, j, h, work, X, y):
    ...     return (h * X[:, j] * (r + 0.5 * h * X[:, j])).sum()
    >>> least_squares = fg.structured.Incremental(loss, prepare, delta)
    >>> X = np.array([[1.0, 0.0], [1.0, 2.0]])
    >>> fg.grad(least_squares)(np.zeros(2), X, np.ones(2))
    array([-2., -2.])
    """

    kind = "incremental"

    def __init__(
        self,
        loss: Callable[..., Any],
        prepare: Callable[..., Any],
        delta: Callable[..., Any] | Mapping[str, Callable[..., Any]],
        *,
        work: int | Callable[..., int] = 0,
    ):
        super().__init__(loss)
        self.prepare = dispatcher(prepare)
        self.deltas: Deltas = (
            {name: dispatcher(f) for name, f in delta.items()}
            if isinstance(delta, Mapping)
            else dispatcher(delta)
        )
        self.work = work

    def around(
        self, plain: Plain, inputs: Inputs, threads: int | None = None
    ) -> "IncrementalEvaluator":
        return IncrementalEvaluator(self, plain, inputs, threads)

    def likely_cause(self, run: Any, position: int) -> str:
        block = run.layout.block_at(position)
        return f"the delta of {block.name} leaves out a term, or adds one, or has the wrong sign"


class IncrementalEvaluator(StructuredEvaluator):
    """Differences by the user's ``delta``, entry by entry, on compiled threads.

    Parameters
    ----------
    structure : Incremental
    plain : callable
    inputs : Inputs
    threads : int, optional
        Entries to work on at once; by default numba's own number of threads.
    """

    chunk = 1 << 16

    def __init__(
        self, structure: Incremental, plain: Plain, inputs: Inputs, threads: int | None = None
    ):
        super().__init__(structure, plain, inputs)
        self._plan = plan_of(self.layout, structure.deltas)
        parameters, prepare = self.layout.native(self.theta), structure.prepare
        # BLAS's own threads would go on spinning beside those of the deltas, which then took 1.4 times.
        with one_blas_thread, self.guarded("prepare", prepare, parameters):
            self.state = prepare(parameters, *self.arguments)
        bound = (self._plan.table, self.state, *self.arguments)
        table = self.layout.adapter.table
        self._delta = delta_function(self._plan, self.layout, typed((table, *bound)))
        self._bound = BoundArguments(self._delta, table, bound)
        work = structure.work
        size = work(parameters, *self.arguments) if callable(work) else work
        self._scratch_size = max(1, int(size))
        self._threads = threads
        self._make_rows(1)
        self._watch_each()
        count = len(self.arguments)
        names = ["state", *(argument_name(structure.loss, 1 + k) for k in range(count))]
        self._guard = ArgumentGuard((self.state, *self.arguments), names.__getitem__, "a delta")

    @cached_property
    def magnitudes(self) -> Floats:
        return np.ones(self.theta.size)

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
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
        if not (self._rows[:, : self.theta.size] == self.theta).all():
            raise MutatedInputError(
                "delta wrote to its parameters: expected the difference alone, and theta left as "
                "it is; use the work vector for what it needs to keep"
            )
        self._guard.check()
        return values

    def _parts(self, indices: Indices) -> list[tuple[int, slice]]:
        """The place of each block among the indices; -1 and everything, if they are in no order.

        What a difference costs is the block's own.
        """
        if (np.diff(indices) < 0).any():
            return [(-1, slice(None))]
        bounds = np.searchsorted(indices, [0, *(block.stop for block in self.layout.blocks)])
        return [(b, slice(*ends)) for b, ends in enumerate(pairwise(bounds)) if ends[0] < ends[1]]

    def _differences(self, block: int, indices: Indices, offsets: Floats, values: Floats) -> None:
        """Fill ``values`` with the differences of some entries of one block."""
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
        in_slabs(indices.size, cost, Work(launch, done, self._grow), self._threads)

    def _watch_each(self) -> None:
        """Raise `MutatedInputError` if a delta, run once by itself, writes to what is not its own.

        In a whole launch the change by +h and that by -h may cancel.
        """
        own = self.layout.native(self.theta), self.state, 0, 0.0, 0.0
        for block in self.layout.blocks:
            if block.size == 0:
                continue
            function = self._plan.function_for(block.start)
            with self.guarded(f"the delta of {block.name}", function, *own):
                self._exception(block.start, CENTRAL[2].step)

    def _grow(self, threads: int) -> None:
        if threads > self._rows.shape[0]:
            self._make_rows(threads)

    def _make_rows(self, threads: int) -> None:
        self._rows = aligned_rows(threads, self.theta)
        self._scratch = np.zeros((threads, -(-self._scratch_size // 8) * 8))

    def _raise(self, indices: Indices, offsets: Floats, failed: NDArray[np.uint8]) -> NoReturn:
        k, j = map(int, np.argwhere(failed)[0])
        position, h = int(indices[k]), float(offsets[k, j])
        name = self.layout.name(position)
        raise LossError(f"delta raised at {name} {h:+.3g}") from self._exception(position, h)

    def _exception(self, position: int, h: float) -> BaseException | None:
        """What the delta of an entry raises, by running it again; None if nothing."""
        index = self._plan.index_of(self.layout.block_at(position), position)
        work = np.zeros(self._scratch_size)
        try:
            self._plan.function_for(position)(
                self.layout.native(self.theta), self.state, index, h, work, *self.arguments
            )
        except Exception as error:
            return error
        return None
