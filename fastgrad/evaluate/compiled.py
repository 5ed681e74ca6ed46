"""A compiled loss at perturbed parameters: threads, slabs, and the state of the process around them."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, NoReturn

import numpy as np
from numba import _helperlib
from numpy.typing import NDArray

from fastgrad.errors import LossError, MutatedInputError
from fastgrad.evaluate import kernels
from fastgrad.evaluate.adapters import BoundArguments, compiled_loss, dispatcher
from fastgrad.evaluate.launch import (
    NEVER_PAYS,
    available_threads,
    launch_cost,
    one_blas_thread,
    parallel_launch,
    pays,
)
from fastgrad.params import Floats, Layout, native_argument

SLAB_SECONDS = 0.1
"""Between two slabs Ctrl-C is answered, progress shown and time limits kept."""

FIRST_SLAB_SECONDS = 0.01
"""A slab sized by an earlier call's measurement, before this call has one of its own."""

LINE = 64
"""Bytes in a cache line: rows start on one, so that threads share none and BLAS sees one alignment."""


class CompiledEvaluator:
    """The loss around one flat theta, on compiled threads.

    Parameters
    ----------
    loss : njit function or plain function
    layout : Layout
        Of theta.
    theta : ndarray, shape (n,)
        Kept, not copied; never written to.
    arguments : tuple
        The loss's other arguments, in order.
    argnum : int
        Position of theta among the loss's arguments.
    threads : int, optional
        Rows of theta to work on at once; by default numba's own number of threads.
    """

    def __init__(
        self,
        loss: Any,
        layout: Layout,
        theta: Floats,
        arguments: tuple[Any, ...],
        argnum: int = 0,
        threads: int | None = None,
    ):
        self.theta = theta
        self.evaluations = 0
        self.advance: Callable[[int], None] | None = None
        """Called with the number of evaluations after each slab."""
        self._layout = layout
        self._argnum = argnum
        self._arguments = tuple(map(native_argument, arguments))
        self._loss = dispatcher(loss)
        self._compiled = compiled_loss(self._loss, layout, argnum, self._arguments)
        self._bound = BoundArguments(self._compiled, layout.adapter[2], self._arguments)
        self._threads = threads
        self._rows = aligned_rows(1, theta)
        self._workload = theta.nbytes + sum(getattr(a, "nbytes", 0) for a in self._arguments)

    def value(self) -> float:
        """The loss at theta."""
        return float(self.coordinates(np.zeros(1, np.int64), np.zeros((1, 1)))[0, 0])

    def coordinates(self, indices: NDArray[np.int64], offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k).

        Raises
        ------
        LossError
            The loss raised; with its own exception as cause.
        MutatedInputError
            The loss wrote to its parameters.
        """
        values = np.empty_like(offsets)
        failed = np.zeros(offsets.shape, np.uint8)

        def launch(start: int, stop: int, threads: int) -> None:
            slab = (
                self._compiled.address,
                self._bound.address,
                self.theta,
                self._rows,
                indices[start:stop],
                offsets[start:stop],
                values[start:stop],
                failed[start:stop],
            )
            if threads == 1:
                kernels.coordinates_serial(*slab)
            else:
                grain = max(1, (stop - start) // (16 * threads))
                kernels.coordinates_parallel(*slab, np.zeros(1, np.int64), grain)

        def where(k: int) -> Floats:
            i, j = divmod(k, offsets.shape[1])
            point = self.theta.copy()
            point[indices[i]] += offsets[i, j]
            return point

        def place(k: int) -> str:
            i, j = divmod(k, offsets.shape[1])
            entry = self._layout.name(int(indices[i]))
            return f"{entry} {offsets[i, j]:+.3g}" if offsets[i, j] else "the given parameters"

        self._run(launch, failed, where, place)
        return values

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,).

        Raises
        ------
        LossError, MutatedInputError
            As `coordinates`.
        """
        values = np.empty_like(offsets)
        failed = np.zeros((offsets.size, 1), np.uint8)

        def launch(start: int, stop: int, threads: int) -> None:
            slab = (
                self._compiled.address,
                self._bound.address,
                self.theta,
                self._rows,
                direction,
                offsets[start:stop],
                values[start:stop],
                failed[start:stop],
            )
            if threads == 1:
                kernels.line_serial(*slab)
            else:
                kernels.line_parallel(*slab, np.zeros(1, np.int64))

        def where(k: int) -> Floats:
            return self.theta + offsets[k] * direction

        def place(k: int) -> str:
            return f"theta {offsets[k]:+.3g} along a direction"

        self._run(launch, failed, where, place)
        return values

    def _run(
        self,
        launch: Callable[[int, int, int], None],
        failed: NDArray[np.uint8],
        where: Callable[[int], Floats],
        place: Callable[[int], str],
    ) -> None:
        """Launch all rows, slab by slab; each slab is as long, and on as many threads, as pays."""
        rows, per_row = failed.shape
        done = 0
        with self._state_kept():
            while done < rows:
                cost = self._compiled.seconds.get(self._workload)
                threads = self._threads_for(None if cost is None else cost * (rows - done) * per_row)
                stop = min(rows, done + _slab(cost, threads, per_row, first=done == 0))
                self._timed(launch, done, stop, threads, per_row, cost)
                self.evaluations += (stop - done) * per_row
                if not kernels.is_sound(self.theta, self._rows, failed[done:stop]):
                    self._raise(failed[done:stop], done * per_row, where, place)
                if self.advance is not None:
                    self.advance((stop - done) * per_row)
                done = stop

    def _state_kept(self) -> AbstractContextManager[Any]:
        """Whatever of the process's state this loss would change, put back at the end."""
        if not (self._compiled.uses_blas or self._compiled.uses_random):
            return nullcontext()
        stack = ExitStack()
        if self._compiled.uses_blas:
            stack.enter_context(one_blas_thread)
        if self._compiled.uses_random:
            stack.callback(_restore_random_state, *_random_state())
        return stack

    def _timed(
        self,
        launch: Callable[[int, int, int], None],
        start: int,
        stop: int,
        threads: int,
        per_row: int,
        cost: float | None,
    ) -> None:
        evaluations = (stop - start) * per_row
        if threads > 1:
            self._grow(threads)
            with one_blas_thread, parallel_launch():
                began = time.perf_counter()
                launch(start, stop, threads)
                seconds = time.perf_counter() - began
            if cost is not None:
                launch_cost.saw(seconds - cost * evaluations / threads)
        else:
            began = time.perf_counter()
            launch(start, stop, 1)
            seconds = time.perf_counter() - began
        self._compiled.seconds[self._workload] = seconds * threads / evaluations

    def _threads_for(self, work: float | None) -> int:
        if self._compiled.is_parallel:
            return 1
        if self._threads is not None:
            return self._threads
        if work is None or work < NEVER_PAYS:
            return 1
        return threads if pays(work, threads := available_threads()) else 1

    def _grow(self, threads: int) -> None:
        if self._rows.shape[0] != threads:
            self._rows = aligned_rows(threads, self.theta)

    def _raise(
        self,
        failed: NDArray[np.uint8],
        first: int,
        where: Callable[[int], Floats],
        place: Callable[[int], str],
    ) -> NoReturn:
        """The error for a slab that is not sound."""
        if failed.any():
            k = first + int(np.flatnonzero(failed)[0])
            raise LossError(f"the loss raised at {place(k)}") from self._own_exception(where(k))
        changed = self._rows[:, : self.theta.size] != self.theta
        row, position = map(int, np.argwhere(changed)[0])
        raise MutatedInputError(
            f"the loss wrote to its own parameters ({self._layout.name(position)} was "
            f"{self.theta[position]:.17g}, became {self._rows[row, position]:.17g}): a loss must "
            "leave them alone; copy what it changes first"
        )

    def _own_exception(self, point: Floats) -> BaseException | None:
        """The user's own exception, by running the loss there once more; None if it did not come."""
        arguments = list(self._arguments)
        arguments.insert(self._argnum, self._layout.native(point))
        try:
            self._loss(*arguments)
        except Exception as error:
            return error
        return None


