"""Tables of differences: what noise leaves in evenly spaced values of f.

Moré and Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011) 1292-1314. With
evenly spaced values the k-th differences of a smooth f vanish like spacing^k, those of independent
noise of sd sigma do not: ``sigma_k^2 = gamma_k / (m + 1 - k) sum_i T_ik^2``, with
``gamma_k = (k!)^2 / (2k)!``, settles on sigma^2.
"""

from math import comb, hypot, sqrt

import numpy as np

from fastgrad.arrays import Floats

PLATEAU = 4.0
"""sigma_k, sigma_{k+1}, sigma_{k+2} within this factor are one noise level (Moré and Wild, 4.2)."""


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
    table = values.tolist()  # of seven numbers, which NumPy takes ten times as long for
    for k in range(1, len(table)):
        table = [table[i + 1] - table[i] for i in range(len(table) - 1)]
        sigma.append(hypot(*table) / sqrt(len(table) * comb(2 * k, k)))
        signs_change.append(min(table) < 0 < max(table))
    for k in range(len(sigma) - 2):
        window = sigma[k : k + 3]
        if signs_change[k] and 0 < max(window) <= PLATEAU * min(window):
            return sigma[k]
    return None


def table_noises(values: Floats) -> Floats:
    """`table_noise` of many functions at once, shape (p,), for values of shape (m + 1, p).

    NaN where the table does not tell.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values = 1.0 + 1e-9 * rng.standard_normal((7, 2)) * np.array([1.0, 0.0])
    >>> sigma = table_noises(values)
    >>> bool(0.3e-9 < sigma[0] < 3e-9), bool(np.isnan(sigma[1]))
    (True, True)
    """
    sigma, changes = [], []
    table = values
    for k in range(1, values.shape[0]):
        table = np.diff(table, axis=0)
        sigma.append(np.sqrt(np.mean(table**2, axis=0) / comb(2 * k, k)))
        changes.append((table.min(axis=0) < 0) & (table.max(axis=0) > 0))
    found = np.full(values.shape[1], np.nan)
    for k in reversed(range(len(sigma) - 2)):
        window = np.array(sigma[k : k + 3])
        largest = window.max(axis=0)
        told = changes[k] & (largest > 0) & (largest <= PLATEAU * window.min(axis=0))
        found[told] = sigma[k][told]
    return found
