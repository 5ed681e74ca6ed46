"""Rearrangements: the right values in the wrong places."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.diagnose.case import MATRIX_AXES, Case
from fastgrad.checks.diagnose.evidence import Evidence

ROLLS = (1, -1)
"""Off by one either way; other shifts are found by `fastgrad.checks.diagnose.fingerprint`."""

PAIR = 2


@dataclass(frozen=True)
class Rearranged:
    """The analytic gradient as the samples would read it if it were ``phrase``.

    ``values`` stands at the samples' positions, and ``theta`` is theta moved along with it;
    ``phrase`` follows "the analytic gradient".
    """

    word: str
    phrase: str
    values: Floats
    theta: Floats


def rearrangements(case: Case) -> Iterator[Rearranged]:
    """The gradient as it is, and moved as makes sense for the block's shape, and blocks of its size."""
    yield identity(case)
    if not case.shape:
        return
    is_matrix = len(case.shape) >= MATRIX_AXES
    if is_matrix:
        yield from _transposed(case)
        yield from _memory_order(case)
    yield from _reversed(case)
    yield from _rolled(case)
    if is_matrix:
        yield from _exchanged(case)
    for other in case.others:
        yield from _other_block(case, other)


def identity(case: Case) -> Rearranged:
    """The analytic gradient as it is."""
    return Rearranged("", "", case.a, case.x)


def _transposed(case: Case) -> Iterator[Rearranged]:
    for p, q in combinations(range(len(case.shape)), 2):
        if case.shape[p] == case.shape[q] > 1:
            index = list(case.index)
            index[p], index[q] = index[q], index[p]
            axes = "" if len(case.shape) == MATRIX_AXES else f" (axes {p} and {q} swapped)"
            yield _moved(case, "transposed", f", transposed{axes},", _flat(case, index))


def _memory_order(case: Case) -> Iterator[Rearranged]:
    phrase = ", its memory read in the other order (reshaped in {} order),"
    fortran = np.ravel_multi_index(case.index, case.shape, order="F")
    yield _moved(case, "memory-order", phrase.format("Fortran"), fortran)
    index = np.unravel_index(case.positions, case.shape, order="F")
    yield _moved(case, "memory-order", phrase.format("C"), _flat(case, index))


def _reversed(case: Case) -> Iterator[Rearranged]:
    n = len(case.shape)
    flips = [*combinations(range(n), 1), *combinations(range(n), 2), tuple(range(n))]
    for axes in dict.fromkeys(flips):
        index = [
            case.shape[d] - 1 - axis if d in axes else axis for d, axis in enumerate(case.index)
        ]
        along = "" if n == 1 else f" along {_axes_words(axes, n)}"
        yield _moved(case, "reversed", f", reversed{along},", _flat(case, index))


def _rolled(case: Case) -> Iterator[Rearranged]:
    for d, length in enumerate(case.shape):
        for shift in ROLLS:
            index = list(case.index)
            index[d] = (index[d] + shift) % length
            along = "" if len(case.shape) == 1 else f" along {_axes_words((d,), len(case.shape))}"
            yield _moved(case, "rolled", f", rolled by {-shift}{along},", _flat(case, index))
    if len(case.shape) >= MATRIX_AXES:
        for shift in ROLLS:
            source = (case.positions + shift) % case.analytic.size
            phrase = f", rolled by {-shift} in memory,"
            yield _moved(case, "rolled", phrase, source)


def _exchanged(case: Case) -> Iterator[Rearranged]:
    """The two lines of an axis that are wrong, each in the other's place."""
    for d in range(len(case.shape)):
        lines = np.unique(case.index[d][case.wrong])
        if lines.size != PAIR or case.shape[d] == PAIR:
            continue
        i, j = (int(line) for line in lines)
        index = list(case.index)
        index[d] = np.where(index[d] == i, j, np.where(index[d] == j, i, index[d]))
        kind = ("rows", "columns")[d] if len(case.shape) == MATRIX_AXES else f"indices of axis {d},"
        yield _moved(case, "permuted", f", {kind} {i} and {j} exchanged,", _flat(case, index))


def _other_block(case: Case, other: Evidence) -> Iterator[Rearranged]:
    if other.analytic.size != case.analytic.size:
        return
    phrase = f" that was returned for {other.name}"
    at = case.positions
    yield Rearranged("swapped", phrase, other.analytic[at], other.theta[at])
    if other.shape == case.shape[::-1] and len(case.shape) == MATRIX_AXES:
        at = np.ravel_multi_index(case.index[::-1], other.shape)
        phrase += ", transposed,"
        yield Rearranged("swapped", phrase, other.analytic[at], other.theta[at])


def _moved(case: Case, word: str, phrase: str, source: Indices) -> Rearranged:
    return Rearranged(word, phrase, case.analytic[source], case.theta[source])


def _flat(case: Case, index: list[Indices] | tuple[Indices, ...]) -> Indices:
    return np.ravel_multi_index(tuple(index), case.shape)


def _axes_words(axes: tuple[int, ...], n: int) -> str:
    """Which index runs differently: in two dimensions, row by row or column by column."""
    if n == 2:
        return ("its rows", "its columns")[axes[0]] if len(axes) == 1 else "rows and columns"
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
