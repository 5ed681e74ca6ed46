"""The slopes of all entries around a theta: by one stencil, or with error bars."""

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.differences.domain import sample_inside
from fastgrad.differences.estimate import differences
from fastgrad.differences.few import measured
from fastgrad.differences.loss import Loss
from fastgrad.differences.misfit import misfit, shows_rounding
from fastgrad.differences.noise_lines import measure_briefly
from fastgrad.differences.noisy_steps import Asked, suited
from fastgrad.errors import StepWarning
from fastgrad.evaluate.backends import calls_within
from fastgrad.evaluate.default_steps import default_steps
from fastgrad.evaluate.protocol import finite_value
from fastgrad.evaluate.units import Units
from fastgrad.loss_function import Around
from fastgrad.numerics.stencils import CENTRAL, Stencil
from fastgrad.parameters.steps import absolute_steps
from fastgrad.report.progress import progress_bar

ADAPTIVE_EVALUATIONS = 10
"""Evaluations an entry at steps that are chosen by what they show, about."""


@dataclass
class Differencing:
    """How differences are taken, and what their values have shown of the steps so far."""

    stencil: Stencil
    step: Any
    """The user's steps."""
    scale: Any
    """The user's units."""
    progress: bool
    """Whether a bar is shown."""
    is_plain: bool
    """Whether all entries are wanted at default steps, and no bar is shown."""
    has_warned: bool = False
    """Whether it was said that a step does not suit."""
    has_looked: bool = False
    """Whether values that a direct gradient does not give were looked at."""
    is_noisy: bool = False
    """Whether default steps were lost in noise, which a direct gradient tells when it is done."""


def slopes(around: Around, how: Differencing, value: float | None = None) -> Floats:
    """The gradient along the flat theta, 0 for constants.

    Parameters
    ----------
    value : float, optional
        The loss at theta, where that is known.
    """
    if isinstance(how.step, str):
        return np.asarray(with_bars(around, how)[1][0])
    _, layout, run, free, through = around
    with through:
        steps: Any = how.step
        if steps is not None:
            steps = absolute_steps(layout, run.theta, steps, free)
        if value is None and how.stencil.needs_value:
            value = finite_value(run)
        base = 0.0 if value is None else value - run.reference
        found = None
        default = layout.linear and steps is None and how.scale is None
        if default and (run.structured or (how.is_plain and not how.is_noisy)):
            found = run.gradient(how.stencil, not how.has_looked)
        if found is None or not np.isfinite(found).all():
            found = _by_entries(around, how, steps, base)
        elif free is not None:
            found[~free] = 0.0
        if run.structured:
            run.certified(None if free is None else np.flatnonzero(free), found)
    return found


def with_bars(around: Around, how: Differencing) -> tuple[Loss, Floats]:
    """The loss as it was measured, and slopes, their error bars and their steps, shape (3, n)."""
    _, layout, run, free, through = around
    count = layout.size if free is None else int(np.count_nonzero(free))
    with through:
        steps = absolute_steps(layout, run.theta, how.step, free)
        each = ADAPTIVE_EVALUATIONS if isinstance(steps, str) else 2 * len(how.stencil.multiples)
        with progress_bar(run, "gradient", count * each) if how.progress else nullcontext():
            units = Units.of(run.theta, layout, how.scale, steps)
            few = None
            if how.stencil is CENTRAL[2] and not isinstance(steps, str):
                loss, few = measured(run, layout, free, units, steps)
            else:
                loss = measure_briefly(run, layout, free, units)
            loss = loss.entry_by_entry(seed=0)
            found = differences(loss, how.stencil, steps, few)
        if run.structured:
            run.certified(None if free is None else loss.indices, found[0])
    return loss, found


class Planned(NamedTuple):
    """The steps of all entries, and what a first look at a few of them showed."""

    steps: Floats
    unit: Floats
    asked: Asked | None
    """That look, where default steps may be lost in noise."""


def _by_entries(around: Around, how: Differencing, given: Floats | None, base: float) -> Floats:
    """The gradient by one difference an entry, at the ``given`` steps or at default ones.

    Parameters
    ----------
    base : float
        The loss at theta, if the stencil needs it.
    """
    _, layout, run, free, _ = around
    stencil, default = how.stencil, given is None
    found = np.zeros(layout.size)
    left = None if free is None else np.flatnonzero(free)
    expected = len(stencil.multiples) * (layout.size if left is None else left.size)
    with progress_bar(run, "gradient", expected) if how.progress else nullcontext():
        plan = _planned(around, how, given)
        steps, longer = plan.steps, None
        if plan.asked is not None:
            which, values, steps, left, longer = plan.asked
            offsets = stencil.offsets(steps[which])
            found[which] = stencil.combine(values, base, run.theta[which], offsets)
        count = layout.size if left is None else left.size
        for start in range(0, count, run.chunk):
            stop = min(start + run.chunk, count)
            indices = np.arange(start, stop) if left is None else left[start:stop]
            part = slice(start, stop) if left is None else indices
            values, h = sample_inside(run, layout, stencil, indices, steps[part], default)
            if longer is not None:
                bent = longer.bent(part, values)
                if bent.size:
                    which = indices[bent]
                    values[bent], h[bent] = sample_inside(
                        run, layout, stencil, which, plan.steps[which], default
                    )
            offsets = stencil.offsets(h)
            found[part] = stencil.combine(values, base, run.theta[part], offsets)
            if not how.has_warned:
                rounding = shows_rounding(values)
                how.has_looked |= rounding
                if rounding or stencil.order > 2:  # nothing else shows in two values
                    seen = misfit(run, stencil, indices, values, offsets, plan.unit[part])
                    if seen is not None:
                        how.has_warned = True
                        _warn(around, indices[seen[0]], seen[1])
    return found


def _planned(around: Around, how: Differencing, given: Floats | None) -> Planned:
    """The steps that are given, or default ones that suit the noise of the loss."""
    _, layout, run, free, _ = around
    units = Units.of(run.theta, layout, how.scale)
    if given is not None:
        return Planned(given, units.entry, None)
    if how.scale is None:
        steps = default_steps(units, run.theta, layout, how.stencil)
    else:
        steps = how.stencil.step * units.entry
    if layout.finest is not None:
        steps = np.maximum(steps, layout.finest)
    asked = None
    if how.stencil is CENTRAL[2] and how.scale is None and layout.linear and not run.structured:
        asked = suited(run, layout.stops, units.one_unit, free, steps)
        how.is_noisy |= asked.longer is not None
    return Planned(steps, units.entry, asked)


def _warn(around: Around, entry: int, why: str) -> None:
    """Say what values that were taken anyway show of a step."""
    warnings.warn(
        f"the numerical gradient of {around.name} is not to be trusted at "
        f'{around.layout.name(entry)}: {why}. step="adaptive" chooses steps that suit, and '
        ".estimate(...) says how far each slope is known",
        StepWarning,
        stacklevel=calls_within(),
    )