def aligned_rows(count: int, theta: Floats) -> Floats:
    """Copies of theta, one a row; each row starts on a cache line and is padded to whole ones."""
    per_line = LINE // theta.itemsize
    width = -(-theta.size // per_line) * per_line
    memory = np.empty(count * width + per_line)
    start = (-memory.__array_interface__["data"][0] % LINE) // theta.itemsize
    rows = memory[start : start + count * width].reshape(count, width)
    rows[:, : theta.size] = theta
    return rows


def _slab(cost: float | None, threads: int, per_row: int, first: bool) -> int:
    """Rows of a slab: one where the cost of a row is not known yet."""
    if cost is None:
        return 1
    seconds = FIRST_SLAB_SECONDS if first else SLAB_SECONDS
    return max(threads, int(seconds * threads / (per_row * max(cost, 1e-9))))


def _random_state() -> tuple[Any, ...]:
    """numba's two random generators on this thread, which a loss that seeds or draws would change."""
    pointers = _helperlib.rnd_get_np_state_ptr(), _helperlib.rnd_get_py_state_ptr()
    return tuple((pointer, _helperlib.rnd_get_state(pointer)) for pointer in pointers)


def _restore_random_state(*states: tuple[Any, Any]) -> None:
    for pointer, state in states:
        _helperlib.rnd_set_state(pointer, state)
