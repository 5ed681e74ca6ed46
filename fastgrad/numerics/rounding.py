"""The rounding of the values of f: the least noise there is."""

import numpy as np

from fastgrad.arrays import Floats


def rounding_noise(value: float | Floats) -> Floats:
    """sd of the rounding of a result alone, ``ulp / sqrt(12)``: no noise is below it."""
    return np.asarray(np.spacing(np.abs(value)) / np.sqrt(12.0))


def local_noise(sigma: Floats | float, *values: Floats) -> Floats:
    """sd of one evaluation of f near these values, shape (m,): never below their own rounding."""
    largest = np.abs(values[0])
    for other in values[1:]:
        largest = np.maximum(largest, np.abs(other))
    return np.maximum(sigma, rounding_noise(largest))
