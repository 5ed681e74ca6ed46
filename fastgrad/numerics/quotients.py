"""Central differences with their noise: the one place where D and its bar are computed."""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.numerics.bars import noise_bar
from fastgrad.numerics.rounding import local_noise


@dataclass
class Quotients:
    """Central differences at some entries or along some lines; arrays of shape (m,)."""

    h: Floats
    above: Floats
    """f at x + h, or what it exceeds f at x by."""
    below: Floats
    """The same at x - h."""
    D: Floats
    """``(above - below) / ((x + h) - (x - h))``."""
    sigma: Floats
    """sd of the noise of one evaluation there."""
    bar: Floats
    """Noise bar of D, infinite where D is not finite."""

    @classmethod
    def central(
        cls, values: Floats, h: Floats, sigma: Floats | float, x: Floats | float = 0.0
    ) -> "Quotients":
        """Differences from f on both sides.

        Parameters
        ----------
        values : ndarray, shape (m, 2)
            f above and below.
        h : ndarray, shape (m,)
        sigma : float or ndarray, shape (m,)
            sd of the noise of one evaluation; never taken below the rounding of the values.
        x : float or ndarray, shape (m,)
            What h is added to; 0 where steps are exact, as along a line.

        Examples
        --------
        >>> q = Quotients.central(np.array([[1.5, 0.5]]), np.array([0.25]), 1e-3)
        >>> float(q.D[0]), round(float(q.bar[0]), 6)
        (2.0, 0.016971)
        """
        above, below = values.T
        with np.errstate(invalid="ignore", over="ignore"):
            D = (above - below) / ((x + h) - (x - h))
            D = np.where(np.isfinite(D), D, np.nan)  # an infinite one would lie within its bar
            sigma = local_noise(sigma, above, below)
            bar = np.where(np.isfinite(D), noise_bar(sigma, h), np.inf)
        return cls(h, above, below, D, sigma, bar)

    def take(self, which: Mask | Indices) -> "Quotients":
        """Those of some entries."""
        return Quotients(*(array[which] for array in vars(self).values()))

    def put(self, which: Mask, other: "Quotients") -> None:
        """Replace those of some entries."""
        for name, array in vars(self).items():
            array[which] = getattr(other, name)
