"""Which terms depend on which entries: given, or found by probing; and its colouring.

Entries of one colour share no term, so one evaluation of the terms serves all of them (Curtis,
Powell and Reid, 1974). The colouring is scipy's greedy one, which its own sparse Jacobians and
`least_squares` rest on: 25 ms for 1e6 entries of two terms each. It is private to scipy by its
place, so it is checked where it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.parameters.layout import Layout

PROBES = (2.0**-4, -(2.0**-9), 2.0**-14)
"""Relative perturbations, each off a theta of its own: a term may be flat to one of them."""
AWAY = 2.0**-6
"""How far from theta the other probes start, relatively: a product with a zero is flat."""


class Pattern:
    """A sparsity pattern, terms x entries.

    Parameters
    ----------
    matrix : scipy.sparse matrix or array, shape (T, n)
        Only the places of its stored entries count.
    """

    def __init__(self, matrix: Any):
        from scipy import sparse

        if not sparse.issparse(matrix):
            matrix = np.asarray(matrix)
            if matrix.ndim != 2:
                raise TypeError(
                    'sparsity: expected a scipy.sparse pattern of terms x entries, or "detect"'
                )
        self.matrix = sparse.csc_matrix(matrix, copy=False).astype(np.float64)
        self.matrix.data = np.ones_like(self.matrix.data)
        self.matrix.sum_duplicates()

    @cached_property
    def colours(self) -> Indices:
        """Colour of each entry, from 0, shape (n,)."""
        from scipy import sparse
        from scipy.optimize._numdiff import group_columns

        n = self.matrix.shape[1]
        colours = np.asarray(group_columns(self.matrix, np.arange(n)), np.int64)
        of_entry = sparse.csr_matrix((np.ones(n), (np.arange(n), colours)))
        if (self.matrix @ of_entry).max() > 1:
            raise RuntimeError("scipy's colouring gave two entries of one term one colour")
        return colours

    def used(self, colours: Indices) -> Indices:
        """The colours that occur among some."""
        return np.flatnonzero(np.bincount(colours))

    def require_shape(self, terms: int, layout: Layout) -> None:
        """Raise ValueError unless the pattern is of that many terms and of theta's entries."""
        if self.matrix.shape != (terms, layout.size):
            raise ValueError(
                f"sparsity: expected a pattern of shape ({terms}, {layout.size}), terms x entries "
                f"of theta, got {self.matrix.shape}"
            )


def detect(terms: Callable[[Floats], Floats], theta: Floats) -> Pattern:
    """The pattern of terms, by perturbing entries and looking which terms change.

    Entries are bisected: at every level the halves of all groups are perturbed, those together
    whose parents share no term. For patterns local in the order of entries that takes a few
    evaluations a level (about 150 for a chain of 1e6), for others up to six an entry.
    """
    probes = _probes(terms, theta)
    n, count = theta.size, probes[0].before.size
    starts = np.array([0, n])
    rows, groups = np.arange(count), np.zeros(count, np.int64)
    while True:
        rows, groups = _changed(terms, probes, starts, rows, groups)
        if starts.size == n + 1:
            break
        starts, rows, groups = _halved(starts, rows, groups)
    from scipy import sparse

    data = np.ones(rows.size)
    return Pattern(sparse.csc_matrix((data, (rows, groups)), shape=(count, n)))


@dataclass(frozen=True)
class _Probe:
    """A point, its terms, and how far each of its entries is moved to see which terms change."""

    point: Floats
    before: Floats
    move: Floats


def _probes(terms: Callable[[Floats], Floats], theta: Floats) -> list[_Probe]:
    points = [theta]
    rng = np.random.default_rng(0)
    scale = np.maximum(np.abs(theta), 1.0)
    points += [theta + AWAY * scale * rng.uniform(-1, 1, theta.size) for _ in PROBES[1:]]
    here = [terms(point) for point in points]
    # Every entry is moved its own way: perturbed alike, x - y would not change.
    moves = [size * scale * rng.uniform(0.5, 1.5, theta.size) for size in PROBES]
    return [_Probe(*parts) for parts in zip(points, here, moves, strict=True)]


def _halved(starts: Indices, rows: Indices, groups: Indices) -> tuple[Indices, Indices, Indices]:
    """Groups of entries cut in two, each half with its parent's terms."""
    sizes = np.diff(starts)
    middles = starts[:-1] + (sizes + 1) // 2
    following = np.sort(np.concatenate([starts, middles]))
    following = following[np.append(True, np.diff(following) > 0)]
    left = np.searchsorted(following, starts[groups])
    splits = sizes[groups] > 1
    return (
        following,
        np.concatenate([rows, rows[splits]]),
        np.concatenate([left, left[splits] + 1]),
    )


def _changed(
    terms: Callable[[Floats], Floats],
    probes: list[_Probe],
    starts: Indices,
    rows: Indices,
    groups: Indices,
) -> tuple[Indices, Indices]:
    """The pairs (term, group) that do depend, of those that may."""
    from scipy import sparse

    shape = (probes[0].before.size, starts.size - 1)
    candidates = Pattern(sparse.csc_matrix((np.ones(rows.size), (rows, groups)), shape=shape))
    colour_of_entry = np.repeat(candidates.colours, np.diff(starts))
    rows = candidates.matrix.indices.astype(np.int64)
    groups = np.repeat(np.arange(shape[1]), np.diff(candidates.matrix.indptr))
    depends = np.zeros(rows.size, np.bool_)
    for colour in range(int(candidates.colours.max()) + 1):
        inside = candidates.colours[groups] == colour
        moved = colour_of_entry == colour
        for probe in probes:
            after = terms(np.where(moved, probe.point + probe.move, probe.point))
            before = probe.before
            with np.errstate(invalid="ignore"):
                differs = ~((after == before) | (np.isnan(after) & np.isnan(before)))
            depends[inside] |= differs[rows[inside]]
    return rows[depends], groups[depends]
