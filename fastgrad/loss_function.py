"""A loss as a function of theta, and as it is around one theta: what a gradient is asked of."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from inspect import Signature
from typing import Any, NamedTuple

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.cluster.campaign import campaign
from fastgrad.differences.confined import confined
from fastgrad.evaluate.backends import evaluator, warn_of_python
from fastgrad.evaluate.explain import require_argument_count
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.signature import as_arguments
from fastgrad.parameters.arguments import Argnum, last_of, taken
from fastgrad.parameters.labels import is_labelled
from fastgrad.parameters.layout import Layout
from fastgrad.spaces.placed import placed


class Around(NamedTuple):
    """A loss around a theta."""

    name: str
    """What the loss is called."""
    layout: Layout
    run: Evaluator
    free: Mask | None
    """What may be perturbed, shape (n,); None for all."""
    through: AbstractContextManager[Any]
    """The executor and the checkpoint, where there are any: let go of once the slopes are known."""


@dataclass(frozen=True)
class LossFunction:
    """A loss as a function of theta: which arguments that is, where it lives, and what runs it."""

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
