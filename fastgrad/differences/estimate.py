"""A gradient with error bars: every entry differenced at two steps or more, and the noise measured."""

import numpy as np

from fastgrad.arrays import CHUNK, Floats, Indices, Mask
from fastgrad.differences.domain import sample_inside
from fastgrad.differences.entries import Entries
from fastgrad.differences.few import Few
from fastgrad.differences.ladder import extrapolate, has_descended
from fastgrad.differences.loss import Loss
from fastgrad.differences.second_looks import doubted, look_again
from fastgrad.differences.shared_looks import spanned
from fastgrad.differences.steps import chosen_steps
from fastgrad.numerics.rounding import local_noise
from fastgrad.numerics.stencils import CENTRAL, Stencil
from fastgrad.numerics.two_steps import TwoSteps

IN_NOISE = 1e-6
"""A ladder that goes down until its bar is this part of the slope was driven there by something else
than a smooth f, whose truncation would have sunk into the noise before."""


def differences(
    loss: Loss, stencil: Stencil, steps: Floats | str | None, few: Few | None = None
) -> Floats:
    """Slopes of a loss, their error bars and their steps, shape (3, n); 0 for constants.

    The bar is that of `fastgrad.numerics.bars`, with all of the truncation in it, and what a kink
    within the step may add. At most twice the evaluations of the gradient alone. An entry whose
    default step of order 4 or 6 is beyond the reach of its Taylor series is differenced as with
    ``step="adaptive"``; with a step of the user's, its bar is infinite.

    Parameters
    ----------
    few : Few, optional
        What was evaluated around the entries, of order 2.

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
        found[:, chunk] = _with_bars(loss, stencil, chunk, h[part], steps is None, few)
    return spanned(loss, found) if loss.of_many and steps is None and stencil.order == 2 else found


def adaptive_differences(loss: Loss, indices: Indices) -> Floats:
    """Slopes, their error bars and their steps, shape (3, m).

    Extrapolated (`fastgrad.differences.ladder`); what that does not suit, as kinks, gets a central
    difference of a step of its own (`fastgrad.numerics.step_search.StepSearch`), and is heard at every
    scale. Ladders that had to go down are looked at again (`fastgrad.differences.second_looks`).
    """
    found, doubtful, unknown = _extrapolated(loss, indices)
    if loss.of_many:
        return found
    return look_again(loss, indices, found, doubtful, unknown)


def _extrapolated(loss: Loss, indices: Indices) -> tuple[Floats, Mask, Mask]:
    """Slopes, bars and steps, which of them are doubtful, and which no ladder suits."""
    found, doubtful = extrapolate(loss, indices)
    unknown = ~np.isfinite(found[1])
    left = np.flatnonzero(unknown)
    if left.size:
        entries = Entries(loss, indices[left])
        h = entries.adapted_steps(np.arange(left.size), entries.steps())
        found[:, left] = _read(loss, CENTRAL[2], entries.indices, h, default=False)[0]
    into_noise = ~(found[1] <= IN_NOISE * np.abs(found[0]))
    return found, doubtful, unknown | (into_noise & has_descended(loss, indices, found))


def _with_bars(
    loss: Loss,
    stencil: Stencil,
    indices: Indices,
    h: Floats,
    default: bool,
    few: Few | None = None,
) -> Floats:
    """Slopes, their error bars and their steps, shape (3, m); other steps where a default fails."""
    found, plain = _read(loss, stencil, indices, h, default, few)
    if not default:
        return found
    if loss.of_many:  # entries share evaluations only at steps that they share
        left = np.flatnonzero(~plain)
        if left.size:
            found[:, left] = _extrapolated(loss, indices[left])[0]
        return found
    doubtful, unknown = np.zeros((2, indices.size), np.bool_)
    left = np.flatnonzero(~plain)
    if left.size:
        found[:, left], doubtful[left], unknown[left] = _extrapolated(loss, indices[left])
    known = np.flatnonzero(plain)
    doubtful[known] = doubted(
        loss, indices[known], found[:, known], stencil, few.line if few is not None else None
    )
    return look_again(loss, indices, found, doubtful, unknown)


def _read(
    loss: Loss,
    stencil: Stencil,
    indices: Indices,
    h: Floats,
    default: bool,
    few: Few | None = None,
) -> tuple[Floats, Mask]:
    """Slopes, bars and steps of differences at two steps, and whether these bear each other out."""
    both = TwoSteps(stencil)
    if few is None:
        values, h = sample_inside(loss.run, loss.layout, both, indices, h, default)
    else:
        values, h = few.values, few.h
    sigma = local_noise(loss.noise_of(indices), *values[:, : len(stencil.multiples)].T)
    reading = both.read(values, loss.base, loss.theta[indices], h, sigma)
    plain = reading.converges & reading.smooth
    bar = reading.bar if default else np.where(reading.converges, reading.bar, np.inf)
    return np.stack([reading.D, bar, h]), plain
