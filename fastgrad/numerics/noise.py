"""How noisy is one evaluation of f? The ECnoise difference table.

Moré and Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011) 1292-1314. With
evenly spaced values the k-th differences of a smooth f vanish like spacing^k, those of independent
noise of sd sigma do not: ``sigma_k^2 = gamma_k / (m + 1 - k) sum_i T_ik^2``, with
``gamma_k = (k!)^2 / (2k)!``, settles on sigma^2.
"""

from collections.abc import Callable
from math import comb

import numpy as np
from numpy.typing import NDArray

from fastgrad.numerics.steps import power_of_two

Floats = NDArray[np.float64]

POINTS = np.arange(1.0, 7.0)
"""Where f is taken, in spacings: m + 1 = 6 values, all on one side. A kink in x itself, such as the
L1 term at a zero, would pass for noise."""

PLATEAU = 4.0
"""sigma_k, sigma_{k+1}, sigma_{k+2} within this factor are one noise level (Moré and Wild, 4.2)."""

FIRST_SPACING = 2.0**-30
SPACING_FACTOR = 2.0**7
"""Powers of two, so that the points are exact and what is measured is the noise of f alone."""
LARGEST_SPACING = 2.0**-6
ATTEMPTS = 12


def rounding_noise(value: float | Floats) -> Floats:
    """sd of the rounding of a result alone, ``ulp / sqrt(12)``: no noise is below it."""
    return np.asarray(np.spacing(np.abs(value)) / np.sqrt(12.0))


def table_noise(values: Floats) -> float | None:
    """sd of the noise in evenly spaced values, shape (m + 1,); None where the table does not tell.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sigma = table_noise(1.0 + 1e-6 * np.arange(7) + 1e-9 * rng.standard_normal(7))
    >>> 0.3e-9 < sigma < 3e-9
    True
    """
    sigma = []
    signs_change = []
    table = values
    for k in range(1, values.size):
        table = np.diff(table)
        sigma.append(float(np.sqrt(np.mean(table**2) / comb(2 * k, k))))
        signs_change.append(bool(table.min() < 0 < table.max()))
    for k in range(len(sigma) - 2):
        window = sigma[k : k + 3]
        if signs_change[k] and 0 < max(window) <= PLATEAU * min(window):
            return sigma[k]
    return None


def ecnoise(sample: Callable[[Floats], Floats]) -> tuple[float | None, Floats]:
    """The noise of f along one line, and the last values taken.

    Parameters
    ----------
    sample : callable
        ``sample(offsets)``: f at these offsets along the line.

    Returns
    -------
    sigma : float or None
        None where no spacing shows noise: f is constant there, or exact.
    values : ndarray, shape (6,)
        f at the last spacing, for a look at their precision.
    """
    spacing = FIRST_SPACING
    too_narrow, too_wide = 0.0, np.inf
    values = np.zeros(POINTS.size)
    for _ in range(ATTEMPTS):
        values = sample(spacing * POINTS)
        finite = np.isfinite(values).all()
        if not finite and not np.isfinite(sample(np.zeros(1))).all():
            break  # no spacing helps
        if finite and np.count_nonzero(np.diff(values)) < POINTS.size // 2:
            too_narrow = spacing
        else:
            sigma = table_noise(values) if finite else None
            if sigma is not None:
                return sigma, values
            too_wide = spacing
        if np.isinf(too_wide):
            spacing *= SPACING_FACTOR
        elif too_narrow == 0.0:
            spacing /= SPACING_FACTOR
        else:
            spacing = float(power_of_two(np.sqrt(too_narrow * too_wide)))
        if spacing <= too_narrow or spacing > LARGEST_SPACING:
            break
    return None, values
