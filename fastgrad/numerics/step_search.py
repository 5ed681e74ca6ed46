"""The step at which truncation has just sunk into the noise, sought by trial."""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.numerics.steps import power_of_two

ACCEPTED = (1.5, 6.0)
"""Third difference over 8 sigma, between pure noise and truncation (Shi et al., section 3)."""
AIM = 4.0
TRIALS = 16


class StepSearch:
    """A search for steps at which truncation has just sunk into the noise; arrays of shape (m,).

    The ratio test of Shi, Xie, Xuan and Nocedal (arXiv 2110.06380): a step h is right when
    ``|f(3h) - 3 f(h) + 3 f(-h) - f(-3h)| / (8 sigma)`` is in [1.5, 6]. It is sought by factors of
    8 upwards and as the cube downwards, then by bisection; where f is not finite, h shrinks; then
    h/2 is taken, so that truncation is negligible and the error bar is pure noise. Steps are powers
    of two.

    Parameters
    ----------
    start, smallest, largest : ndarray, shape (m,)
    sigma : float or ndarray, shape (m,)
        sd of the noise of f.
    """

    def __init__(self, start: Floats, smallest: Floats, largest: Floats, sigma: Floats | float):
        self.smallest, self.largest = smallest, largest
        self.sigma = np.broadcast_to(sigma, start.shape)
        self.h = np.clip(power_of_two(start), smallest, largest)
        self.below = np.zeros_like(self.h)
        self.above = np.full_like(self.h, np.inf)
        self.open = np.arange(self.h.size)
        """Those that are still sought."""
        self.trials = 0

    @property
    def offsets(self) -> Floats:
        """The places that f is asked for next, around those that are still sought, shape (k, 4)."""
        return self.h[self.open, None] * np.array([3.0, 1.0, -1.0, -3.0])

    @property
    def steps(self) -> Floats:
        """The steps found."""
        return np.maximum(self.h / 2, self.smallest)

    def tell(self, f: Floats) -> None:
        """Go on by what f is at the offsets, shape (k, 4)."""
        open_ = self.open
        step = self.h[open_]
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.abs(f[:, 0] - f[:, 3] - 3 * (f[:, 1] - f[:, 2])) / (8 * self.sigma[open_])
        too_far = ~(ratio <= ACCEPTED[1])
        too_near = ratio < ACCEPTED[0]
        self.above[open_[too_far]] = step[too_far]
        self.below[open_[too_near]] = step[too_near]
        lo, hi = self.below[open_], self.above[open_]
        with np.errstate(invalid="ignore"):
            between = power_of_two(np.sqrt(np.maximum(lo, 1e-300) * np.minimum(hi, 1e300)))
        with np.errstate(invalid="ignore", divide="ignore"):  # the ratio goes like h^3
            aimed = power_of_two(step * np.clip(np.cbrt(AIM / ratio), 2.0**-12, 0.5))
        nearer = np.where(np.isfinite(ratio), aimed, step / 8)
        following = np.where(too_far, np.where(nearer > lo, nearer, between), step)
        following = np.where(too_near, np.where(np.isinf(hi), step * 8, between), following)
        following = np.clip(following, self.smallest[open_], self.largest[open_])
        self.h[open_] = following
        self.trials += 1
        goes_on = (too_far | too_near) & (following != step) & (following != lo)
        self.open = open_[goes_on] if self.trials < TRIALS else open_[:0]


def adaptive_steps(
    sample: Callable[[Indices, Floats], Floats],
    start: Floats,
    smallest: Floats,
    largest: Floats,
    sigma: Floats | float,
) -> Floats:
    """The steps that a `StepSearch` finds, shape (m,).

    Parameters
    ----------
    sample : callable
        ``sample(which, offsets)``: f at ``offsets``, shape (k, 4), around entries ``which``.
    start, smallest, largest, sigma
        As of `StepSearch`.
    """
    search = StepSearch(start, smallest, largest, sigma)
    while search.open.size:
        search.tell(sample(search.open, search.offsets))
    return search.steps
