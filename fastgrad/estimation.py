"""A gradient with error bars: every entry differenced at two steps or more, and the noise measured."""

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.differences import Differencer
from fastgrad.detect.plan import planned_steps
from fastgrad.detect.preflight import Loss, inspect_entries, inspect_loss
from fastgrad.edges import sample_inside
from fastgrad.evaluate import Evaluator
from fastgrad.extrapolation import extrapolate
from fastgrad.numerics.bars import local_noise
from fastgrad.numerics.stencils import CENTRAL, Stencil
from fastgrad.numerics.steps import default_steps
from fastgrad.numerics.wider import read_wider, widening
from fastgrad.params import Floats, Layout
from fastgrad.results import GradientEstimate

Indices = NDArray[np.intp]

CHUNK = 1 << 16
"""Entries differenced at a time."""


def estimate(
    run: Evaluator,
    layout: Layout,
    mask: NDArray[np.bool_] | None,
    stencil: Stencil,
    steps: Floats | str | None,
) -> GradientEstimate:
    """The numerical gradient with a bound on its error, entry by entry.

    The bar is that of `fastgrad.numerics.bars`, with all of the truncation in it, and what a kink
    within the step may add. At most twice the evaluations of the gradient alone, and some 40 for the
    noise. An entry whose default step of order 4 or 6 is beyond the reach of its Taylor series is
    differenced as with ``step="adaptive"``; with a step of the user's, its bar is infinite.

    Raises
    ------
    NondeterministicLossError
        Repeats of the loss differ.
    NonFiniteLossError
        The loss is not finite around an entry.
    """
    facts, (gradient, error, step) = differences(run, layout, mask, stencil, steps)
    return GradientEstimate(
        gradient=layout.rebuild(gradient),
        error=layout.rebuild(error),
        step=layout.rebuild(step),
        value=facts.value,
        noise=facts.noise,
        evaluations=run.evaluations,
    )


def differences(
    run: Evaluator,
    layout: Layout,
    mask: NDArray[np.bool_] | None,
    stencil: Stencil,
    steps: Floats | str | None,
) -> tuple[Loss, Floats]:
    """What is known of the loss, and its slopes, their error bars and their steps, shape (3, n)."""
    facts = inspect_entries(inspect_loss(run, mask, seed=0), run, mask, seed=0)
    indices = np.arange(layout.size) if mask is None else np.flatnonzero(mask)
    found = np.zeros((3, layout.size))
    if isinstance(steps, str):
        for chunk in np.split(indices, range(CHUNK, indices.size, CHUNK)):
            found[:, chunk] = adaptive_differences(run, layout, facts, chunk)
        return facts, found
    h = chosen_steps(Differencer(run, facts, indices), layout, stencil, steps)
    for start in range(0, indices.size, CHUNK):
        part = slice(start, start + CHUNK)
        chunk = indices[part]
        found[:, chunk] = _with_bars(run, layout, facts, stencil, chunk, h[part], steps is None)
    return facts, found


def chosen_steps(
    differencer: Differencer, layout: Layout, stencil: Stencil, steps: Floats | str | None
) -> Floats:
    """Steps of the entries checked, shape (m,), from the default, the noise, or the user."""
    if isinstance(steps, np.ndarray):
        return steps[differencer.indices]
    h = default_steps(differencer.x, stencil.step)
    if steps == "adaptive":
        return differencer.adapted_steps(np.arange(h.size), h)
    return planned_steps(differencer, layout, seed=0) if stencil is CENTRAL[2] else h


def adaptive_differences(run: Evaluator, layout: Layout, facts: Loss, indices: Indices) -> Floats:
    """Slopes, their error bars and their steps, shape (3, m).

    Extrapolated (`fastgrad.extrapolation`); what that does not suit, as kinks, gets a central
    difference of a step of its own (`fastgrad.numerics.steps.adaptive_steps`).
    """
    found = extrapolate(run, facts, indices)
    left = np.flatnonzero(~np.isfinite(found[1]))
    if left.size:
        differencer = Differencer(run, facts, indices[left])
        h = differencer.adapted_steps(
            np.arange(left.size), default_steps(differencer.x, CENTRAL[2].step)
        )
        found[:, left] = _with_bars(
            run, layout, facts, CENTRAL[2], differencer.indices, h, default=False
        )
    return found


def _with_bars(
    run: Evaluator,
    layout: Layout,
    facts: Loss,
    method: Stencil,
    indices: Indices,
    h: Floats,
    default: bool,
) -> Floats:
    """Slopes, their error bars and their steps, shape (3, m); other steps where a default fails."""
    multiples = np.outer([1.0, widening(method)], method.multiples).ravel()
    values, h = sample_inside(run, layout, method, indices, h, multiples, default)
    near, wide = np.split(values, 2, axis=1)
    sigma = local_noise(facts.noise_of(indices), *near.T)
    reading = read_wider(method, near, wide, facts.base, run.theta[indices], h, sigma)
    if not default:
        return np.stack([reading.D, np.where(reading.converges, reading.bar, np.inf), h])
    found = np.stack([reading.D, reading.bar, h])
    left = np.flatnonzero(~(reading.converges & reading.smooth))
    if left.size:
        found[:, left] = adaptive_differences(run, layout, facts, indices[left])
    return found
