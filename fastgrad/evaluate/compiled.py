"""A compiled loss at perturbed parameters: threads, slabs, and what can go wrong in them."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import copy
from functools import partial
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastgrad.arrays import Floats, Indices
from fastgrad.errors import LossError, NondeterministicLossError
from fastgrad.evaluate import explain, kernels
from fastgrad.evaluate.adapters import BoundArguments, bound_arguments, dispatcher
from fastgrad.evaluate.direct import STENCIL, DirectGradient
from fastgrad.evaluate.explain import (
    argument_name,
    loss_error,
    other_position,
    place,
    place_along,
    wrote_to_theta,
)
from fastgrad.evaluate.fitting import fitted
from fastgrad.evaluate.outside import changed, outside
from fastgrad.evaluate.process import (
    available_threads,
    forks,
    parallel_launch,
    require_threads_after_fork,
    state_kept,
)
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.purity import SCATTER, ArgumentGuard, require_deterministic
from fastgrad.evaluate.schedule import Launch, Work, in_slabs
from fastgrad.evaluate.scratch import is_overwritten, with_copies
from fastgrad.evaluate.state import fingerprint, holds_state, kind_of
from fastgrad.numerics.stencils import Stencil
from fastgrad.parameters.arguments import merged, place_of
from fastgrad.parameters.native import plain_array

SHOWING_SECONDS = 1.0
"""Work from which it pays to show that a loss only reads its state: that compiles for about as long."""
COMPARE_SECONDS = 1.0
"""Values made on several threads are held against those of one so often."""
READINGS = 3
"""All bytes of the arguments are read before and after evaluations that cost so many readings."""
BYTES_A_SECOND = 5e9
"""Speed of a checksum from memory: 320 MB were read twice in 79 ms."""
COMPARED = 4
"""How many of them."""
FIRST_COMPARISONS = 3
"""So many launches are all compared."""
COMPARED_FIRST = 256
"""How many of the values of these, if they take no longer than `COMPARE_FIRST_SECONDS`: a buffer that
is shared unseen was found to spoil one value of 80, and none in the launch before."""
COMPARE_FIRST_SECONDS = 0.25
AWAY = 2.0**-17
"""A step, in units of the entry, at which the loss is evaluated twice."""


class CompiledEvaluator(Evaluator):
    """The loss around one flat theta, on compiled threads.

    Parameters
    ----------
    loss : njit function or plain function
    inputs : Inputs
    threads : int, optional
        Rows of theta to work on at once; by default numba's own number of threads.
    """

    leaves_state = False

    def __init__(self, loss: Any, inputs: Inputs, threads: int | None = None):
        layout, theta, arguments, argnum, scratch = inputs
        super().__init__(theta)
        self._layout = layout
        self._argnum = argnum
        self._loss = dispatcher(loss)
        self._passed = arguments
        self.compiled, self._arguments = fitted(self._loss, layout, argnum, arguments)
        self._bound = bound_arguments(self.compiled, layout, self._arguments)
        self.traits = self.compiled.traits
        """What running the loss does to the process."""
        self._threads = threads
        self._scratch = (*scratch, *(k for k in self.compiled.scratch if k not in scratch))
        self._own: list[BoundArguments] = []
        """The arguments with copies of what is scratch, one a thread; empty where nothing is."""
        self.rows = self._rows_of(1)
        """Copies of theta, one a thread, in which its entries are perturbed."""
        self._rows_are_theta = True
        """Lines leave another point in them, and look at what they wrote themselves."""
        self.workload = theta.nbytes + sum(getattr(a, "nbytes", 0) for a in self._arguments)
        """Bytes that an evaluation reads."""
        self._guard = self._guard_of(loss)
        self.cost = self.compiled.costs[self.workload]
        """Seconds of an evaluation, shared by all evaluators that read as many bytes."""
        if self.traits.launches_threads:
            require_threads_after_fork()
        self._to_repeat = self._may_differ
        """Whether to see first that the loss gives the same value again."""
        self._shared = False
        """Whether the evaluations under way were made on several threads."""
        self._held_back = False
        """Whether more threads would have paid."""
        self._most = 1
        """Number of threads that ran it at a time, at most."""

    @property
    def _may_differ(self) -> bool:
        """Whether the loss might give another value at the same parameters."""
        traits = self.traits
        return traits.uses_random or traits.has_state or traits.calls_unseen or bool(self._scratch)

    @property
    def ran(self) -> str:
        if self._most > 1:
            return f"Ran compiled, on {self._most} threads"
        if self.traits.uses_python:
            why = "as it asks Python for something"
        elif self.traits.launches_threads:
            why = "as it launches threads itself"
        elif self.traits.one_at_a_time:
            why = "as threads would share its generator"
        elif self._held_back:
            why = "as threads would share its state"
        elif available_threads() == 1:
            why = "all that numba has here"
        else:
            why = "as more would not have paid"
        return f"Ran compiled, on one thread, {why}"

    @property
    def remarks(self) -> tuple[str, ...]:
        return tuple(self._remarks())

    def _remarks(self) -> Iterator[str]:
        yield from super().remarks
        if self._held_back:
            shared = f"threads would share {self._stateful()}"
            yield explain.one_thread(explain.RACES if self.compiled.races else shared)
        if self._scratch:
            names = [argument_name(self._loss, place_of(k, self._argnum)) for k in self._scratch]
            yield explain.scratch(names)
        now = outside(self._loss.py_func)
        for name in changed(self.compiled.read, now):
            yield (
                f"{name}, which {self._loss.__name__} reads from outside, has changed since numba "
                "compiled it and took the value of then: pass it as an argument, or "
                f"{self._loss.__name__}.recompile()."
            )
        if self.compiled.python_seconds == np.inf:
            yield (
                f"{self._loss.__name__} runs compiled, and was not held against Python, where one "
                "call takes too long."
            )

    def forget(self) -> None:
        """Count from zero again."""
        self._evaluations = 0

    def _guard_of(self, loss: Any, sampled: bool = True) -> ArgumentGuard | None:
        """What notices that the loss wrote to an argument, where it is not proved to write to none.

        Once an evaluation for arguments of these types was seen to leave all of them alone, only
        samples of large ones are looked at, unless the evaluations cost more than reading all.
        Of a typed List the list that was passed is looked at, whose arrays it shares.
        """
        open_ = self._guarded()
        if not open_:
            return None
        return ArgumentGuard(
            tuple(
                self._passed[k] if type(self._passed[k]) is list else self._arguments[k]
                for k in open_
            ),
            lambda k: argument_name(loss, place_of(open_[k], self._argnum)),
            sampled=sampled and self.compiled.watched,
        )

    def _guarded(self) -> list[int]:
        """Positions of the arguments that the loss might write to, and must not."""
        proved = self.compiled.only_read
        return [k for k in range(len(proved)) if not proved[k] and k not in self._scratch]

    def at(self, theta: Floats) -> Evaluator:
        """The same loss with the same arguments, as they are now, at another theta of its layout."""
        other = copy(self)
        other.theta, other._evaluations, other.outside = theta, 0, None
        other._make_rows(1)
        if self._guard is not None:
            other._guard = self._guard.renewed()
        other._to_repeat, other._shared, other._held_back = self._may_differ, False, False
        return other

    def direct(self, stencil: Stencil) -> DirectGradient | None:
        """The way to small gradients that asks for no entries, where the loss allows it."""
        watched = self._guard is None or self.compiled.watched
        if (
            stencil is not STENCIL
            or self._may_differ
            or self.traits.launches_threads
            or not watched
        ):
            return None
        return DirectGradient(self.compiled, self._bound, self._layout, self._guard, self.cost)

    def gradient(self, stencil: Stencil) -> Floats | None:
        """The whole gradient at default steps, if it is a brief one."""
        direct = self.direct(stencil)
        found = None if direct is None else direct(self.theta.reshape(direct.shape))
        if found is not None:
            self._evaluations += 2 * self.theta.size
        return None if found is None else found.reshape(-1)

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k).

        Raises
        ------
        LossError
            The loss raised; with its own exception as cause.
        MutatedInputError
            The loss wrote to its parameters or to another argument.
        NondeterministicLossError
            The loss draws random numbers that nothing seeds.
        """
        if self._to_repeat and self.pure:
            self._require_deterministic()
        if not self._rows_are_theta:
            self.rows[:, : self.theta.size] = self.theta
            self._rows_are_theta = True
        indices, offsets = plain_array(indices), plain_array(offsets)  # what kernels take
        values = np.empty(offsets.shape)
        failed = np.zeros(offsets.size, np.uint8)

        def launch(start: int, stop: int, threads: int) -> None:
            at = (self.compiled.address, self._arguments_address, self.theta, self.rows)
            what = (indices, offsets, values, failed, start, stop)
            if threads == 1:
                kernels.coordinates_serial(*at, *what)
            else:
                grain = self.cost.turn(stop - start, threads)
                kernels.coordinates_parallel(*at, *what, np.zeros(1, np.int64), grain)

        def where(k: int) -> tuple[Floats, str]:
            i, j = divmod(k, offsets.shape[1])
            point = self.theta.copy()
            point[indices[i]] += offsets[i, j]
            return point, place(self._layout, int(indices[i]), offsets[i, j])

        self._run(launch, values, failed, where)
        return values

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,).

        Raises
        ------
        LossError, MutatedInputError, NondeterministicLossError
            As `coordinates`.
        """
        if self._to_repeat and self.pure:
            self._require_deterministic()
        direction, offsets = plain_array(direction), plain_array(offsets)
        values = np.empty(offsets.shape)
        failed = np.zeros(offsets.size, np.uint8)

        def launch(start: int, stop: int, threads: int) -> None:
            self._rows_are_theta = False
            at = (self.compiled.address, self._arguments_address, self.theta, self.rows)
            what = (direction, offsets, values, failed, start, stop)
            if threads == 1:
                kernels.line_serial(*at, *what)
            else:
                kernels.line_parallel(*at, *what, np.zeros(1, np.int64))

        def where(k: int) -> tuple[Floats, str]:
            return self.theta + offsets[k] * direction, place_along(offsets[k])

        self._run(launch, values, failed, where)
        return values

    def _run(
        self,
        launch: Launch,
        values: Floats,
        failed: NDArray[np.uint8],
        where: Callable[[int], tuple[Floats, str]],
    ) -> None:
        """Make all evaluations; ``where(k)`` is the point of evaluation k, and its name."""
        if self._guard is not None and self._guard.left_out:
            seconds = failed.size * (self.cost.seconds or 0.0)
            if seconds > READINGS * self._guard.left_out / BYTES_A_SECOND:
                self._guard = self._guard_of(self._loss, sampled=False)
        traits, guard = self.traits, self._guard
        if traits.has_state:
            launch = locked(launch, lambda: forks.state_lock)
        if traits.launches_threads:
            launch = locked(launch, parallel_launch)
        # The first evaluation is watched by itself: two changes of sign look like none.
        alone = guard is not None and not self.compiled.watched

        def done(start: int, stop: int) -> None:
            self._evaluations += stop - start
            rows = self.rows if self._rows_are_theta else self.rows[:0]
            if not kernels.is_sound(self.theta, rows, failed, start, stop):
                self._leave_out(failed[start:stop], rows, lambda k: where(start + k))
            if alone and start == 0 and guard is not None:
                self.compiled.watched = True
                if not guard.unchanged():
                    self._recognise_scratch()
                    launch(0, stop, 1)
            if self.advance is not None:
                self.advance(stop - start)

        self._shared = False
        work = Work(launch, done, self._grow)
        with state_kept(traits, self._arguments):
            threads = 1 if self._one_thread(launch, failed.size) else self._threads
            before = self._state() if traits.has_state and threads != 1 else None
            in_slabs(failed.size, self.cost, work, threads, alone)
            if self._shared and (before != self._state(before) or self._differ(launch, values)):
                self.compiled.races = self._held_back = True
                self._make_rows(1)
                failed[:] = 0
                made = self._evaluations
                in_slabs(failed.size, self.cost, work, 1)
                self._evaluations = made
        if self._guard is not None:
            self._guard.check()

    def _one_thread(self, launch: Launch, count: int) -> bool:
        """Whether threads must not share the loss, as far as is known before ``count`` evaluations."""
        compiled = self.compiled
        if self.traits.one_at_a_time or compiled.races:
            self._held_back |= compiled.races
            return True
        if not self.traits.has_state:
            return False
        work = (self.cost.seconds or 0.0) * count if compiled.may_be_shared else 0.0
        if compiled.leaves_state is None and work > SHOWING_SECONDS:
            before = self._state()
            launch(0, 1, 1)
            launch(count - 1, count, 1)
            compiled.leaves_state = before is not None and before == self._state()
        if not compiled.leaves_state:
            self._held_back |= self._threads != 1 and self.cost.threads(count) > 1
        return not compiled.leaves_state

    def _state(self, like: Any = ()) -> tuple[int, ...] | None:
        """A fingerprint of what the arguments hold beside arrays, unless there is none to compare."""
        return None if like is None else fingerprint(self._arguments, self.compiled.value_types)

    def _differ(self, launch: Launch, values: Floats) -> bool:
        """Whether some values that threads made differ from those that this thread makes alone.

        Looked at when a loss is first shared, and again every `COMPARE_SECONDS`; not surely seen, where
        threads disturb each other seldom.
        """
        now = time.perf_counter()
        often = self.compiled.comparisons < FIRST_COMPARISONS
        if not self.pure or not (often or now - self.compiled.compared >= COMPARE_SECONDS):
            return False
        self.compiled.comparisons += 1
        most = COMPARED
        if often:
            most = int(COMPARE_FIRST_SECONDS / max(self.cost.seconds or 0.0, 1e-9))
            most = min(max(most, COMPARED), COMPARED_FIRST)
        self.compiled.compared = now
        made = values.reshape(-1)
        sample = np.unique(np.linspace(0, made.size - 1, most).astype(np.int64))
        theirs = made[sample]
        for k in sample.tolist():
            launch(k, k + 1, 1)
        return theirs.tobytes() != made[sample].tobytes()

    def _grow(self, threads: int) -> None:
        self._most = max(self._most, threads)
        self._shared |= threads > 1
        if threads > 1 and threads != self.rows.shape[0]:
            self._make_rows(threads)

    def _make_rows(self, threads: int) -> None:
        self.rows = self._rows_of(threads)
        self._rows_are_theta = True

    def _rows_of(self, threads: int) -> Floats:
        """Copies of theta; if some arguments are scratch, with the address of a set of its own each."""
        if not self._scratch:
            return aligned_rows(threads, self.theta)
        rows = aligned_rows(threads, self.theta, 1)
        copies = [with_copies(self._arguments, self._scratch) for _ in range(threads)]
        self._own = [bound_arguments(self.compiled, self._layout, given) for given in copies]
        rows.view(np.uintp)[:, -kernels.LINE] = [bound.address for bound in self._own]
        return rows

    @property
    def _arguments_address(self) -> int:
        """The address of the bound arguments; 0 where each row has its own."""
        return 0 if self._scratch else self._bound.address

    def _recognise_scratch(self) -> None:
        """Take what the loss wrote to for scratch, if it never reads what was there.

        Raises
        ------
        MutatedInputError
        """
        assert self._guard is not None
        open_ = self._guarded()
        wrote = tuple(open_[j] for j in self._guard.changed())
        if not wrote or not is_overwritten(self._values_with, self._arguments, wrote):
            self._guard.check()
        self.compiled.scratch = self._scratch = (*self._scratch, *wrote)
        self._guard = self._guard_of(self._loss)
        self._make_rows(1)

    def _values_with(self, arguments: tuple[Any, ...]) -> bytes:
        """The bits of the loss at theta, a step away and at theta, with other arguments.

        Three times: two changes of sign would look like none.
        """
        bound = bound_arguments(self.compiled, self._layout, arguments)
        away = AWAY * max(abs(self.theta[0]), 1.0)
        offsets, values = np.array([[0.0, away, 0.0]]), np.empty((1, 3))
        kernels.coordinates_serial(
            self.compiled.address,
            bound.address,
            self.theta,
            aligned_rows(1, self.theta),
            np.zeros(1, np.int64),
            offsets,
            values,
            np.zeros(3, np.uint8),
            0,
            3,
        )
        return values.tobytes()

    def _require_deterministic(self) -> None:
        self._to_repeat = False
        # In one run: the random state is put back after each. And a step away: there may be noise
        # that is multiplied by the distance from theta, and state that remembers where it was.
        away = AWAY * max(abs(self.theta[0]), 1.0)
        values = self.coordinates(np.zeros(1, np.int64), np.array([[0.0, away, 0.0, away]]))[0]
        for repeats in (values[::2], values[1::2]):
            try:
                require_deterministic(repeats, SCATTER)
            except NondeterministicLossError:
                if not self.traits.has_state or self.traits.uses_random:
                    raise
                raise explain.reads_its_state(self._stateful(), repeats.tolist()) from None

    def _stateful(self) -> str:
        """The arguments that hold state, in words."""
        return " and ".join(
            f"its argument {argument_name(self._loss, place_of(k, self._argnum))}, {kind_of(its_type)}"
            for k, its_type in enumerate(self.compiled.value_types)
            if holds_state(its_type)
        )

    def _leave_out(
        self,
        failed: NDArray[np.uint8],
        rows: Floats,
        where: Callable[[int], tuple[Floats, str]],
    ) -> None:
        """Take the points where the loss raised for such outside its domain.

        Raises
        ------
        LossError, MutatedInputError, KeyboardInterrupt
            It raised at theta, or something else went wrong.
        """
        raised = np.flatnonzero(failed == kernels.RAISED)
        others = np.count_nonzero(failed) > raised.size
        if others or not kernels.is_sound(self.theta, rows, failed, 0, 0):
            self._raise(failed, where)
        first = int(raised[0])
        for k in {first, int(raised[-1])}:  # repeats at theta are asked for by themselves
            if np.array_equal(where(k)[0], self.theta):
                self._raise(failed[k:], partial(_later, where, k))
        if self.outside is None:
            point, name = where(first)
            own = self._own_exception(point)
            if own is None:
                raise loss_error(name, None)
            self.outside = loss_error(name, own)
            self.outside.__cause__ = own
        failed[raised] = 0

    def _raise(
        self, failed: NDArray[np.uint8], where: Callable[[int], tuple[Floats, str]]
    ) -> NoReturn:
        """The error for a slab that is not sound."""
        if kernels.INTERRUPTED in failed:
            raise KeyboardInterrupt
        if self._guard is not None:
            self._guard.check()
        first = np.flatnonzero(failed)
        if first.size and failed[first[0]] == kernels.RAISED:
            point, name = where(int(first[0]))
            own = self._own_exception(point)
            if own is not None:
                told = loss_error(name, own)
                is_shape = isinstance(own, TypeError | ValueError | IndexError)
                if is_shape and self._argnum == 0 and np.array_equal(point, self.theta):
                    told = LossError(
                        f"{told}{other_position(self._loss, len(self._arguments) + 1)}"
                    )
                raise told from own
        rows, kept = self.rows[:, : self.theta.size], self._rows_are_theta
        self._make_rows(1)
        changed = np.argwhere(rows != self.theta)
        if kept and changed.size:
            row, i = map(int, changed[0])
            raise wrote_to_theta(self._layout.name(i), self.theta[i], rows[row, i])
        before, name = where(int(first[0]))
        after = before.copy()
        self._own_exception(after)
        wrote = np.flatnonzero(after != before)
        if wrote.size:
            i = int(wrote[0])
            raise wrote_to_theta(self._layout.name(i), before[i], after[i])
        raise loss_error(name, None)

    def _own_exception(self, point: Floats) -> Exception | None:
        """The user's own exception, by running the loss there again; None if it did not come."""
        others = with_copies(self._arguments, self._scratch)
        arguments = merged(self._layout.native(point), others, self._argnum)
        try:
            self._loss(*arguments)
        except Exception as error:
            return error
        return None


def aligned_rows(count: int, theta: Floats, spare: int = 0) -> Floats:
    """Copies of theta, one a row; each row starts on a cache line and is padded to whole ones.

    ``spare`` lines more are behind each.
    """
    width = (-(-theta.size // kernels.LINE) + spare) * kernels.LINE
    memory = np.empty(count * width + kernels.LINE)
    first = kernels.fill_rows(memory, theta, count, width)
    return memory[first : first + count * width].reshape(count, width)


def _later(where: Callable[[int], tuple[Floats, str]], by: int, k: int) -> tuple[Floats, str]:
    return where(by + k)


def locked(launch: Launch, lock: Callable[[], AbstractContextManager[Any]]) -> Launch:
    """The launch of a loss that two threads of Python may not run at once."""

    def launch_alone(start: int, stop: int, threads: int) -> None:
        with lock():
            launch(start, stop, threads)

    return launch_alone
