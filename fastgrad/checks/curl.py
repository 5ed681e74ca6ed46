"""The curl test: is the gradient under test the gradient of any function at all?

The derivative of a gradient is symmetric: ``u . (H v) = v . (H u)`` for any u and v, with
``H v = (a(x + h v) - a(x - h v)) / (2 h)``. Four calls of the gradient, none of the loss. A wrong
gradient that passes belongs to another loss; one that fails belongs to none, so its code is broken.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.numerics.bars import ROUNDING
from fastgrad.numerics.norms import norm
from fastgrad.numerics.stencils import CENTRAL

CURL_CALLS = 4
"""Calls of the gradient that it takes."""
STEP = CENTRAL[2].step
"""A step in units of the entries: near eps^(1/3), as for central differences of a loss."""
SMOOTH = 4.0
"""The bar, over what second differences of the gradient show: truncation, and kinks crossed."""
HARMLESS_ASYMMETRY = 1e-7
"""An asymmetry that is never held against a gradient; broken ones showed 3.7e-3 and more."""
STEEP = 100.0
"""A slope of an entry beyond so many of the largest entry is a kink at theta itself (a weight of
exactly 0 under L1) if it also makes jumps of one size in both directions, to within `ALIKE`."""
ALIKE = 0.05
SLIGHT = 4.0
"""An asymmetry up to so many times the relative error is of its size."""
SMALL_ERROR = 0.03
"""An error that may be an approximation."""
USEFUL = 0.3
"""A bar beyond this part of ``|H u| + |H v|`` could not show what broken gradients show."""


@dataclass(frozen=True)
class Curl:
    """``value`` is ``|u.Hv - v.Hu| / (|Hu| + |Hv|)``, ``bar`` how large it may be without meaning.

    ``conservative`` is False only where the gradient is shown to belong to no function.
    """

    value: float
    bar: float
    conservative: bool
    sentence: str

    def beside(self, relative_error: float) -> str:
        """The sentence, unless the asymmetry is no larger than the error of the gradient itself.

        Gradients that are approximate by design, or of solvers that stop early, are asymmetric by
        about what they are off.
        """
        if self.conservative or not self.value <= SLIGHT * relative_error < SMALL_ERROR:
            return self.sentence
        return (
            f"The gradient under test is nearly a gradient (its derivative is asymmetric by "
            f"{self.value:.1e}, it is off by {2 * relative_error:.1e}): an approximation by design, or "
            "what a solver leaves that stops at a tolerance; one cause, and no mistake in a formula."
        )


def curl(
    gradient: Callable[[Floats], Floats],
    theta: Floats,
    seed: int,
    here: Floats | None = None,
    steps: Floats | None = None,
) -> Curl:
    """Compare both mixed second derivatives along two random directions.

    Parameters
    ----------
    gradient : callable
        The gradient under test, flat: shape (n,) -> shape (n,).
    theta : ndarray, shape (n,)
        Where to look; left as it is.
    seed : int
        Of the directions.
    here : ndarray, shape (n,), optional
        The gradient at theta, if it is known: then a kink that both directions cross is seen too.
    steps : ndarray, shape (n,), optional
        How far each entry moves, 0 for constants; `STEP` if not given.

    Examples
    --------
    >>> curl(lambda x: 2 * x, np.ones(3), seed=0).conservative
    True
    >>> curl(lambda x: x[::-1] * np.arange(3.0), np.ones(3), seed=0).conservative
    False
    """
    rng = np.random.default_rng([seed, theta.size])
    u, v = rng.uniform(0.5, 1.5, (2, theta.size)) * rng.choice([-1.0, 1.0], (2, theta.size))
    unit = np.ones(theta.size) if steps is None else steps / STEP
    scale = np.where(unit > 0, unit, 1.0)  # constants stay where they are
    points = [theta + sign * STEP * unit * w for w in (u, v) for sign in (1.0, -1.0)]
    u, v = ((points[k] - points[k + 1]) / (2 * STEP * scale) for k in (0, 2))  # as really taken
    calls = [gradient(point) for point in points]
    up, down, right, left = (np.array(a, np.float64).reshape(-1) * unit for a in calls)
    here = None if here is None else here * unit
    if not all(np.isfinite(a).all() for a in (up, down, right, left)):
        return Curl(
            np.nan, np.inf, True, "The curl of the gradient cannot be told: it is not finite."
        )
    Hu, Hv = (up - down) / (2 * STEP), (right - left) / (2 * STEP)
    size = norm(Hu) + norm(Hv)
    difference = abs(float(u @ Hv - v @ Hu))
    # A kink crossed on one side, and truncation, show in second differences of the gradient.
    bend_u = (up + down - (right + left if here is None else 2 * here)) / (2 * STEP)
    bend_v = (right + left - (up + down if here is None else 2 * here)) / (2 * STEP)
    at_kinks = _kinks(Hu, Hv, max(float(np.abs(a).max()) for a in (up, down, right, left)))
    rounding = ROUNDING * norm(np.abs(up) + np.abs(right)) / STEP
    bar = rounding + SMOOTH * (abs(float(u @ bend_v)) + abs(float(v @ bend_u)))
    bar += float(np.sum((np.abs(u * Hv) + np.abs(v * Hu))[at_kinks]))
    if size == 0 or theta.size < 2:
        return Curl(
            0.0, HARMLESS_ASYMMETRY, True, "The curl of the gradient is zero: its derivative is."
        )
    value, bar = difference / size, max(bar / size, HARMLESS_ASYMMETRY)
    return Curl(value, bar, value <= bar, _sentence(value, bar))


def _kinks(Hu: Floats, Hv: Floats, largest: float) -> Mask:
    """Entries that jump at theta itself."""
    steep = np.minimum(np.abs(Hu), np.abs(Hv)) > STEEP * largest
    alike = np.abs(np.abs(Hu) - np.abs(Hv)) <= ALIKE * np.abs(Hu)
    return np.asarray(steep & alike)


def _sentence(value: float, bar: float) -> str:
    if value > bar:
        return (
            f"The gradient under test is the gradient of no function (its derivative is asymmetric "
            f"by {value:.1e}, beyond {bar:.0e}): the code is broken, it is not merely the gradient "
            "of a different loss."
        )
    if bar > USEFUL:
        return "Whether the gradient under test is the gradient of any function cannot be told."
    return (
        f"The gradient under test seems to be the gradient of some function (its derivative is "
        f"symmetric within {bar:.0e}): perhaps of a different loss, with another constant, penalty "
        "or data."
    )
