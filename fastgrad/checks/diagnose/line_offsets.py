"""A constant too much in every row or column: a mean that was not taken off, a sum for a mean."""

from itertools import combinations

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.diagnose.evidence import MATRIX_AXES, SHOWS, Case, Finding
from fastgrad.numerics.bars import NOISE_SDS

LINES = 2
SAMPLES = 3
"""Samples wanted in every line."""
SIDE = 3
"""Rows and columns wanted where both have constants of their own."""


def by_line_offsets(case: Case) -> Finding | None:
    """a - D is the same throughout a line, and not the same in all of them."""
    n = len(case.shape)
    if n < MATRIX_AXES:
        return None
    r, bar = case.a - case.D, case.bar + case.unit * np.abs(case.a)
    for kept in (1, n - 1) if n > MATRIX_AXES else (1,):
        for axes in combinations(range(n), kept):
            h = _constants(case, r, bar, axes)
            if h is None:
                continue
            line = _line_words(axes, n)
            clause = (
                f"the analytic gradient is the numerical one plus a constant in every {line}, "
                f"from {h.min():.4g} to {h.max():.4g}"
            )
            return Finding(("line-offset",), {"axis": float(axes[0])}, clause)
    return _both(case, r, bar)


def _line_words(axes: tuple[int, ...], n: int) -> str:
    if n == MATRIX_AXES:
        return ("row", "column")[axes[0]]
    if len(axes) == 1:
        return f"index of axis {axes[0]}"
    (along,) = set(range(n)) - set(axes)
    return f"line along axis {along}"


def _constants(case: Case, r: Floats, bar: Floats, axes: tuple[int, ...]) -> Floats | None:
    """The constants of the lines in which these axes are fixed; None if they do not explain r."""
    which = _numbers(case, axes)
    count = int(which.max()) + 1
    weights = 1 / bar**2
    total = np.bincount(which, weights, count)
    mean = np.bincount(which, weights * r, count) / total
    spread = 1 / np.sqrt(total)
    members = np.bincount(which, minlength=count)
    shows = np.abs(mean) > SHOWS * spread * NOISE_SDS
    if count < LINES or members.min() < SAMPLES or np.count_nonzero(shows) < LINES:
        return None
    if np.any(np.abs(r - mean[which]) > bar + spread[which]) or np.ptp(mean) <= SHOWS * bar.max():
        return None
    return np.asarray(mean)


def _numbers(case: Case, axes: tuple[int, ...]) -> Indices:
    """The number of each sample's line."""
    fixed = tuple(case.index[d] for d in axes)
    flat = np.ravel_multi_index(fixed, tuple(case.shape[d] for d in axes))
    return np.unique(flat, return_inverse=True)[1]


def _both(case: Case, r: Floats, bar: Floats) -> Finding | None:
    """A constant for each row and one for each column: gradients of couplings with fixed marginals."""
    if len(case.shape) != MATRIX_AXES or not case.complete or min(case.shape) < SIDE:
        return None
    R = r.reshape(case.shape)
    left = R - R.mean(axis=0) - R.mean(axis=1, keepdims=True) + R.mean()
    if np.any(np.abs(left) > 4 * bar.max()) or np.count_nonzero(case.wrong) < case.k / 2:
        return None
    clause = (
        "the analytic gradient is off by a constant for each row and one for each column: right "
        "under fixed sums of rows and columns"
    )
    return Finding(("marginal-offset",), {}, clause)
