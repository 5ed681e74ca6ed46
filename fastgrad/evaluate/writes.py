"""What a compiled loss writes to: arguments that it must leave alone, and those that are its scratch."""

import time
from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.evaluate import on_demand
from fastgrad.evaluate.adapters import BoundArguments, CompiledLoss, bound_arguments
from fastgrad.evaluate.argument_guard import ArgumentGuard
from fastgrad.evaluate.copies_of_theta import aligned_rows
from fastgrad.evaluate.instances import copied
from fastgrad.evaluate.process import forks
from fastgrad.evaluate.scratch_arguments import is_overwritten, with_copies
from fastgrad.parameters.layout import Layout

LITTLE = 2.0**-6
"""All bytes of the arguments are read before and after evaluations that cost 64 times as much."""
WHOLE_SECONDS = 1.0
"""Those of others are all read so often, and samples of them each time."""
AWAY = 2.0**-17
"""A step, in units of the entry, at which the loss is evaluated twice."""


class Writes:
    """The arguments of a compiled loss, watched.

    Parameters
    ----------
    compiled : CompiledLoss
    layout : Layout
    arguments : (tuple, tuple)
        As compiled code takes them, and as they were passed.
    scratch : tuple of int
        Positions of those that the loss is known to overwrite.
    name : callable
        ``name(k)`` is what to call argument k in a message.
    """

    def __init__(
        self,
        compiled: CompiledLoss,
        layout: Layout,
        arguments: tuple[tuple[Any, ...], tuple[Any, ...]],
        scratch: tuple[int, ...],
        name: Callable[[int], str],
    ):
        self.compiled, self.layout = compiled, layout
        self.arguments, self._passed = arguments
        self.name = name
        self.scratch = (*scratch, *(k for k in compiled.scratch if k not in scratch))
        self.guard = self._made()
        self._is_stale = False

    @property
    def guard(self) -> ArgumentGuard | None:
        """What notices that the loss wrote to an argument, where it is not proved to write to none."""
        if self._is_stale:
            self._watch(whole=False)
        return self._guard

    @guard.setter
    def guard(self, guard: ArgumentGuard | None) -> None:
        self._guard, self._is_stale = guard, False

    @property
    def are_none(self) -> bool:
        """Whether that is proved of all."""
        return self._guard is None

    def from_now_on(self) -> "Writes":
        """The same, watched from when it is next asked for: what is written until then is no fault."""
        other = copy(self)
        other._is_stale = self._guard is not None
        return other

    def _watch(self, whole: bool) -> None:
        """Look at the arguments as they are now, at all of them or at what is looked at often."""
        assert self._guard is not None
        self.guard = self._guard.again(sampled=self.compiled.watched and not whole)

    def _made(self) -> ArgumentGuard | None:
        """What notices that the loss wrote to an argument, where it is not proved to write to none.

        Once an evaluation for arguments of these types was seen to leave all of them alone, only
        samples of large ones are looked at, unless `look` says otherwise.
        Of a typed List the list that was passed is looked at, whose arrays it shares.
        """
        open_ = self._open()
        if not open_:
            return None
        return ArgumentGuard(
            tuple(
                self._passed[k] if type(self._passed[k]) is list else self.arguments[k]
                for k in open_
            ),
            lambda k: self.name(open_[k]),
            sampled=self.compiled.watched,
        )

    def _open(self) -> list[int]:
        """Positions of the arguments that the loss might write to, and must not."""
        proved = self.compiled.only_read
        return [k for k in range(len(proved)) if not proved[k] and k not in self.scratch]

    def look(self, seconds: float) -> None:
        """Look at the arguments before evaluations of so many seconds.

        At all of them if that costs a `LITTLE` part; if it costs less than the evaluations, every
        `WHOLE_SECONDS`.
        """
        guard = self._guard
        if guard is None or not (self._is_stale or guard.left_out):
            return
        whole = guard.is_large and guard.is_cheap(seconds)
        if whole and not guard.is_cheap(LITTLE * seconds):
            now = time.perf_counter()
            whole = now - self.compiled.read_whole >= WHOLE_SECONDS
            self.compiled.read_whole = now if whole else self.compiled.read_whole
        if self._is_stale or whole:
            self._watch(whole)

    def own(self, instances: bool = False) -> Callable[[], BoundArguments] | None:
        """What binds arguments that are a thread's own; None where all threads share theirs.

        That is scratch, and with ``instances`` all that holds state as well.
        """
        if not (self.scratch or instances):
            return None

        def bind() -> BoundArguments:
            arguments = with_copies(self.arguments, self.scratch)
            if instances:
                with forks.state_lock:  # nobody must write to it meanwhile
                    arguments = tuple(map(copied, arguments, self.compiled.value_types))
            return bound_arguments(self.compiled, self.layout, arguments)

        return bind

    def recognise(self, theta: Floats) -> None:
        """Take what the loss wrote to for scratch, if it never reads what was there.

        Raises
        ------
        MutatedInputError
        """
        assert self.guard is not None
        open_ = self._open()
        wrote = tuple(open_[j] for j in self.guard.changed())
        if not wrote or not is_overwritten(
            lambda given: self._values(theta, given), self.arguments, wrote
        ):
            self.guard.check()
        self.compiled.scratch = self.scratch = (*self.scratch, *wrote)
        self.guard = self._made()

    def _values(self, theta: Floats, arguments: tuple[Any, ...]) -> bytes:
        """The bits of the loss at theta, a step away and at theta, with other arguments.

        Three times: two changes of sign would look like none.
        """
        bound = bound_arguments(self.compiled, self.layout, arguments)
        away = AWAY * max(abs(theta[0]), 1.0)
        values = np.empty((1, 3))
        on_demand.coordinates_serial(
            self.compiled.address,
            bound.address,
            theta,
            aligned_rows(1, theta),
            np.zeros(1, np.int64),
            np.array([[0.0, away, 0.0]]),
            values,
            np.zeros(3, np.uint8),
            0,
            3,
        )
        return values.tobytes()
