"""A gradient whose other arguments are fixed: checked and bound once, then called with theta alone."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.evaluate.protocol import finite_value
from fastgrad.evaluate.read_from_outside import watch
from fastgrad.loss_function import Around, LossFunction
from fastgrad.slopes import Differencing, slopes

KEPT_BYTES = 1 << 24
"""Arrays of so much are held on to between two calls, so that they are bound but once."""
NUMBERS = (int, float, bool, str, type(None))
"""Types of arguments that are what they are for good."""


class BoundGradient:
    """The numerical gradient of a loss of theta alone; made by `GradientFunction.bind`.

    Its arguments are held as they are, not copied: what is written into an array between two calls
    is what the next call sees, and so is what a plain function reads from outside. It may be called
    from several threads.

    Parameters
    ----------
    function : LossFunction
    differencing : Differencing
    arguments : tuple
        All arguments of the loss but those differentiated by, in order.
    """

    def __init__(
        self, function: LossFunction, differencing: Differencing, arguments: tuple[Any, ...]
    ):
        self._function, self._differencing = function, differencing
        self._arguments = arguments
        self._latest: Around | None = None
        self._direct: Callable[[Any], Floats | None] | None = None
        self._is_current: Callable[[], bool] | None = None

    def __call__(self, theta: Any, *more: Any) -> Any:
        """The gradient at theta, in its own structure.

        If theta is several arguments, it is their tuple, or they are given one by one.

        Raises
        ------
        ValueError, TypeError, LossCompilationError, LossError, NonFiniteLossError, MutatedInputError
            As the gradient function that this was made from.
        """
        if more:
            theta = (theta, *more)
        direct = self._direct
        if direct is not None and (self._is_current is None or self._is_current()):
            found = direct(theta)
            if found is not None:
                return found
        around, how = self._at(theta), self._differencing
        gradient = slopes(around, how)
        is_brief = around.layout.plain and how.is_plain and not how.is_noisy
        self._direct = around.run.direct(how.stencil, not how.has_looked) if is_brief else None
        return around.layout.rebuild(gradient)

    def value_and_grad(self, theta: Any) -> tuple[float, Any]:
        """The loss and its gradient at theta."""
        around = self._at(theta)
        value = finite_value(around.run)
        return value, around.layout.rebuild(slopes(around, self._differencing, value))

    def _at(self, theta: Any) -> Around:
        """The loss around theta, with the arguments bound as they were for the last one."""
        place = self._function.read(theta)
        _, layout, flat = place
        latest, is_current = self._latest, self._is_current
        if latest and layout is latest.layout and (is_current is None or is_current()):
            run = latest.run.at(flat)
            if run is not None:
                return latest._replace(run=run)
        self._direct, self._is_current = None, watch(self._function.loss)
        self._latest = self._function.at(place, self._arguments)
        return self._latest


class Kept:
    """A gradient that was bound to the arguments of a call, for calls with the same ones.

    The same arrays, which may hold other numbers by then, as those of a bound gradient may; and
    numbers that are equal.

    Parameters
    ----------
    gradient : BoundGradient
    args : tuple
        All arguments of the call, theta first.
    """

    def __init__(self, gradient: BoundGradient, args: tuple[Any, ...]):
        self.gradient, self._args = gradient, args[1:]
        self._shapes = [(a.shape, a.dtype) if type(a) is np.ndarray else None for a in self._args]

    def serves(self, args: tuple[Any, ...]) -> bool:
        """Whether it is the gradient for a call with these arguments."""
        if len(args) != len(self._args) + 1:
            return False
        return all(map(_is_same, self._args, args[1:], self._shapes))


def _is_same(kept: Any, given: Any, shape: Any) -> bool:
    if kept is given:  # an array may have been given another shape
        return shape is None or (given.shape == shape[0] and given.dtype is shape[1])
    return type(kept) is type(given) and type(kept) in NUMBERS and bool(kept == given != 0)


def may_be_kept(args: tuple[Any, ...]) -> bool:
    """Whether the arguments of a call beside theta are arrays and numbers that are small in all."""
    if len(args) < 2 or getattr(args[0], "nbytes", 0) > KEPT_BYTES:
        return False
    nbytes = 0
    for arg in args[1:]:
        if type(arg) is np.ndarray:
            nbytes += arg.nbytes
        elif type(arg) not in NUMBERS:
            return False
    return nbytes <= KEPT_BYTES
