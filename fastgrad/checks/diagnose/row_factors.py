"""A factor for every row or column of its own."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose.case import MATRIX_AXES, SHOWS, Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.named_constants import beside_one
from fastgrad.numerics.bars import NOISE_SDS

SAMPLES = 3
"""Telling samples wanted in every row (or column)."""


def by_lines(case: Case) -> Finding | None:
    """D[i, j] = c[j] a[i, j], or with c[i]: the scale of inputs, or of units, was forgotten."""
    if len(case.shape) < MATRIX_AXES or np.count_nonzero(case.a) == 0:
        return None
    for axis in range(len(case.shape)):
        factors = _factors(case, axis)
        if factors is not None:
            matrix = len(case.shape) == MATRIX_AXES
            line = {0: "row", 1: "column"}[axis] if matrix else f"index of axis {axis}"
            low, high = float(np.min(1 / factors)), float(np.max(1 / factors))
            clause = (
                f"every {line} of the analytic gradient is the numerical one times a factor of its "
                f"own, from {beside_one(low)} to {beside_one(high)}"
            )
            return Finding(("line-scale",), {"axis": float(axis), "min": low, "max": high}, clause)
    return None


def _factors(case: Case, axis: int) -> Floats | None:
    lines, which = np.unique(case.index[axis], return_inverse=True)
    a, D = case.a / case.bar, case.D / case.bar
    squares = np.bincount(which, a**2, lines.size)
    telling = np.abs(case.a) > SHOWS * case.bar
    counts = np.bincount(which[telling], minlength=lines.size)
    dead = counts == 0
    if lines.size < 2 or np.any((counts < SAMPLES) & ~dead) or np.count_nonzero(~dead) < 2:
        return None
    products = np.bincount(which, a * D, lines.size)
    factors = np.divide(products, squares, out=np.ones(lines.size), where=~dead)
    spread = (
        NOISE_SDS * np.abs(case.a) / np.sqrt(np.where(dead, np.inf, squares))[which] / NOISE_SDS
    )
    fitted = factors[which] * case.a
    if np.any(np.abs(case.D - fitted) > case.bar + spread + case.unit * np.abs(fitted)):
        return None
    return None if np.any(factors == 0) else factors[~dead]
