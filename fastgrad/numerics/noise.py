"""How noisy is one evaluation of f? Its values along a line, until what is seen is noise."""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.numerics.noise_tables import table_noise
from fastgrad.numerics.norms import norm
from fastgrad.numerics.steps import power_of_two

POINTS = np.arange(1.0, 7.0)
"""Places where f is taken, in spacings: m + 1 = 6 values, all on one side. A kink in x itself, such
as the L1 term at a zero, would pass for noise."""

FIRST_SPACING = 2.0**-30
SPACING_FACTOR = 2.0**7
"""Powers of two, so that the points are exact and what is measured is the noise of f alone."""
LARGEST_SPACING = 2.0**-6
ATTEMPTS = 12

UNSURPRISING = 2.0**12
"""Noise up to so many times what is known already needs no second look: models with exponentials in
them are noisy by 10 to 4,000 roundings of their value, single precision and aliasing by 1e7 and more."""
RUNG = 2.0**4
"""Between the offsets at which f is looked at to see how far it is straight."""
STRAIGHT = 0.3
"""Two secants that differ by less than this part are of one straight stretch: noise changes them by
`RUNG`, and so does f beyond its turns."""
UNSHAKEN = 8.0
"""Noise shows in the values of a straight stretch, unless it is so many times less than said."""
INSIDE = 8.0
"""The six points lie within a stretch so many times as long as their spacing."""
GOOD_PARTS = np.array([2.0**-6, 2.0**-3])
"""Offsets at which f shows what it does over a unit."""
SLIGHT = 2.0**10
"""Waves so many times smaller than that are noise, however smooth they are from near."""
SETTLED = 2.0
"""Noise that grows by less with the spacing has settled."""
FASTEST_GROWTH = 32.0
"""Noise of more and more rounded terms grows with the root of the spacing, by 11 in one
`SPACING_FACTOR`; where f has kinks, what they add grows with the spacing or faster, by 128 at least."""


def top_noise(values: Floats) -> float:
    """sd of the noise in evenly spaced values by their highest differences, of which noise is all.

    It is there where a table does not tell by chance, and is less sure: it takes three differences.

    Examples
    --------
    >>> top_noise(np.exp(1e-4 * np.arange(6.0))) < 1e-15
    True
    """
    last = np.concatenate(
        [np.diff(values, k) / np.sqrt(comb(2 * k, k)) for k in (values.size - 2, values.size - 1)]
    )
    return norm(last) / float(np.sqrt(last.size))


