"""A compiled loss at perturbed parameters: on threads, in slabs, watched."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgrad.arrays import Floats, Indices
from fastgrad.errors import NondeterministicLossError
from fastgrad.evaluate import explain, on_demand
from fastgrad.evaluate.adapters import bound_arguments, dispatcher
from fastgrad.evaluate.argument_forms import fitted
from fastgrad.evaluate.copies_of_theta import Rows
from fastgrad.evaluate.drawn_directions import Direction, Drawn, Way, way_along, written_out
from fastgrad.evaluate.explain import place, place_along
from fastgrad.evaluate.failed_evaluations import Failing, Where
from fastgrad.evaluate.held_state import holds_state, kind_of
from fastgrad.evaluate.in_numpy import RAISED
from fastgrad.evaluate.on_demand import OnDemand
from fastgrad.evaluate.process import (
    forks,
    parallel_launch,
    require_threads_after_fork,
    state_kept,
)
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.purity import REORDERING, SCATTER, require_deterministic
from fastgrad.evaluate.read_from_outside import changed, outside
from fastgrad.evaluate.schedule import Launch, Work, in_slabs
from fastgrad.evaluate.sharing import Sharing
from fastgrad.evaluate.signature import name_beside
from fastgrad.evaluate.small_gradient import STENCIL, DirectGradient, is_brief
from fastgrad.evaluate.writes import AWAY, Writes
from fastgrad.numerics.stencils import Stencil
from fastgrad.parameters.native import plain_array


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
        layout, theta, passed, argnum, scratch = inputs
        super().__init__(theta)
        self._layout, self._argnum, self._threads = layout, argnum, threads
        self._loss = dispatcher(loss)
        self.compiled, arguments = fitted(self._loss, layout, argnum, passed)
        self._arguments = arguments
        self._bound = bound_arguments(self.compiled, layout, arguments)
        self.traits = self.compiled.traits
        """What running the loss does to the process."""
        names = partial(name_beside, self._loss, argnum)
        self.writes = Writes(self.compiled, layout, (arguments, passed), scratch, names)
        """Its arguments, watched."""
        self.rows = Rows(theta, self.writes.own())
        """Copies of theta, one a thread, in which its entries are perturbed."""
        self.workload = theta.nbytes + sum(getattr(a, "nbytes", 0) for a in arguments)
        """Bytes that an evaluation reads."""
        self.cost = self.compiled.costs[self.workload]
        """Seconds of an evaluation, shared by all evaluators that read as many bytes."""
        self.sharing = Sharing(self.compiled, arguments, self.cost)
        """What is known of several threads that run it."""
        if self.traits.launches_threads:
            require_threads_after_fork()
        self._to_repeat = self._may_differ
        """Whether to see first that the loss gives the same value again."""

    @property
    def _may_differ(self) -> bool:
        """Whether the loss might give another value at the same parameters."""
        traits, scratch = self.traits, self.writes.scratch
        return traits.uses_random or traits.has_state or traits.calls_unseen or bool(scratch)

    @property
    def ran(self) -> str:  # type: ignore[override]
        return self.sharing.words()

    @property
    def remarks(self) -> tuple[str, ...]:
        return tuple(self._remarks())

    def _remarks(self) -> Iterator[str]:
        yield from super().remarks
        if self.sharing.held_back:
            why = self.sharing.why_no_instances
            why = f", and cannot have copies: {why}" if why else ""
            shared = f"threads would share {self._stateful()}{why}"
            yield explain.one_thread(explain.RACES if self.compiled.races else shared)
        if self.writes.scratch:
            yield explain.scratch(list(map(self.writes.name, self.writes.scratch)))
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
        self.evaluations = 0

    def at(self, theta: Floats) -> Evaluator:
        """The same loss with the same arguments, as they are now, at another theta of its layout."""
        other = copy(self)
        other.theta, other.evaluations, other.outside = theta, 0, None
        own = self.writes.own()  # which each row has a copy of: no more rows than are needed
        other.rows = Rows(theta, own, self.rows.array.shape[0] if own is None else 1)
        other.writes = self.writes.from_now_on()
        other.sharing = Sharing(self.compiled, self._arguments, self.cost)
        other._to_repeat = self._may_differ
        return other

    def direct(self, stencil: Stencil, watch: bool = False) -> DirectGradient | None:
        """The way to small gradients that asks for no entries, where the loss allows it."""
        watched = self.writes.are_none or self.compiled.watched
        if stencil is not STENCIL or self._may_differ or not watched:
            return None
        if self.traits.launches_threads or not is_brief(self.cost, 2 * self.theta.size):
            return None
        writes = self.writes.from_now_on()
        found = DirectGradient(self.compiled, self._bound, self._layout, writes, self.cost)
        found.watches = watch
        return found

    def gradient(self, stencil: Stencil, watch: bool = False) -> Floats | None:
        """The whole gradient at default steps, if it is a brief one."""
        direct = self.direct(stencil, watch)
        found = None if direct is None else direct(self.theta.reshape(direct.shape))
        if found is not None:
            self.evaluations += 2 * self.theta.size
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
        self.rows.be_theta()
        indices, offsets = plain_array(indices), plain_array(offsets)  # what kernels take
        values = np.empty(offsets.shape)
        failed = np.zeros(offsets.size, np.uint8)

        def launch(start: int, stop: int, threads: int) -> None:
            at = (self.compiled.address, self._arguments_at(threads), self.theta, self.rows.array)
            what = (indices, offsets, values, failed, start, stop)
            if threads == 1:
                on_demand.coordinates_serial(*at, *what)
            else:
                grain = self.cost.turn(stop - start, threads)
                on_demand.coordinates_parallel(*at, *what, np.zeros(1, np.int64), grain)

        def where(k: int) -> tuple[Floats, str]:
            i, j = divmod(k, offsets.shape[1])
            point = self.theta.copy()
            point[indices[i]] += offsets[i, j]
            return point, place(self._layout, int(indices[i]), offsets[i, j])

        self._run(launch, values, failed, where, on_demand.coordinates_parallel)
        return values

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,).

        Raises
        ------
        LossError, MutatedInputError, NondeterministicLossError
            As `coordinates`.
        """
        way = way_along(plain_array(direction))
        return self._along(lambda _: way, direction, offsets)

    def along_drawn(self, direction: Drawn, offsets: Floats) -> Floats:
        """`along` of a direction that is not written out, unless NumPy moves along it."""

        def way(kernel: OnDemand) -> Way:
            return direction.way if kernel.owned else way_along(direction.array)

        return self._along(way, direction, offsets)

    def _along(
        self, way: Callable[[OnDemand], Way], direction: Direction, offsets: Floats
    ) -> Floats:
        if self._to_repeat and self.pure:
            self._require_deterministic()
        offsets = plain_array(offsets)
        values = np.empty(offsets.shape)
        failed = np.zeros(offsets.size, np.uint8)

        def launch(start: int, stop: int, threads: int) -> None:
            self.rows.are_theta = False
            at = (self.compiled.address, self._arguments_at(threads), self.theta, self.rows.array)
            watch = not self.compiled.leaves_theta
            kernel = on_demand.line_serial if threads == 1 else on_demand.line_parallel
            turns = () if threads == 1 else (np.zeros(1, np.int64),)
            kernel(*at, way(kernel), offsets, values, failed, start, stop, watch, *turns)

        def where(k: int) -> tuple[Floats, str]:
            return self.theta + offsets[k] * written_out(direction), place_along(offsets[k])

        self._run(launch, values, failed, where, on_demand.line_parallel)
        return values

    def _run(
        self,
        launch: Launch,
        values: Floats,
        failed: NDArray[np.uint8],
        where: Where,
        shared: OnDemand,
    ) -> None:
        """Make all evaluations; ``where(k)`` is the point of evaluation k, and its name.

        ``shared`` is the kernel that a launch on several threads takes.
        """
        self.writes.look(failed.size * (self.cost.seconds or 0.0))
        traits, guard, sharing = self.traits, self.writes.guard, self.sharing
        if traits.has_state:
            launch = locked(launch, lambda: forks.state_lock)
        if traits.launches_threads:
            launch = locked(launch, parallel_launch)
        # The first evaluation is watched by itself: two changes of sign look like none.
        alone = guard is not None and not self.compiled.watched

        def done(start: int, stop: int) -> None:
            self.evaluations += stop - start
            if failed[start:stop].any() or not self.rows.are_sound():
                self._leave_out(failed[start:stop], lambda k: where(start + k))
            if alone and start == 0 and guard is not None:
                self.compiled.watched = True
                if not guard.unchanged():
                    self._recognise_scratch()
                    launch(0, stop, 1)
            if self.advance is not None:
                self.advance(stop - start)

        sharing.under_way = False
        may_be_left = not (traits.bound_to_thread or self.writes.scratch)
        work = Work(launch, done, self._grow, may_be_left, shared)
        with state_kept(traits, self._arguments):
            on_one = sharing.must_not(launch, failed.size, self._threads)
            threads = 1 if on_one else self._threads
            is_read = traits.has_state and threads != 1 and not sharing.instances
            before = sharing.state() if is_read else None
            if sharing.instances and not on_one:  # made anew: the state may have changed
                self.rows = Rows(self.theta, self.writes.own(instances=True))
            in_slabs(failed.size, self.cost, work, threads, alone)
            if sharing.spoiled(launch, values if self.pure else None, before):
                self.rows.make(1)
                failed[:] = 0
                made = self.evaluations
                in_slabs(failed.size, self.cost, work, 1)
                self.evaluations = made
        if self.writes.guard is not None:
            self.writes.guard.check()

    def _grow(self, threads: int) -> None:
        self.sharing.saw(threads)
        self.rows.grow(threads)

    def _arguments_at(self, threads: int) -> int:
        """The address of the bound arguments; 0 where each row has its own.

        One thread alone runs on the state that was passed, threads on copies of it.
        """
        own = self.writes.scratch or (threads > 1 and self.sharing.instances)
        return 0 if own else self._bound.address

    def _recognise_scratch(self) -> None:
        """Take what the loss wrote to for scratch, if it never reads what was there.

        Raises
        ------
        MutatedInputError
        """
        self.writes.recognise(self.theta)
        self.rows = Rows(self.theta, self.writes.own())

    def _leave_out(self, failed: NDArray[np.uint8], where: Where) -> None:
        """Take the points where the loss raised for such outside its domain.

        Raises
        ------
        LossError, MutatedInputError, KeyboardInterrupt
            It raised at theta, or something else went wrong.
        """
        failing = Failing(self._loss, self._argnum, self.writes, self.rows)
        failing.require_outside(failed, where)
        if self.outside is None:
            self.outside = failing.raised(failed, where)
        failed[failed == RAISED] = 0

    def _require_deterministic(self) -> None:
        self._to_repeat = False
        # In one run: the random state is put back after each. And a step away: there may be noise
        # that is multiplied by the distance from theta, and state that remembers where it was.
        away = AWAY * max(abs(self.theta[0]), 1.0)
        values = self.coordinates(np.zeros(1, np.int64), np.array([[0.0, away, 0.0, away]]))[0]
        # Of what holds state, a little of the call before is no noise: it depends on the order.
        most = REORDERING if self.traits.has_state else SCATTER
        for repeats in (values[::2], values[1::2]):
            try:
                require_deterministic(repeats, most)
            except NondeterministicLossError:
                if not self.traits.has_state or self.traits.uses_random:
                    raise
                raise explain.reads_its_state(self._stateful(), repeats.tolist()) from None

    def _stateful(self) -> str:
        """The arguments that hold state, in words."""
        return " and ".join(
            f"its argument {self.writes.name(k)}, {kind_of(its_type)}"
            for k, its_type in enumerate(self.compiled.value_types)
            if holds_state(its_type)
        )


def locked(launch: Launch, lock: Callable[[], AbstractContextManager[Any]]) -> Launch:
    """The launch of a loss that two threads of Python may not run at once."""

    def launch_alone(start: int, stop: int, threads: int) -> None:
        with lock():
            launch(start, stop, threads)

    return launch_alone
