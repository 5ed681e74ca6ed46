"""A gradient whose other arguments are fixed: checked and bound once, then called with theta alone."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.evaluate.protocol import Evaluator, finite_value
from fastgrad.parameters.layout import Layout

KEPT_BYTES = 1 << 24
"""Arrays of so much are held on to between two calls, so that they are bound but once."""
NUMBERS = (int, float, bool, str, type(None))
"""Types of arguments that are what they are for good."""


class Differentiates(Protocol):
    """What a bound gradient asks of the gradient function that it was made from."""

    def read(self, theta: Any) -> tuple[Layout, Floats]:
        """The layout of a theta, and a flat copy of its values."""
        ...

    def watch(self) -> Callable[[], bool] | None:
        """Whether what the loss reads from outside is still the same; None where it cannot change."""
        ...

    def start(
        self, theta: Any, arguments: tuple[Any, ...], place: tuple[Layout, Floats] | None = None
    ) -> tuple[Layout, Evaluator]:
        """The loss around a theta, with its other arguments; ``place`` is what was read of it."""
        ...

    def differentiate(self, layout: Layout, run: Evaluator, value: float | None = None) -> Floats:
        """The gradient along the flat theta."""
        ...

    def direct(self, run: Evaluator) -> Callable[[Any], Floats | None] | None:
        """A shorter way to gradients at thetas of the same layout, if there is one."""
        ...


class BoundGradient:
    """The numerical gradient of a loss of theta alone; made by `GradientFunction.bind`.

    Its arguments are held as they are, not copied: what is written into an array between two calls
    is what the next call sees, and so is what a plain function reads from outside. It may be called
    from several threads.

    Parameters
    ----------
    function : GradientFunction
    arguments : tuple
        All arguments of the loss but those differentiated by, in order.
    """

    def __init__(self, function: Differentiates, arguments: tuple[Any, ...]):
        self._function = function
        self._arguments = arguments
        self._latest: tuple[Layout, Evaluator] | None = None
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
        layout, run = self._at(theta)
        gradient = self._function.differentiate(layout, run)
        self._direct = self._function.direct(run) if layout.plain else None
        return layout.rebuild(gradient)

    def value_and_grad(self, theta: Any) -> tuple[float, Any]:
        """The loss and its gradient at theta."""
        layout, run = self._at(theta)
        value = finite_value(run)
        return value, layout.rebuild(self._function.differentiate(layout, run, value))

    def _at(self, theta: Any) -> tuple[Layout, Evaluator]:
        """The loss around theta, with the arguments bound as they were for the last one."""
        layout, flat = self._function.read(theta)
        latest, is_current = self._latest, self._is_current
        if latest and layout is latest[0] and (is_current is None or is_current()):
            run = latest[1].at(flat)
            if run is not None:
                return layout, run
        self._direct, self._is_current = None, self._function.watch()
        self._latest = self._function.start(theta, self._arguments, (layout, flat))
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
