"""A difference beside the same at wider steps: its error bar, and whether the steps bear it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.numerics.bars import (
    BOUND,
    OWN_ROUNDING,
    WIDER,
    converges,
    curvature_noise,
    kink_allowance,
    noise_bar,
)
from fastgrad.numerics.richardson import RATIO
from fastgrad.numerics.stencils import CENTRAL, Stencil

WIDER_ORDER_2 = WIDER * 135 / 128
"""Second step over the first, not commensurate with it, as `RATIO` is not."""
WIDER_ELSEWHERE = RATIO
"""The same where the default step is long already (orders 4 and 6), or noise and
truncation are of one size (order 1)."""
SLOW = 2.0
"""Part of the next order: it may hide as much of t as this order is of the one before it."""


def truncation(near: Floats, wide: Floats, order: int = 2, wider: float = WIDER) -> Floats:
    """``t = (D(wh) - D(h)) / (w^p - 1)``: D(h) minus t is free of the leading error (Richardson)."""
    return (wide - near) / (wider**order - 1)


@dataclass(frozen=True)
class Reading:
    """What two differences say of each entry, arrays of shape (m,)."""

    D: Floats
    bar: Floats
    converges: Mask
    """Whether D does, as h falls: if not, the bar says nothing. Taken on trust of order 1."""
    smooth: Mask
    """Whether f'' does too: if not, there is a kink near, or D settled by chance."""


@dataclass(frozen=True)
class TwoSteps:
    """A stencil at h and at wider steps."""

    stencil: Stencil

    @property
    def step(self) -> float:
        """The default h at unit scale."""
        return self.stencil.step

    @property
    def widening(self) -> float:
        """The wider step over h."""
        return WIDER_ORDER_2 if self.stencil is CENTRAL[2] else WIDER_ELSEWHERE

    @property
    def unit_offsets(self) -> Floats:
        """The places where f is needed, in multiples of h: those of h itself come first."""
        return np.outer([1.0, self.widening], self.stencil.multiples).ravel()

    def noise_seen(
        self, values: Floats, value: float, x: Floats, h: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """D, f'' at h, and what noise made of ``S(h)``, each of shape (m,); of order 2.

        The last is ``S(h) - S(wh) / w^2``. Of a smooth f it is ``(w^2 - 1) h^4 f^(4)/12`` but for noise,
        which weighs 14 h / L times what truncation does in D, with L the scale of f.

        Examples
        --------
        >>> both, h = TwoSteps(CENTRAL[2]), np.array([2.0**-17])
        >>> at = h[:, None] * both.unit_offsets
        >>> noise = both.noise_seen(1e8 + np.exp(at), 1e8 + 1.0, np.zeros(1), h)[2]
        >>> bool(abs(noise) < 6e-8)
        True
        """
        k = len(self.stencil.multiples)
        near, wide = self.stencil.offsets(h), self.stencil.offsets(self.widening * h)
        with np.errstate(invalid="ignore", over="ignore"):
            D = self.stencil.combine(values[:, :k], value, x, near)
            E = self.stencil.curvature(values[:, :k], value, x, near)
            return D, E, (E - self.stencil.curvature(values[:, k:], value, x, wide)) * h**2

    def noise_covariance(self, count: int) -> Floats:
        """The covariance of `noise_seen` of so many entries, which share f at x, for noise of sd 1."""
        w = self.widening
        return 4.0 * (1.0 - w**-2) ** 2 + 2.0 * (1.0 + w**-4) * np.eye(count)

    def read(self, values: Floats, value: float, x: Floats, h: Floats, sigma: Floats) -> Reading:
        """The slope at h, with its bar: all of the truncation is in it.

        Where f is not smooth, that is all of what the wider steps change, and what a kink adds.

        Parameters
        ----------
        values : ndarray, shape (m, 2 k)
            f at ``unit_offsets`` times h.
        value : float
            f at theta.
        sigma : ndarray, shape (m,)
            sd of the noise of f.
        """
        method, w = self.stencil, self.widening
        near, wide = np.split(values, 2, axis=1)
        sides = ((near, method.offsets(h)), (wide, method.offsets(w * h)))

        def at_both(estimate: Callable[..., Floats], order: Stencil) -> Floats:
            k = len(order.multiples)
            return np.stack([estimate(order, f[:, :k], value, x, s[:, :k]) for f, s in sides])

        D, D_wide = at_both(Stencil.combine, method)
        noise = noise_bar(sigma, h, method.noise_gain)
        change = np.abs(D_wide - D)
        lower = CENTRAL.get(method.order - 2)
        # Below orders 1 and 2 there is none: all of the wider value is what it changed.
        before = D_wide if lower is None else np.diff(at_both(Stencil.combine, lower), axis=0)[0]
        slow = np.minimum(change, np.abs(before)) / np.maximum(np.abs(before), 1e-300)
        bar = noise + OWN_ROUNDING * np.abs(D)
        t = (BOUND + SLOW * slow) * np.abs(truncation(D, D_wide, method.order, w))
        if method.order == 1:
            everywhere = np.ones(h.size, np.bool_)
            return Reading(D, bar + t, everywhere, everywhere)
        E, E_wide = at_both(Stencil.curvature, method)
        E_before = (
            E_wide if lower is None else np.diff(at_both(Stencil.curvature, lower), axis=0)[0]
        )
        E_noise = curvature_noise(sigma, h, method.curvature_gain)
        smooth = converges(E_wide - E, E_before, E_noise)
        if method.order == 2:  # a one-sided slope moves by half the jump at a kink, f'' may not
            smooth &= converges(change, change + h / 2 * np.abs(w * E_wide - E), noise)
        return Reading(
            D,
            bar + np.where(smooth, t, change) + kink_allowance(E_wide - E, E_noise, h),
            converges(change, before, noise),
            smooth,
        )
