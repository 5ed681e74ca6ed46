"""Is f smooth around x in one coordinate? One-sided slopes, the order of S, subgradient intervals.

With ``S(s) = f(x + s) - 2 f(x) + f(x - s)``, ``S ~ s^p``: p = 2 where f is smooth, 1 at a kink in
x, more where a kink lies between two of the steps, 0 where f jumps. At a kink the one-sided slopes
``F = (f(x + s) - f) / s`` and ``K = (f - f(x - s)) / s`` bound the subgradients.
"""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Mask

SIGNIFICANT = 6.0
"""S is read only where it exceeds this many times its own noise, sqrt(6) sigma."""

JUMP, KINK = 0.5, 1.5
"""Orders below which f jumps, and has a kink: half-way between 0, 1 and 2."""


@dataclass(frozen=True)
class Slopes:
    """f on both sides of x at several steps, per entry.

    Parameters
    ----------
    steps : ndarray, shape (m, k)
        Increasing along the last axis.
    forward, backward : ndarray, shape (m, k)
        The one-sided slopes F and K at these steps.
    """

    steps: Floats
    forward: Floats
    backward: Floats

    @classmethod
    def of(cls, steps: Floats, above: Floats, below: Floats, value: float) -> "Slopes":
        """The slopes from values of f at x + steps and x - steps."""
        return cls(steps, (above - value) / steps, (value - below) / steps)

    @property
    def second_differences(self) -> Floats:
        """S(s), shape (m, k)."""
        return (self.forward - self.backward) * self.steps


@dataclass(frozen=True)
class Kinks:
    """What `find_kinks` says of each entry, arrays of shape (m,)."""

    order: Floats
    """p, NaN where no S is significant."""
    kink: Mask
    jump: Mask
    low: Floats
    """Subgradient interval, with its slack; meaningful where ``kink``."""
    high: Floats


def find_kinks(slopes: Slopes, sigma: Floats) -> Kinks:
    """Whether x itself is a kink, and between what slopes.

    The order is taken between the smallest step at which S is significant and the next one; below
    significance S is noise, and its order is too (which once hid 5% of planted errors).

    Parameters
    ----------
    sigma : ndarray, shape (m,)
        sd of the noise of f.

    Examples
    --------
    >>> steps = np.array([[0.5, 1.0, 8.0]])
    >>> kinks = find_kinks(Slopes.of(steps, abs(steps), abs(-steps), 0.0), np.array([1e-16]))
    >>> bool(kinks.kink[0]), round(float(kinks.low[0]), 6), round(float(kinks.high[0]), 6)
    (True, -1.0, 1.0)
    """
    rows = np.arange(slopes.steps.shape[0])
    last = slopes.steps.shape[1] - 1
    S = slopes.second_differences
    with np.errstate(invalid="ignore"):
        threshold = SIGNIFICANT * np.sqrt(6.0) * sigma
        significant = np.abs(S) > threshold[:, None]
    first = np.where(significant.any(axis=1), significant.argmax(axis=1), last)
    following = np.minimum(first + 1, last)
    near, far = slopes.steps[rows, first], slopes.steps[rows, following]
    readable = significant[rows, first] & significant[rows, following] & (first < last)
    with np.errstate(divide="ignore", invalid="ignore"):
        order = np.log(np.abs(S[rows, following] / S[rows, first])) / np.log(far / near)
    order = np.where(readable, order, np.nan)

    # Of a kink in x, S would be half as large at half the step: if it is not, the kink lies between.
    closer = slopes.steps[rows, np.maximum(first - 1, 0)]
    between = (first > 0) & (np.abs(S[rows, first]) * closer / near > 2 * threshold)

    F, K = slopes.forward[rows, first], slopes.backward[rows, first]
    # A slope found at `near` moves on its way to x as it did between `far` and `near`.
    reach = near / np.where(far > near, far - near, 1.0)
    drift = np.maximum(
        np.abs(slopes.forward[rows, following] - F), np.abs(slopes.backward[rows, following] - K)
    )
    slack = 6 * np.sqrt(2.0) * sigma / near + 2 * reach * drift
    with np.errstate(invalid="ignore"):
        return Kinks(
            order=order,
            kink=(order >= JUMP) & (order < KINK) & ~between,
            jump=(order < JUMP) & ~between,
            low=np.minimum(F, K) - slack,
            high=np.maximum(F, K) + slack,
        )
