"""A gradient whose other arguments are fixed: checked and bound once, then called with theta alone."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from inspect import Signature
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.cluster.campaign import campaign
from fastgrad.differences.confined import confined
from fastgrad.evaluate.backends import evaluator, warn_of_python
from fastgrad.evaluate.explain import require_argument_count
from fastgrad.evaluate.outside import watch
from fastgrad.evaluate.protocol import Inputs, finite_value
from fastgrad.evaluate.signature import as_arguments
from fastgrad.parameters.arguments import Argnum, last_of, taken
from fastgrad.parameters.labels import is_labelled
from fastgrad.parameters.layout import Layout
from fastgrad.slopes import Around, Differencing, slopes
from fastgrad.spaces.placed import placed

KEPT_BYTES = 1 << 24
"""Arrays of so much are held on to between two calls, so that they are bound but once."""
NUMBERS = (int, float, bool, str, type(None))
"""Types of arguments that are what they are for good."""


@dataclass(frozen=True)
class Question:
    """What is differentiated, and how it is run."""

    loss: Callable[..., Any]
    argnum: Argnum
    """The positions of the arguments that it is differentiated by."""
    shaped: Mapping[str, Any]
    """What is shaped like theta: ``trainable``, ``bounds`` and ``space``."""
    running: Mapping[str, Any]
    """``backend``, ``structure`` and ``scratch``."""
    through: tuple[Any, Any]
    """The executor and the checkpoint."""
    order: int
    """The order of the differences that are to be taken."""
    root: str
    """The name of a theta that is a single array."""
    name: str
    """What the loss is called."""
    signature: Signature
    """What it takes, by name."""

    def around(self, args: tuple[Any, ...]) -> Around:
        """The loss around the theta that is among all of its arguments."""
        last = last_of(self.argnum)
        if len(args) <= last:
            require_argument_count(self.loss, len(args))
            raise TypeError(
                f"argnum={self.argnum}: expected at least {last + 1} arguments, got {len(args)}"
            )
        theta, others = taken(args, self.argnum)
        return self.at(self.read(theta), others)

    def read(self, theta: Any) -> tuple[Any, Layout, Floats]:
        """Theta, of several arguments in a NamedTuple; its layout, and a flat copy of its values."""
        if not isinstance(self.argnum, int):
            theta = as_arguments(self.loss, theta, self.argnum)
        return theta, *placed(theta, self.shaped["space"], self.root)

    def at(self, place: tuple[Any, Layout, Floats], others: tuple[Any, ...]) -> Around:
        """The loss around a theta that was read, with its other arguments."""
        theta, layout, flat = place
        trainable, bounds = self.shaped["trainable"], self.shaped["bounds"]
        free = None if trainable is None else layout.mask(trainable)
        if type(theta) is not np.ndarray and (layout.mixed or is_labelled(theta)):
            layout = layout.holding(theta, free)
        inputs = Inputs(layout, flat, others, self.argnum)
        run = evaluator(self.loss, inputs, **self.running)
        if run.fallback:
            warn_of_python(self.loss, run)
        through: AbstractContextManager[Any] = nullcontext()
        if any(option is not None for option in self.through):
            options = {"argnum": self.argnum, **self.running}
            through = made = campaign(*self.through, self.loss, lambda: inputs, options)
            run = made.evaluator(run, self.loss, inputs, self.running)
        if bounds is not None:
            run = confined(run, bounds, layout, free, max(self.order, 2))
        return Around(self.name, layout, run, free, through)


class BoundGradient:
    """The numerical gradient of a loss of theta alone; made by `GradientFunction.bind`.

    Its arguments are held as they are, not copied: what is written into an array between two calls
    is what the next call sees, and so is what a plain function reads from outside. It may be called
    from several threads.

    Parameters
    ----------
    question : Question
    differencing : Differencing
    arguments : tuple
        All arguments of the loss but those differentiated by, in order.
    """

    def __init__(self, question: Question, differencing: Differencing, arguments: tuple[Any, ...]):
        self._question, self._differencing = question, differencing
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
        place = self._question.read(theta)
        _, layout, flat = place
        latest, is_current = self._latest, self._is_current
        if latest and layout is latest.layout and (is_current is None or is_current()):
            run = latest.run.at(flat)
            if run is not None:
                return latest._replace(run=run)
        self._direct, self._is_current = None, watch(self._question.loss)
        self._latest = self._question.at(place, self._arguments)
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
