"""The question of a check: a loss and a gradient that are to be held against each other, and how."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastgrad.arrays import Floats
from fastgrad.checks.given_gradient import Gradient
from fastgrad.cluster.campaign import NOTHING, Campaign
from fastgrad.differences.confined import confined
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.parameters.arguments import Argnum
from fastgrad.parameters.layout import Layout


@dataclass(frozen=True)
class Question:
    """What is asked at every point."""

    loss: Callable[..., Any]
    gradient: Any
    arguments: tuple[Argnum, tuple[Any, ...]]
    """The position of theta among the arguments, and the others."""
    shaped: Mapping[str, Any]
    """What is shaped like theta: ``trainable``, ``scale`` and ``bounds``."""
    running: Mapping[str, Any]
    """``backend`` and ``structure``."""
    through: Campaign = NOTHING
    """The executor and the checkpoint."""

    def evaluator(self, layout: Layout, flat: Floats, **running: Any) -> Evaluator:
        """The loss around a flat theta."""
        argnum, args = self.arguments
        inputs = Inputs(layout, flat, args, argnum)
        options = {**self.running, **running}
        run = evaluator(self.loss, inputs, **options)
        if self.through.goes_anywhere:
            run = self.through.evaluator(run, self.loss, inputs, options)
        bounds = self.shaped["bounds"]
        if bounds is None:
            return run
        return confined(run, bounds, layout, layout.mask(self.shaped["trainable"]))

    def gradient_at(self, layout: Layout, flat: Floats, theta: Any) -> Gradient:
        """The gradient under test at one theta, if it is a function."""
        argnum, args = self.arguments
        return Gradient(self.gradient, layout, flat, theta, args, argnum)
