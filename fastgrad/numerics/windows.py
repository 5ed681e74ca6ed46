"""The slope of f at every scale: windows of a few pairs f(x + t), f(x - t), each with its own fit.

In a window of pairs the odd part ``(f(x + t) - f(x - t)) / 2`` is fitted by ``g t + c t^3``. What the
fit leaves is noise, kinks, jumps and higher orders alike, so the bar of g is measured and not assumed:
it is `STANDARD_ERRORS` of the fit, with the largest residual of this window and the finer ones near it
(a window of so few degrees of freedom may fit by chance, and roughness does not shrink with t), and
never less than what the *grain* of f allows: the smallest unit of which all its values are multiples.
"""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Mask

PAIRS = 5
"""Pairs a window; 3 degrees of freedom are left."""
STANDARD_ERRORS = 7.0
MEMORY = 6
"""Windows finer than this one whose residuals count as well: six octaves of steps."""
DISTINCT = 4
"""Fewest different values on each side, of five and f(x), for a slope to be resolved: a staircase shows
two or three."""
GRAIN_SDS = 0.5
"""Residual that a grain leaves at least, in grains: rounding has sd 0.29, and a pair has two."""
FEWEST_VALUES = 4
"""Fewer different values may be round by themselves, as 0, 1 and 12.5 are..."""
LONG = 1e5
"""... but not if they have so many digits before the decimals end: one value in 1e8 would by chance."""
DECIMALS = 12
"""Decimals up to which a loss may be given."""
TENS = np.array([10.0**k for k in range(DECIMALS + 1)])
TENTHS = np.array([10.0**-k for k in range(DECIMALS + 1)])
TEXT_ULPS = 4.0
"""What is read from text is off by so many units in the last place from its decimals, at most."""


@dataclass(frozen=True)
class Windows:
    """Slopes of f at every scale, the widest first; arrays of shape (m - PAIRS + 1,)."""

    t: Floats
    """The widest step of each window."""
    slope: Floats
    bar: Floats
    """Infinite where the window is not resolved."""
    residual: Floats
    """rms of what the fit leaves."""
    resolved: Mask
    bend: Floats
    """Half of the change of the slope at x itself: one-sided slopes are ``slope +- bend``."""
    bend_bar: Floats

    @property
    def count(self) -> int:
        """How many windows."""
        return self.t.size


def windows_of(t: Floats, above: Floats, below: Floats, value: float, grain: float) -> Windows:
    """Fit every window of an entry or a line.

    Parameters
    ----------
    t : ndarray, shape (m,)
        Steps really taken, decreasing.
    above, below : ndarray, shape (m,)
        f at x + t and x - t; not finite where f is not.
    value : float
        f at x.
    grain : float
        The unit of which all values of f are multiples.

    Examples
    --------
    >>> t = 2.0 ** -np.arange(2.0, 12.0)
    >>> found = windows_of(t, np.sin(t), np.sin(-t), 0.0, 1e-16)
    >>> bool(np.all(np.abs(found.slope - 1) <= found.bar)), round(float(found.slope[-1]), 9)
    (True, 1.0)
    """
    with np.errstate(invalid="ignore", over="ignore"):
        odd, even = (above - below) / 2, (above - value) / 2 + (below - value) / 2
    each = np.lib.stride_tricks.sliding_window_view
    steps = each(t, PAIRS)
    widest = steps[:, 0]
    u = steps / widest[:, None]
    slope, bar, residual = _fitted(each(odd, PAIRS), u, (1, 3), grain)
    bend, bend_bar, _ = _fitted(each(even, PAIRS), u, (1, 2), grain)
    resolved = np.isfinite(slope)
    for side in (above, below):
        rows = np.sort(np.insert(each(side, PAIRS), 0, value, axis=1), axis=1)
        resolved &= 1 + np.count_nonzero(np.diff(rows, axis=1), axis=1) >= DISTINCT
    return Windows(
        widest.copy(),
        slope / widest,
        np.where(resolved, bar / widest, np.inf),
        residual,
        resolved,
        bend / widest,
        np.where(resolved, bend_bar / widest, np.inf),
    )


def _fitted(
    values: Floats, u: Floats, powers: tuple[int, int], grain: float
) -> tuple[Floats, Floats, Floats]:
    """The coefficients of the first of two powers of u, their bars, and the rms residuals."""
    one, two = (u**p for p in powers)
    largest = np.abs(values).max(axis=1)
    exponent = np.frexp(np.where(np.isfinite(largest), largest, 1.0))[1]
    values = np.ldexp(values, -exponent[:, None])  # whose squares are floats
    s11, s12, s22 = (np.sum(a * b, axis=1) for a, b in ((one, one), (one, two), (two, two)))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        r1, r2 = np.sum(values * one, axis=1), np.sum(values * two, axis=1)
        det = s11 * s22 - s12 * s12
        first, second = (s22 * r1 - s12 * r2) / det, (s11 * r2 - s12 * r1) / det
        left = values - first[:, None] * one - second[:, None] * two
        residual = np.ldexp(np.sqrt(np.sum(left**2, axis=1) / (PAIRS - 2)), exponent)
        known = np.where(np.isfinite(residual), residual, 0.0)
        tail = max(
            known.size - MEMORY - 1, 0
        )  # the finest have none finer: what they leave is noise
        rough = np.array([known[min(k, tail) : k + MEMORY + 1].max() for k in range(known.size)])
        bar = STANDARD_ERRORS * np.maximum(rough, GRAIN_SDS * grain) * np.sqrt(s22 / det)
    return np.ldexp(first, exponent), bar, residual


def grain_of(values: Floats) -> float:
    """The unit of which all values are multiples, at least one unit in the last place.

    That of float32 where all of them are, a power of ten where they are given to so many decimals.

    Examples
    --------
    >>> grain_of(np.array([0.25, 1.37, -2.0, 0.01, 0.02]))
    0.01
    >>> grain_of(np.float64(np.float32([0.1, 0.2, 0.3, 0.7, 0.9]))) == 2.0**-24
    True
    >>> grain_of(np.array([-23999.98])), grain_of(np.array([12.5])) < 1e-14
    (0.01, True)
    """
    values = np.unique(values[np.isfinite(values)])
    if values.size == 0:
        return 0.0
    largest = float(np.abs(values).max())
    ulp, few = float(np.spacing(largest)), values.size < FEWEST_VALUES
    with np.errstate(over="ignore"):
        if not few and np.all(values.astype(np.float32) == values):
            return float(np.spacing(np.float32(largest)))
    units = TENTHS[TEXT_ULPS * ulp * 2 < TENTHS]
    tens, each = TENS[: units.size], values[:, None]
    ends = np.all(np.abs(each - np.rint(each * tens) / tens) <= TEXT_ULPS * ulp, axis=0)
    if not ends.any():
        return ulp
    unit = float(units[ends.argmax()])
    return unit if not few or largest >= LONG * unit else ulp
