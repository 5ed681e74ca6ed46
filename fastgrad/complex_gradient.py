"""grad with method="complex": one evaluation an entry, exact to rounding."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.estimates import GradientEstimate
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.complex_step import ComplexSteps
from fastgrad.evaluate.protocol import Inputs, finite_value
from fastgrad.evaluate.signature import as_arguments, root_name
from fastgrad.parameters.arguments import Argnum, last_of, taken
from fastgrad.parameters.layout import Layout, flatten

EXACT = 2.0**10 * float(np.finfo(np.float64).eps)
"""Rounding of a slope, as part of the largest slope in its block: sums of many terms come to that."""


@dataclass(frozen=True)
class ComplexGradient:
    """The gradient of a loss by complex steps; made by `grad`.

    Parameters
    ----------
    loss : callable
    argnum : int or tuple of int
    trainable : object
        As of `grad`.
    backend : str
    """

    loss: Callable[..., Any]
    argnum: Argnum
    trainable: Any
    backend: str

    def __call__(self, *args: Any) -> Any:
        """The gradient at ``args``, in the structure of the argument differentiated.

        Raises
        ------
        ValueError
            The loss does not do with complex numbers what it does with real ones.
        """
        layout, steps = self._start(args)
        return layout.rebuild(self._slopes(layout, steps))

    def value_and_grad(self, *args: Any) -> tuple[float, Any]:
        """The loss and its gradient at ``args``."""
        layout, steps = self._start(args)
        return finite_value(steps.run), layout.rebuild(self._slopes(layout, steps))

    def estimate(self, *args: Any) -> GradientEstimate:
        """The gradient at ``args`` with bars: its rounding."""
        layout, steps = self._start(args)
        value = finite_value(steps.run)
        slopes = self._slopes(layout, steps)
        bar = rounding_of(slopes, layout)
        return GradientEstimate(
            gradient=layout.rebuild(slopes),
            error=layout.rebuild(bar),
            step=layout.rebuild(np.zeros(layout.size)),
            value=value,
            noise=float(np.spacing(abs(value))),
            evaluations=steps.evaluations + steps.run.evaluations,
        )

    def _start(self, args: tuple[Any, ...]) -> tuple[Layout, ComplexSteps]:
        last = last_of(self.argnum)
        if len(args) <= last:
            raise TypeError(f"expected at least {last + 1} arguments, got {len(args)}")
        theta, others = taken(args, self.argnum)
        theta = as_arguments(self.loss, theta, self.argnum)
        layout, flat = flatten(theta, root_name(self.loss, self.argnum))
        return layout, steps_at(self.loss, Inputs(layout, flat, others, self.argnum), self.backend)

    def _slopes(self, layout: Layout, steps: ComplexSteps) -> Floats:
        return whole_slopes(layout, steps, self.trainable)


def refuse_real_options(**options: Any) -> None:
    """Raise `ValueError` for options that complex steps have no use for."""
    for name, option in options.items():
        if option is not None:
            raise ValueError(f'{name} goes with real differences, not with method="complex"')


def steps_at(loss: Callable[..., Any], inputs: Inputs, backend: str) -> ComplexSteps:
    """The loss around a flat theta, with real and with complex numbers."""
    return ComplexSteps(loss, inputs, evaluator(loss, inputs, backend, False), backend)


def whole_slopes(layout: Layout, steps: ComplexSteps, trainable: Any) -> Floats:
    """The slopes along the flat theta, 0 for constants."""
    mask = layout.mask(trainable)
    chosen = np.arange(layout.size) if mask is None else np.flatnonzero(mask)
    slopes = np.zeros(layout.size)
    slopes[chosen] = steps.slopes(chosen)
    return slopes


def rounding_of(slopes: Floats, layout: Layout) -> Floats:
    """The bar of each slope, shape (n,)."""
    bar = np.empty(slopes.size)
    for block in layout.blocks:
        part = slice(block.start, block.stop)
        bar[part] = EXACT * np.abs(slopes[part]).max(initial=0.0)
    return bar
