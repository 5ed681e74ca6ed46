"""The steps that a user gave, one an entry of theta."""

from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.parameters.layout import Layout


def _farthest() -> int:
    """How far any stencil goes, in steps."""
    return max(multiple for stencil in CENTRAL.values() for multiple in stencil.multiples)


def absolute_steps(
    layout: Layout, theta: Floats, step: Any, mask: Mask | None = None
) -> Floats | str | None:
    """A user's steps, one an entry, shape (n,); None and ``"adaptive"`` as they are.

    Those of constants, where ``mask`` is False, may be anything.

    Raises
    ------
    ValueError, TypeError, StructureMismatchError
        A step that is no positive number, that rounding loses or that leaves the range of
        floats, or steps not shaped like theta.
    """
    if step is None or (isinstance(step, str) and step == "adaptive"):
        return step
    if isinstance(step, str):
        raise ValueError(
            f'step={step!r}: expected None, "adaptive", a number, or numbers shaped like theta'
        )
    steps = layout.vector(step, "step")
    free: Any = True if mask is None else mask
    for k in np.flatnonzero(free & ~((steps > 0) & np.isfinite(steps)))[:1].tolist():
        raise ValueError(f"step is {steps[k]} for {layout.name(k)}: expected a positive number")
    with np.errstate(over="ignore"):
        far = free & ~np.isfinite(np.abs(theta) + _farthest() * steps)
    for k in np.flatnonzero(far)[:1].tolist():
        raise ValueError(
            f"step {steps[k]:.3g} leaves the range of floats from {layout.name(k)} = "
            f"{theta[k]:.6g}: expected a smaller one"
        )
    lost = free & ((theta + steps == theta) | (theta - steps == theta))
    for k in np.flatnonzero(lost)[:1].tolist():
        raise ValueError(
            f"step {steps[k]:.3g} is lost in rounding beside {layout.name(k)} = {theta[k]:.6g}: "
            f"expected at least {np.spacing(abs(theta[k])):.3g}"
        )
    return steps