def _changes(values: Floats) -> bool:
    """Whether f is told apart at most of the points."""
    if not np.isfinite(values).all():
        return False
    return bool(np.count_nonzero(np.diff(values)) >= values.size // 2)


def ecnoise(
    sample: Callable[[Floats], Floats],
    spacing: float = FIRST_SPACING,
    widest: float = LARGEST_SPACING,
    attempts: int = ATTEMPTS,
    first: Floats | None = None,
) -> tuple[float | None, Floats, float]:
    """The noise of f along one line, and the last values taken.

    Parameters
    ----------
    sample : callable
        ``sample(offsets)``: f at these offsets along the line.
    spacing, widest : float
        The spacing tried first, and the widest; powers of two.
    attempts : int
        How many spacings are tried.
    first : ndarray, shape (6,), optional
        f at the first spacing, if it is known.

    Returns
    -------
    sigma : float or None
        None where no spacing tried shows noise: f is constant there, or exact.
    values : ndarray, shape (6,)
        f at the last spacing, for a look at their precision.
    spacing : float
        The last one.
    """
    too_narrow, too_wide = 0.0, np.inf
    values = np.zeros(POINTS.size)
    for _ in range(attempts):
        values, first = sample(spacing * POINTS) if first is None else first, None
        finite = np.isfinite(values).all()
        if not finite and not np.isfinite(sample(np.zeros(1))).all():
            break  # no spacing helps
        if finite and np.count_nonzero(values[1:] != values[:-1]) < POINTS.size // 2:
            too_narrow = spacing
        else:
            sigma = table_noise(values) if finite else None
            if sigma is not None:
                return sigma, values, spacing
            too_wide = spacing
        if np.isinf(too_wide):
            spacing *= SPACING_FACTOR
        elif too_narrow == 0.0:
            spacing /= SPACING_FACTOR
        else:
            spacing = float(power_of_two(np.sqrt(too_narrow * too_wide)))
        if spacing <= too_narrow or spacing > widest:
            break
    return None, values, spacing


@dataclass(frozen=True)
class Noise:
    """The noise of f along one line.

    Parameters
    ----------
    sigma : float or None
        None where no spacing tried shows any.
    values : ndarray, shape (6,)
        The last values taken.
    spacing : float
        Where it was found.
    """

    sigma: float | None
    values: Floats
    spacing: float


def settled_noise(
    sample: Callable[[Floats], Floats],
    first: Floats,
    known: float,
    finest: Callable[[], float],
    spacing: float = FIRST_SPACING,
    attempts: int = ATTEMPTS,
) -> Noise:
    """The noise of f along one line where it is noise.

    Noise much beyond what is known is looked at twice. Where f bends or turns within the points, as
    of a parameter far from zero, it is not noise: at small offsets f is straight without it, and there
    it is measured again, unless f does much more than that further off. Otherwise the spacing grows
    until noise does no more: at a small one few of the terms of f may change, if they are in single
    precision.

    Parameters
    ----------
    sample : callable
        As of `ecnoise`.
    first : ndarray, shape (6,)
        f at the first spacing.
    known : float
        sd of noise known to be in f, by its rounding or by other lines.
    finest : callable
        ``finest()``: the smallest offset that all points of the line can tell apart.
    spacing, attempts
        As of `ecnoise`.
    """
    sigma, values, spacing = ecnoise(sample, spacing, attempts=attempts, first=first)
    if sigma is None and attempts == 1 and _changes(values):
        sigma = top_noise(values)
        if not sigma <= UNSURPRISING * known:
            sigma, values, spacing = ecnoise(sample, spacing)
    if sigma is None or sigma <= UNSURPRISING * known:
        return Noise(sigma, values, spacing)
    smallest = finest()
    stretch = straight_stretch(sample, (smallest, spacing), sigma)
    if stretch is None or _is_slight(sample, sigma):
        return _widened(sample, sigma, spacing, values)
    while stretch is not None:
        before = sigma
        sigma, values, spacing = ecnoise(sample, stretch / INSIDE, stretch)
        if sigma is None or not UNSURPRISING * known < sigma < before / UNSHAKEN:
            break
        stretch = straight_stretch(sample, (smallest, spacing), sigma)
    return Noise(sigma, values, spacing)


def _widened(
    sample: Callable[[Floats], Floats], sigma: float, spacing: float, values: Floats
) -> Noise:
    """The largest noise at growing spacings, until it settles or f is seen to be smooth, or rough."""
    found = spacing
    while spacing * SPACING_FACTOR <= LARGEST_SPACING:
        spacing *= SPACING_FACTOR
        wider = sample(spacing * POINTS)
        again = table_noise(wider) if np.isfinite(wider).all() else None
        if again is not None and again > FASTEST_GROWTH * sigma:
            return Noise(sigma, values, found)
        if again is None or again <= SETTLED * sigma:
            return Noise(max(sigma, again or 0.0), values, found)
        sigma, values = again, wider
    return Noise(sigma, values, found)


def _is_slight(sample: Callable[[Floats], Floats], sigma: float) -> bool:
    """Whether f does much more over a good part of a unit than the supposed noise is.

    What turns on the scale of the points is then noise on top of f; where it is all that f does, f is
    the wave itself.
    """
    values = sample(np.append(0.0, GOOD_PARTS))
    with np.errstate(invalid="ignore"):
        change = np.abs(values[1:] - values[0])
    return bool(np.max(change, where=np.isfinite(change), initial=0.0) > SLIGHT * sigma)


def straight_stretch(
    sample: Callable[[Floats], Floats], offsets: tuple[float, float], sigma: float
) -> float | None:
    """How far f is straight along a line, climbing from small offsets, and without such a noise.

    Parameters
    ----------
    offsets : (float, float)
        The finest and the widest offset looked at, powers of two.
    sigma : float
        sd of the supposed noise.

    Returns
    -------
    stretch : float or None
        Less than the widest offset by `RUNG` squared at least; None where f is not straight at
        small offsets, or as noisy as supposed.

    Examples
    --------
    >>> straight_stretch(lambda t: np.sin(1e9 * t), (2.0**-50, 2.0**-20), sigma=0.5) * 2**32
    1.0
    >>> noise = np.random.default_rng(0).standard_normal
    >>> straight_stretch(lambda t: t + 1e-9 * noise(t.size), (2.0**-50, 2.0**-30), sigma=1e-9)
    """
    finest, widest = offsets
    rungs = int(np.log2(widest / finest) / np.log2(RUNG)) + 1
    if rungs < 3:
        return None
    at = widest * RUNG ** np.arange(1.0 - rungs, 1.0)
    values = sample(np.append(0.0, at))
    with np.errstate(invalid="ignore"):
        secants = (values[1:] - values[0]) / at
        alike = np.abs(np.diff(secants)) <= STRAIGHT * np.abs(secants[1:])
    alike &= secants[1:] != 0
    if not alike[:-1].any():
        return None
    first = int(alike[:-1].argmax())
    bends = np.flatnonzero(~alike[first:])
    last = min(first + int(bends[0]) if bends.size else rungs - 1, rungs - 3)
    if last < first:
        return None
    off = np.abs(secants[first : last + 1] - secants[last]) * at[first : last + 1]
    return float(at[last]) if UNSHAKEN * off.max() < sigma else None
