"""A difference beside the same at wider steps: its error bar, and whether the steps bear it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastgrad.numerics.bars import (
    BOUND,
    OWN_ROUNDING,
    WIDER,
    converges,
    curvature_noise,
    kink_allowance,
    noise_bar,
    truncation,
)
from fastgrad.numerics.extrapolation import RATIO
from fastgrad.numerics.stencils import CENTRAL, Stencil

Floats = NDArray[np.float64]

WIDER_ELSEWHERE = RATIO
"""Second step over the first where the default step is long already (orders 4 and 6), or noise and
truncation are of one size (order 1)."""


@dataclass(frozen=True)
class Reading:
    """What two differences say of each entry, arrays of shape (m,)."""

    D: Floats
    bar: Floats
    converges: NDArray[np.bool_]
    """Whether D does, as h falls: if not, the bar says nothing. Taken on trust up to order 2."""
    smooth: NDArray[np.bool_]
    """Whether f'' does too: if not, there is a kink near, or D settled by chance."""


def widening(method: Stencil) -> float:
    """The wider step over h."""
    return WIDER if method is CENTRAL[2] else WIDER_ELSEWHERE


def read_wider(
    method: Stencil, near: Floats, wide: Floats, value: float, x: Floats, h: Floats, sigma: Floats
) -> Reading:
    """The slope at h, with its bar; where f is smooth all of the truncation is in it.

    Parameters
    ----------
    near, wide : ndarray, shape (m, k)
        f at the offsets of ``method`` for h, and for ``widening`` times h.
    value : float
        f at theta.
    sigma : ndarray, shape (m,)
        sd of the noise of f.
    """
    w = widening(method)

    sides = ((near, method.offsets(h)), (wide, method.offsets(w * h)))

    def slopes(lower: Stencil) -> tuple[Floats, Floats]:
        k = len(lower.multiples)
        D, D_wide = (lower.combine(f[:, :k], value, x, offsets[:, :k]) for f, offsets in sides)
        return D, D_wide - D

    def bend(lower: Stencil) -> Floats:
        k = len(lower.multiples)
        E, E_wide = (lower.curvature(f[:, :k], value, x, offsets[:, :k]) for f, offsets in sides)
        return E_wide - E

    D, change = slopes(method)
    noise = noise_bar(sigma, h, method.noise_gain)
    bar = noise + OWN_ROUNDING * np.abs(D)
    bar += BOUND * np.abs(truncation(D, D + change, method.order, w))
    everywhere = np.ones(h.size, np.bool_)
    if method.order == 1:
        return Reading(D, bar, everywhere, everywhere)
    bend_noise = curvature_noise(sigma, h, method.curvature_gain)
    bar += kink_allowance(bend(method), bend_noise, h)
    if method.order == 2:
        return Reading(D, bar, everywhere, everywhere)
    lower = CENTRAL[method.order - 2]
    before = slopes(lower)[1]
    return Reading(
        D,
        bar,
        converges(change, before, noise),
        converges(bend(method), bend(lower), bend_noise),
    )
