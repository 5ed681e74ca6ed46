"""How far to step: the default rule, and the step that measured noise and curvature allow."""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats, Indices

LONGEST_STEP = 2.0**-12
"""An uncapped ReLU coordinate ran to 2^-9 of its scale and met kinks."""
LONGEST_STEP_ALONE = 2.0**-5
"""The same for a single parameter, which has nothing to meet."""
FINEST_STEP = 64
"""Smallest step, in units in the last place of the entry."""
FINEST = 2.0**-100
"""The smallest of all, for entries at zero."""


def power_of_two(x: Floats | float) -> Floats:
    """The largest power of two at most x."""
    _, exponent = np.frexp(x)
    return np.ldexp(1.0, exponent - 1)


def default_steps(x: Floats, step: float) -> Floats:
    """``h_i = step 2^floor(log2 max(|x_i|, 1))``, shape (m,).

    A power of two, so that x + h and x - h are exact or nearly: at |x| = 1e4 a decimal h costs an
    error of 1.6e-7, a power of two 9e-13.

    Parameters
    ----------
    x : ndarray, shape (m,)
    step : float
        The stencil's own step, at unit scale.

    Examples
    --------
    >>> default_steps(np.array([0.0, 3.0]), 2.0**-17) * 2**17
    array([1., 2.])
    """
    _, exponent = np.frexp(np.maximum(np.abs(x), 1.0))
    return np.ldexp(step, exponent - 1)


def finest_steps(x: Floats) -> Floats:
    """The smallest steps worth a difference, shape (m,)."""
    return np.maximum(FINEST_STEP * np.spacing(np.abs(x)), FINEST)


def steps_inside(
    sample: Callable[[Indices, Floats], Floats], steps: Floats, smallest: Floats
) -> tuple[Floats, Floats]:
    """Steps shortened by 8 until f is finite there, shape (m,), and f there, shape (m, k).

    Parameters
    ----------
    sample : callable
        ``sample(which, steps)``: f at ``steps``, shape (j,), from entries ``which``, shape (j, k).
    smallest : ndarray, shape (m,)
        Where it is not finite above this either, it stays so.
    """
    steps = steps.copy()
    values = sample(np.arange(steps.size), steps)
    while True:
        outside = ~np.isfinite(values).all(axis=1)
        which = np.flatnonzero(outside & (steps / 8 >= smallest))
        if which.size == 0:
            return steps, values
        steps[which] /= 8
        values[which] = sample(which, steps[which])


def largest_steps(units: Floats, sigma: float, value: float, alone: bool) -> Floats:
    """The cap of an adaptive step: far enough for the noise, not so far as to meet kinks, shape (m,).

    Parameters
    ----------
    units : ndarray, shape (m,)
        Powers of two, of the size of the entries.
    sigma, value : float
        sd of the noise of f, and f: a loss that is float32 inside needs about 2^-8.
    alone : bool
        Whether x is the only parameter.
    """
    for_noise = (sigma / max(abs(value), 1e-300)) ** (1 / 3) if sigma else 0.0
    most = (
        LONGEST_STEP_ALONE if alone else max(LONGEST_STEP, min(2.0 * for_noise, LONGEST_STEP_ALONE))
    )
    return units * float(power_of_two(most))
