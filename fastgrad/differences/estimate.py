"""A gradient with error bars: every entry differenced at two steps or more, and the noise measured."""

import numpy as np

from fastgrad.arrays import CHUNK, Floats, Indices
from fastgrad.differences.domain import sample_inside
from fastgrad.differences.entries import Entries
from fastgrad.differences.ladder import extrapolate
from fastgrad.differences.loss import Loss
from fastgrad.differences.steps import chosen_steps
from fastgrad.numerics.bars import local_noise
from fastgrad.numerics.stencils import CENTRAL, Stencil
from fastgrad.numerics.two_steps import TwoSteps


def differences(loss: Loss, stencil: Stencil, steps: Floats | str | None) -> Floats:
    """Slopes of a loss, their error bars and their steps, shape (3, n); 0 for constants.

    The bar is that of `fastgrad.numerics.bars`, with all of the truncation in it, and what a kink
    within the step may add. At most twice the evaluations of the gradient alone. An entry whose
    default step of order 4 or 6 is beyond the reach of its Taylor series is differenced as with
    ``step="adaptive"``; with a step of the user's, its bar is infinite.

    Raises
    ------
    NonFiniteLossError
        The loss is not finite around an entry.
    """
    indices = loss.indices
    found = np.zeros((3, loss.layout.size))
    if isinstance(steps, str):
        for chunk in np.split(indices, range(CHUNK, indices.size, CHUNK)):
            found[:, chunk] = adaptive_differences(loss, chunk)
        return found
    h = chosen_steps(Entries(loss, indices), stencil, steps)
    for start in range(0, indices.size, CHUNK):
        part = slice(start, start + CHUNK)
        chunk = indices[part]
        found[:, chunk] = _with_bars(loss, stencil, chunk, h[part], steps is None)
    return found


def adaptive_differences(loss: Loss, indices: Indices) -> Floats:
    """Slopes, their error bars and their steps, shape (3, m).

    Extrapolated (`fastgrad.differences.ladder`); what that does not suit, as kinks, gets a central
    difference of a step of its own (`fastgrad.numerics.steps.adaptive_steps`).
    """
    found = extrapolate(loss, indices)
    left = np.flatnonzero(~np.isfinite(found[1]))
    if left.size:
        entries = Entries(loss, indices[left])
        h = entries.adapted_steps(np.arange(left.size), entries.loss.steps(entries.indices))
        found[:, left] = _with_bars(loss, CENTRAL[2], entries.indices, h, default=False)
    return found


def _with_bars(loss: Loss, stencil: Stencil, indices: Indices, h: Floats, default: bool) -> Floats:
    """Slopes, their error bars and their steps, shape (3, m); other steps where a default fails."""
    both = TwoSteps(stencil)
    values, h = sample_inside(loss.run, loss.layout, both, indices, h, default)
    sigma = local_noise(loss.noise_of(indices), *values[:, : len(stencil.multiples)].T)
    reading = both.read(values, loss.base, loss.theta[indices], h, sigma)
    if not default:
        return np.stack([reading.D, np.where(reading.converges, reading.bar, np.inf), h])
    found = np.stack([reading.D, reading.bar, h])
    left = np.flatnonzero(~(reading.converges & reading.smooth))
    if left.size:
        found[:, left] = adaptive_differences(loss, indices[left])
    return found
