"""Central differences at four steps, extrapolated to step zero, and whether to trust the outcome.

With ``D(s) = (f(x + s) - f(x - s)) / (2 s) = g + c1 s^2 + c2 s^4 + ...`` at four steps, the
polynomials in s^2 through the values (Richardson; Ridders 1982) leave an error in s^6 at the three
longest steps and in s^8 at all four. The answer is the former, with half the noise of the latter;
their difference is its truncation. ``E(s) = (f(x + s) - 2 f(x) + f(x - s)) / s^2`` is extrapolated
alike: it differs where x is a kink, which no D shows, and where the steps are too long for both.
"""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.numerics.bars import (
    BOUND,
    CENTRAL_GAIN,
    OWN_ROUNDING,
    converges,
    curvature_noise,
    noise_bar,
)
from fastgrad.numerics.stencils import second_difference

RATIO = 271 / 128
"""Ratio of a step to the next, about ``exp(3/4)``. No two are commensurate: with steps halved,
``sin(k x)`` looks as smooth as a slow wave wherever the shortest is near a multiple of the period,
for 5% of all k. Few bits, for `few_bits`."""
RUNGS = RATIO ** np.arange(3.0, -1.0, -1.0)
"""The steps, in multiples of the shortest."""
GAP = 6
"""Rungs down to where another ladder is begun, if this one does not converge at all."""


@dataclass(frozen=True)
class Reading:
    """What four differences say of each entry, arrays of shape (m,)."""

    D: Floats
    bar: Floats
    """Bound on the error of D; to be believed where ``descent`` is 0."""
    descent: Indices
    """Rungs by which the steps are too long: 0 where truncation has sunk into the noise."""
    converges: Mask
    """Whether every order changes slope and curvature by less than the one before it."""


def few_bits(steps: Floats) -> Floats:
    """Steps rounded to 8 bits, so that x + s is exact or nearly, as with powers of two.

    ``1e4 * (x + s)`` is then rounded as ``1e4 * x`` is, and noise measured at such points is what
    these steps see.
    """
    mantissa, exponent = np.frexp(steps)
    return np.ldexp(np.round(mantissa * 256) / 256, exponent)


def weights(steps: Floats) -> Floats:
    """The weights of differences at these steps in their value at step zero (Lagrange), shape (m, k).

    Examples
    --------
    >>> weights(np.array([[2.0, 1.0]]))
    array([[-0.33333333,  1.33333333]])
    """
    squares = steps**2
    result = np.ones_like(squares)
    for i in range(steps.shape[1]):
        for j in range(steps.shape[1]):
            if i != j:
                result[:, i] *= squares[:, j] / (squares[:, j] - squares[:, i])
    return result


def read_ladder(
    above: Floats, below: Floats, value: Floats | float, x: Floats, steps: Floats, sigma: Floats
) -> Reading:
    """The extrapolated slope with its error bar.

    Parameters
    ----------
    above, below : ndarray, shape (m, 4)
        f at x + steps and x - steps.
    value : float, or ndarray, shape (m, 1)
        f at x.
    x : ndarray, shape (m,)
    steps : ndarray, shape (m, 4)
        Falling along the last axis.
    sigma : ndarray, shape (m,)
        sd of the noise of f.

    Examples
    --------
    >>> s = few_bits(RUNGS[None, :] * 2.0**-9)
    >>> got = read_ladder(np.exp(s), np.exp(-s), 1.0, np.zeros(1), s, np.array([1e-16]))
    >>> bool(abs(got.D[0] - 1.0) <= got.bar[0] < 1e-12), int(got.descent[0])
    (True, 0)
    """
    up, down = (x[:, None] + steps) - x[:, None], x[:, None] - (x[:, None] - steps)
    fourth, sixth, eighth = np.zeros((3, *steps.shape))
    for k, w in ((2, fourth), (3, sixth), (4, eighth)):
        w[:, :k] = weights(steps[:, :k])

    def excess(estimates: Floats, noise: Floats) -> tuple[Floats, Mask]:
        """Truncation of the sixth order over noise, and whether that of the fourth was larger."""
        last = np.sum(estimates * (eighth - sixth), axis=1)
        before = np.sum(estimates * (sixth - fourth), axis=1)
        return np.abs(last) / noise, converges(last, before, noise)

    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        slopes = (above - below) / (up + down)
        bends = second_difference(above - value, below - value, up, down) / up**2
        D = np.sum(slopes * sixth, axis=1)
        odd = excess(slopes, noise_bar(sigma, 1.0, CENTRAL_GAIN * _norm(eighth / steps)))
        even = excess(bends, curvature_noise(sigma, 1.0, _norm(eighth / steps**2)))
        bar = noise_bar(sigma, 1.0, CENTRAL_GAIN * _norm(sixth / steps))
        bar += BOUND * np.abs(np.sum(slopes * (eighth - sixth), axis=1)) + OWN_ROUNDING * np.abs(D)
        too_long = np.maximum(odd[0], even[0])
        # Truncation over noise goes like s^7.
        descent = np.clip(np.ceil(np.log(too_long) / np.log(RATIO) / 7), 0, RUNGS.size)
    holds = odd[1] & even[1]
    descent = np.where(holds, np.nan_to_num(descent), GAP)
    return Reading(D, bar, np.where(too_long <= 1, 0, descent).astype(np.int64), holds)


def _norm(rows: Floats) -> Floats:
    return np.asarray(np.sqrt(np.sum(rows**2, axis=1)))
