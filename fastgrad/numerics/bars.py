"""The error bar of a difference quotient, and the verdict it allows.

A central difference D of step h errs by noise and by truncation:
``|D - g| <= B = 6 sigma / (sqrt(2) h) + |t| + 64 eps |a|``, with sigma the sd of one evaluation and
``t = (D(8h) - D(h)) / 63`` the estimated truncation. Over 30 nets x 1128 entries the worst error
was 3.7 sigma / (sqrt(2) h) with sigma the maximum of five directions, and 7.9 with one.
"""

import numpy as np

from fastgrad.arrays import Floats, Mask

NOISE_SDS = 6.0
CENTRAL_GAIN = 2.0**-0.5
"""sd of a central difference over sigma / h."""
ROUNDING = 64 * float(np.finfo(np.float64).eps)
WIDER = 8.0
"""Truncation is read off a second difference at this multiple of h, where noise is 8 times less."""

OWN_ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Rounding of a difference quotient: a subtraction, a division, and the step really taken."""

CORRECTED = 1.05
"""Bar of ``D - t`` over that of D: t brings 1/63 of another difference's noise, and a slack."""
UNCERTAIN = 0.1
"""Part of t that is not known: where truncation dominates, t undershoots by about 0.1%, and by
more where the next order shows."""
BOUND = 1.1
"""All of the truncation, and that slack, where D is left as it is."""

NEGLIGIBLE = 1e-6
"""Least effect that matters, in units of theta: an entry that does less to the loss than this part
of what the steepest one does need not be told apart from zero."""

CONVERGING = 0.25
"""An order of differences holds if it changes the answer by at most this part of what the order
before it did."""


def noise_bar(
    sigma: Floats | float, h: Floats | float, gain: Floats | float = CENTRAL_GAIN
) -> Floats:
    """``6 sigma gain / h``: the noise of D, with ``gain`` the stencil's own (central: 1/sqrt(2))."""
    return np.asarray(NOISE_SDS * gain * sigma / h)


def curvature_noise(sigma: Floats | float, h: Floats | float, gain: Floats | float = 1.0) -> Floats:
    """The same for ``E = S(h) / h^2``, of three values."""
    return np.asarray(NOISE_SDS * np.sqrt(6.0) * gain * sigma / h**2)


def converges(last: Floats, before: Floats, noise: Floats) -> Mask:
    """Whether an order of differences holds: what it changed is noise, or little beside ``before``.

    Where steps are beyond the reach of the Taylor series of f, it changes as much as the order below
    did, and nothing read off these values bounds the error.
    """
    size = np.abs(last)
    return (size <= noise) | (size <= CONVERGING * np.abs(before))


def kink_allowance(change: Floats, noise: Floats, h: Floats) -> Floats:
    """What a kink within the steps may add to the error of a central difference.

    A slope jump J at x biases it by up to J/2, and adds J/s to ``E(s) = S(s) / s^2``, which of a
    smooth f settles as s falls: at twice the steps or more, E differs by more than J/(2h).

    Parameters
    ----------
    change, noise : ndarray, shape (m,)
        ``E(wh) - E(h)``, extrapolated as the slopes are, and its noise bar.
    """
    return np.asarray(h * np.maximum(0.0, np.abs(change) - noise))
