"""A gradient with error bars: every entry differenced at two steps, and the noise measured."""

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.differences import Differencer
from fastgrad.detect.plan import planned_steps
from fastgrad.detect.preflight import Loss, inspect_entries, inspect_loss
from fastgrad.errors import NonFiniteLossError
from fastgrad.evaluate import Evaluator
from fastgrad.numerics.bars import (
    BOUND,
    WIDER,
    kink_allowance,
    local_noise,
    noise_bar,
    truncation,
)
from fastgrad.numerics.stencils import CENTRAL, Stencil
from fastgrad.numerics.steps import default_steps
from fastgrad.params import Floats, Layout
from fastgrad.results import GradientEstimate

CHUNK = 1 << 16
"""Entries differenced at a time."""
OWN_ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Of a difference quotient: a subtraction, a division, and the step really taken."""
WIDER_ELSEWHERE = 2.0
"""Second step over the first where the default step is long already (orders 4 and 6), or noise and
truncation are of one size (order 1)."""


def estimate(
    run: Evaluator,
    layout: Layout,
    mask: NDArray[np.bool_] | None,
    stencil: Stencil,
    steps: Floats | str | None,
) -> GradientEstimate:
    """The numerical gradient with a bound on its error, entry by entry.

    The bar is that of `fastgrad.numerics.bars`, with all of the truncation in it, and what a kink
    within the step may add. Twice the evaluations of the gradient alone, and some 40 for the noise.

    Raises
    ------
    NondeterministicLossError
        Repeats of the loss differ.
    NonFiniteLossError
        The loss is not finite around an entry.
    """
    facts = inspect_entries(inspect_loss(run, mask, seed=0), run, mask, seed=0)
    indices = np.arange(layout.size) if mask is None else np.flatnonzero(mask)
    h = chosen_steps(Differencer(run, facts, indices), layout, stencil, steps)
    gradient, error, step = np.zeros((3, layout.size))
    for start in range(0, indices.size, CHUNK):
        part = slice(start, start + CHUNK)
        chunk = indices[part]
        gradient[chunk], error[chunk] = _with_bars(run, layout, facts, stencil, chunk, h[part])
        step[chunk] = h[part]
    return GradientEstimate(
        gradient=layout.rebuild(gradient),
        error=layout.rebuild(error),
        step=layout.rebuild(step),
        value=facts.value,
        noise=facts.noise,
        evaluations=run.evaluations,
    )


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


def _with_bars(
    run: Evaluator,
    layout: Layout,
    facts: Loss,
    stencil: Stencil,
    indices: NDArray[np.intp],
    h: Floats,
) -> tuple[Floats, Floats]:
    x = run.theta[indices]
    wider = WIDER if stencil is CENTRAL[2] else WIDER_ELSEWHERE
    offsets = np.concatenate([stencil.offsets(h), stencil.offsets(wider * h)], axis=1)
    values = run.coordinates(indices, offsets)
    if not np.isfinite(values).all():
        row, column = map(int, np.argwhere(~np.isfinite(values))[0])
        raise NonFiniteLossError(
            f"the loss is {values[row, column]} at {layout.name(int(indices[row]))} "
            f"{offsets[row, column]:+.3g}: expected finite values around it; pass a smaller step, "
            'or step="adaptive"'
        )
    (near, wide), (at_near, at_wide) = np.split(values, 2, axis=1), np.split(offsets, 2, axis=1)
    D = stencil.combine(near, facts.base, x, at_near)
    t = truncation(D, stencil.combine(wide, facts.base, x, at_wide), stencil.order, wider)
    sigma = local_noise(facts.noise_of(indices), *near.T)
    error = noise_bar(sigma, h, stencil.noise_gain) + BOUND * np.abs(t) + OWN_ROUNDING * np.abs(D)
    if stencil.order % 2 == 0:
        for k, (multiple, _, weight) in enumerate(stencil.pairs):
            S, S_wide = (
                side[:, 2 * k] + side[:, 2 * k + 1] - 2 * facts.base for side in (near, wide)
            )
            error += abs(weight) * kink_allowance(S, S_wide, multiple * h, sigma, wider)
    return D, error
