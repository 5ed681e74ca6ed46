"""Any Python callable at perturbed parameters, one evaluation at a time."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from numbers import Number
from typing import Any
from weakref import WeakSet

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.errors import LossError
from fastgrad.evaluate.argument_guard import ArgumentGuard
from fastgrad.evaluate.explain import (
    loss_error,
    other_position,
    place,
    place_along,
    require_argument_count,
    wrong_return_value,
    wrote_to_theta,
)
from fastgrad.evaluate.explain import scratch as scratch_remark
from fastgrad.evaluate.generators import (
    drawn_from,
    generators_in,
    python_random_state_kept,
)
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.purity import SCATTER, require_deterministic
from fastgrad.evaluate.read_from_outside import calls_c, values_of
from fastgrad.evaluate.scratch_arguments import is_overwritten, with_copies
from fastgrad.evaluate.signature import name_beside
from fastgrad.parameters.arguments import merged
from fastgrad.parameters.native import native_argument

AWAY = 2.0**-17
"""A step, in units of the entry, at which a loss is seen to overwrite its scratch arguments."""


ONE_THREAD = "as Python lets one run at a time"
_watched: WeakSet[Any] = WeakSet()
"""Losses that were seen to leave all of their arguments alone."""


def _references() -> int:
    """What `sys.getrefcount` says of an array that one function alone knows, in this Python."""
    own = np.empty(1)
    return sys.getrefcount(own)


OWN_REFERENCES = _references()


class PythonEvaluator(Evaluator):
    """The loss around one flat theta, called from Python with the structure that was passed.

    Every evaluation gets arrays of its own, so a loss may keep them.

    Parameters
    ----------
    loss : callable
    inputs : Inputs
    fallback : str, optional
        Why it is not compiled, if that was tried.
    native : bool
        Whether it takes what compiled code takes: NamedTuples for dicts and dataclasses.
    why : str
        Why it is not compiled, if that was considered; or why on one thread.
    """

    _look: Callable[[], Any]
    """What tells of all random generators while evaluations are watched for what they draw."""
    _undrawn: Any = None
    """What it says as long as nothing is drawn; None while nobody watches."""
    _draws_unseen = False
    """Whether the loss calls what may draw where nobody looks."""

    def __init__(
        self,
        loss: Callable[..., Any],
        inputs: Inputs,
        fallback: str = "",
        native: bool = False,
        why: str = ONE_THREAD,
    ):
        layout, theta, arguments, argnum, scratch = inputs
        super().__init__(theta)
        self.fallback = fallback
        self.ran = f"Ran in Python, on one thread, {why}"
        self._loss, self._layout, self._arguments = loss, layout, arguments
        self._given = layout.native if native else layout.given
        self._shape = layout.array_shape
        passed = tuple(map(native_argument, arguments)) if native else arguments
        self._argnum = argnum
        self._scratch: tuple[int, ...] = ()
        if scratch:
            self._take_for_scratch(scratch)
        self._passed = passed
        self._each = 0.0
        """Seconds that an evaluation took lately."""
        self._alone = bool(passed) and not self._was_watched()
        """Whether to watch the next evaluation by itself: two changes of sign look like none."""
        self._guard = self._guard_of(self._scratch, sampled=not self._alone) if passed else None
        """What notices that the loss wrote to an argument; None where it takes theta alone."""
        self._spare: Floats | None = None
        """A copy of a point that the loss has not kept."""
        self._may_draw = True
        """Whether evaluations are to be watched for random numbers."""

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
        TypeError
            The loss did not return one real number.
        """
        values = np.empty(offsets.shape)
        point = self.theta.copy()
        with self._inputs_kept(offsets.size):
            for (k, j), offset in np.ndenumerate(offsets):
                i = int(indices[k])
                point[i] = self.theta[i] + offset
                values[k, j] = self._evaluated(point, partial(place, self._layout, i, offset))
                point[i] = self.theta[i]
        return values

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,).

        Raises
        ------
        LossError, MutatedInputError, NondeterministicLossError, TypeError
            As `coordinates`.
        """
        values = np.empty(offsets.shape)
        point = np.empty(self.theta.size)
        with self._inputs_kept(offsets.size):
            for j, t in enumerate(offsets):
                np.multiply(direction, t, out=point)
                point += self.theta
                values[j] = self._evaluated(point, partial(place_along, t))
        return values

    @contextmanager
    def _inputs_kept(self, count: int) -> Iterator[None]:
        """A context of so many evaluations, which leave the process and the arguments as they were.

        Of large arrays only samples are looked at once evaluations were seen to leave all alone, unless
        evaluations cost more.
        """
        guard = self._guard
        if guard is not None and guard.left_out and guard.is_cheap(count * self._each):
            self._guard = guard.again(sampled=False)
        watched = self._may_draw and self.pure
        if watched:
            self._draws_unseen = calls_c(self._loss)
            generators = generators_in((*self._arguments, *values_of(self._loss)))
        began = time.perf_counter()
        with python_random_state_kept() as look:
            if watched:
                self._look = partial(drawn_from, look, generators)
            self._undrawn = self._look() if watched else None
            yield
        seconds = time.perf_counter() - began
        self._each = seconds / max(count, 1)
        if self._guard is None:
            return
        if not self._guard.unchanged():
            self._recognise_scratch()
        elif not self._guard.left_out and not self._guard.is_cheap(seconds):
            self._guard = self._guard.again(sampled=True)

    def _was_watched(self) -> bool:
        """Whether evaluations of this loss were seen to leave all of its arguments alone."""
        try:
            return self._loss in _watched
        except TypeError:
            return False

    def _take_for_scratch(self, scratch: tuple[int, ...]) -> None:
        """Have arguments that every evaluation overwrites before it reads them."""
        self._scratch = scratch
        names = [name_beside(self._loss, self._argnum, k) for k in scratch]
        self.said = (scratch_remark(names),)

    def _guard_of(self, scratch: tuple[int, ...], sampled: bool = False) -> ArgumentGuard:
        """What notices that the loss wrote to an argument that is not scratch."""
        watched = [k for k in range(len(self._passed)) if k not in scratch]
        loss, argnum = self._loss, self._argnum
        # Not by way of self: in a circle, both would keep vectors like theta until a collector comes.
        return ArgumentGuard(
            tuple(self._passed[k] for k in watched),
            lambda j: name_beside(loss, argnum, watched[j]),
            sampled=sampled,
        )

    def _recognise_scratch(self) -> None:
        """Take what the loss wrote to for scratch, if it never reads what was there.

        Raises
        ------
        MutatedInputError
        """
        assert self._guard is not None
        watched = [k for k in range(len(self._passed)) if k not in self._scratch]
        wrote = tuple(watched[j] for j in self._guard.changed())
        away = self.theta + AWAY * np.maximum(np.abs(self.theta), 1.0)
        points = self.theta, away, self.theta  # an odd number: two changes of sign look like none

        def values(arguments: tuple[Any, ...]) -> bytes:
            return repr([self._called(point.copy(), arguments) for point in points]).encode()

        if not wrote or not is_overwritten(values, self._passed, wrote):
            self._guard.check()
        self._take_for_scratch((*self._scratch, *wrote))
        self._guard = self._guard_of(self._scratch)

    def _called(self, own: Floats, arguments: tuple[Any, ...]) -> Any:
        return self._loss(*merged(self._given(own), arguments, self._argnum))

    def _evaluated(self, point: Floats, place: Callable[[], str]) -> float:
        """The loss at a point, whose name is only made up when it is needed."""
        value = self._value_at(point, place)
        if self._undrawn is None:
            return value
        if self._draws_unseen or self._look() != self._undrawn:
            again = self._value_at(point, place)
            require_deterministic(np.array([value, again]), SCATTER)
            # Another thread may have drawn: then how many evaluations there are must not tell of it.
            self.evaluations -= bool(again == value)
            self._undrawn = self._look()
        self._may_draw = np.array_equal(point, self.theta)  # noise may be nothing at theta alone
        self._undrawn = self._undrawn if self._may_draw else None
        return value

    def _look_alone(self) -> None:
        """See what the first evaluation did to the arguments.

        Raises
        ------
        MutatedInputError
        """
        self._alone = False
        if self._guard is not None and not self._guard.unchanged():
            self._recognise_scratch()
        with suppress(TypeError):  # unhashable, or it takes no weak reference
            _watched.add(self._loss)

    def _value_at(self, point: Floats, place: Callable[[], str]) -> float:
        own, self._spare = self._spare, None
        if own is None:
            own = point.copy()
        else:  # the memory of an earlier copy, which nobody has kept
            np.copyto(own, point)
        self.evaluations += 1
        others = with_copies(self._passed, self._scratch) if self._scratch else self._passed
        theta = self._given(own) if self._shape is None else own.reshape(self._shape)
        arguments = merged(theta, others, self._argnum)
        try:
            value = self._loss(*arguments)
        except Exception as error:
            if isinstance(error, TypeError):
                require_argument_count(self._loss, len(arguments))
            if np.array_equal(point, self.theta):
                raise self._at_the_start(place(), error, len(arguments)) from error
            if self.outside is None:
                self.outside = loss_error(place(), error)
                self.outside.__cause__ = error
            value = np.nan
        if (own != point).any():
            i = int(np.flatnonzero(own != point)[0])
            raise wrote_to_theta(self._layout.name(i), point[i], own[i])
        del theta, arguments, others
        if sys.getrefcount(own) <= OWN_REFERENCES:
            self._spare = own
        if self._alone:
            self._look_alone()
        if type(value) is not float:
            value = self._real_number(value, point)
        if self.advance is not None:
            self.advance(1)
        return value

    def _at_the_start(self, place: str, error: Exception, count: int) -> LossError:
        """The error for a loss that raises at the given parameters themselves."""
        is_shape = isinstance(error, TypeError | ValueError | IndexError | AttributeError)
        more = other_position(self._loss, count) if is_shape and self._argnum == 0 else ""
        return LossError(f"{loss_error(place, error)}{more}")

    def _real_number(self, value: Any, point: Floats) -> float:
        """A value is a value: a number, or what float() makes one of."""
        if not isinstance(value, list | tuple):
            if np.iscomplexobj(value) and not np.array_equal(point, self.theta):
                return np.nan  # a power of a negative number: outside, as in compiled code
            number = one_real_number(value)
            if number is not None:
                return number
        raise wrong_return_value(self._loss, value)


def one_real_number(value: Any) -> float | None:
    """The real number that a loss returned; None for anything else, integers and complex ones too."""
    if isinstance(value, np.ndarray | np.generic):
        return float(value) if value.ndim == 0 and value.dtype.kind == "f" else None
    is_other = isinstance(value, Number | str | list | tuple) and not isinstance(value, float)
    kind = str(getattr(value, "dtype", "float"))
    if is_other or not hasattr(value, "__float__") or "float" not in kind:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
