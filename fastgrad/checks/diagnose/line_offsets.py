"""What every row or column has too much of: a constant, a multiple of its softmax, or of itself.

A mean that was not taken off, a sum for a mean; the normaliser of a softmax; the two terms that layer
norm and its kin take off, of the mean and of the variance.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.diagnose.case import MATRIX_AXES, SHOWS, Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.numerics.bars import NOISE_SDS
from fastgrad.numerics.norms import size_of

LINES = 2
SAMPLES = 3
"""Samples wanted in every line."""
SAMPLES_OF_TWO = 4
"""Samples wanted in every line of which two constants are fitted, or of one line alone."""
CONDITION = 1e8
"""What a line has too much of cannot be told apart where its equations are worse conditioned."""
CANCELS = 1e4
"""A sum vanishes if its terms are so many times larger than its bar."""
SIDE = 3
"""Rows and columns wanted where both have constants of their own."""


def by_line_offsets(case: Case) -> Finding | None:
    """a - D is the same throughout a line, and not the same in all of them."""
    n = len(case.shape)
    r, bar = case.a - case.D, case.bar + case.unit * np.abs(case.a)
    for axes in lines_of(n):
        h = _constants(case, r, bar, axes)
        if h is None:
            continue
        clause = (
            f"the analytic gradient is the numerical one plus a constant in every "
            f"{line_words(axes, n)}, from {h.min():.4g} to {h.max():.4g}"
        )
        return Finding(("line-offset",), {"axis": float(axes[0])}, clause)
    return _both(case, r, bar)


def lines_of(n: int) -> Iterator[tuple[int, ...]]:
    """The axes in which the lines of an array of n axes are fixed: rows, columns, channels, ..."""
    for kept in (1, n - 1) if n > MATRIX_AXES else (1,):
        yield from combinations(range(n), kept)


def line_words(axes: tuple[int, ...], n: int) -> str:
    if n == MATRIX_AXES:
        return ("row", "column")[axes[0]]
    if len(axes) == 1:
        return f"index of axis {axes[0]}"
    (along,) = set(range(n)) - set(axes)
    return f"line along axis {along}"


def _constants(case: Case, r: Floats, bar: Floats, axes: tuple[int, ...]) -> Floats | None:
    """The constants of the lines in which these axes are fixed; None if they do not explain r."""
    which = line_numbers(case, axes)
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


def line_numbers(case: Case, axes: tuple[int, ...]) -> Indices:
    """The number of each sample's line; of a whole vector there is one."""
    if not axes:
        return np.zeros(case.k, np.intp)
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


def by_softmax(case: Case) -> Finding | None:
    """The part of the sum is missing of softmax(theta) in every line, or all but the diagonal.

    With p the softmax, D = u - p sum(u) of some u: without the sum a = D + p t, and of the diagonal
    alone a = (1 - p) u = (1 - p) (D + p t), each with a number t of every line.
    """
    n = len(case.shape)
    if case.k < SAMPLES_OF_TWO or n == 0:
        return None
    bar = case.bar + case.unit * np.abs(case.a)
    for axes in lines_of(n) if n >= MATRIX_AXES else ((),):
        p = _softmax(case, axes)
        lines = line_numbers(case, axes)
        where = f"every {line_words(axes, n)}" if axes else "it"
        constants = {"axis": float(axes[0])} if axes else {}
        if _explained(case.a - (1 - p) * case.D, (p * (1 - p),), bar, lines):
            clause = (
                f"the analytic gradient is that by softmax({case.name}) with the diagonal of its "
                f"Jacobian alone, p (1 - p): -p_i p_j is missing off the diagonal of {where}"
            )
            return Finding(("softmax-diagonal",), constants, clause)
        if axes and _explained(case.a - case.D, (p,), bar, lines):
            clause = (
                f"the analytic gradient is the numerical one plus a multiple of softmax({case.name}) "
                f"in {where}: the derivative of its normaliser is missing, or has another weight"
            )
            return Finding(("softmax-sum",), constants, clause)
    return None


def _softmax(case: Case, axes: tuple[int, ...]) -> Floats:
    """softmax(theta) along the lines in which these axes are fixed, at the samples."""
    along = tuple(d for d in range(len(case.shape)) if d not in axes)
    x = case.theta.reshape(case.shape)
    e = np.exp(x - x.max(axis=along, keepdims=True))
    return np.asarray((e / e.sum(axis=along, keepdims=True)).ravel()[case.positions])


def by_normalisation(case: Case) -> Finding | None:
    """The error in every line is a constant plus a multiple of theta, and D is free of shifts.

    That is what a normalisation takes off: the mean of what flows back, and its part along theta.
    """
    n = len(case.shape)
    if not case.complete:
        return None
    bar = case.bar + case.unit * np.abs(case.a)
    for axes in lines_of(n):
        lines = line_numbers(case, axes)
        count = np.bincount(lines)
        sums, bars, sizes = (
            np.bincount(lines, v) for v in (case.D, case.bar, np.abs(case.D) / CANCELS)
        )
        if np.any(np.abs(sums) > bars) or np.any(sizes <= bars):
            continue
        centred = case.x - (np.bincount(lines, case.x) / count)[lines]
        if not _explained(case.a - case.D, (np.ones(case.k), centred), bar, lines):
            continue
        clause = (
            f"the loss does not change when a {line_words(axes, n)} of {case.name} is shifted, and the "
            "error there is a constant plus a multiple of theta: of a normalisation (layer norm, batch "
            "norm) the terms of its mean and variance are missing, or taken over other axes"
        )
        return Finding(("normalisation",), {"axis": float(axes[0])}, clause)
    return None


def _explained(r: Floats, features: tuple[Floats, ...], bar: Floats, lines: Indices) -> bool:
    """Whether r is a sum of features with weights of each line's own, and shows the last of them."""
    members = np.bincount(lines)
    if members.min() < (SAMPLES_OF_TWO if len(features) > 1 or members.size == 1 else SAMPLES):
        return False
    sizes = [size_of(f) for f in features]
    if not all(sizes):
        return False
    F = np.array([f / size for f, size in zip(features, sizes, strict=True)])
    unit = float(bar.min())
    w = (unit / bar) ** 2
    G = np.array([[np.bincount(lines, w * f * g) for f in F] for g in F]).transpose(2, 0, 1)
    if np.any(np.linalg.cond(G) > CONDITION):
        return False
    inverse = np.linalg.inv(G)
    h = np.array([np.bincount(lines, w * f * r) for f in F]).T
    weights = np.einsum("lij,lj->li", inverse, h)
    spread = unit * np.sqrt(np.einsum("ik,kij,jk->k", F, inverse[lines], F))
    shown = np.abs(weights[lines, -1] * F[-1]) > SHOWS * NOISE_SDS * bar
    if np.count_nonzero(np.bincount(lines, shown)) < min(LINES, members.size):
        return False
    left = r - np.einsum("kj,jk->k", weights[lines], F)
    return bool(np.all(np.abs(left) <= bar + spread))
