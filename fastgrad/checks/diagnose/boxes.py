"""Ranges of a vector, and boxes over several axes, that are wrong where all else is right."""

import numpy as np

from fastgrad.arrays import Indices, Mask
from fastgrad.checks.diagnose.case import MATRIX_AXES, Case
from fastgrad.checks.diagnose.finding import Finding

RANGE = 3
"""So many indices in a row are said as a range."""
MEMBERS = 3
"""Entries wanted in a box."""
MEMBERS_OF_BLOCKS = 4
"""Wrong entries and right ones wanted where blocks on the diagonal are to tell them apart: by chance one
cut does so for eight entries once in 250 times."""
TILES = (128, 64, 32, 16, 8)
"""Sizes of the blocks that kernels work in."""

Ends = tuple[tuple[int, int], ...]
"""First and last + 1 of each axis."""


def is_range(numbers: Indices) -> bool:
    """Whether increasing numbers are `RANGE` or more in a row."""
    return bool(numbers.size >= RANGE and numbers[-1] - numbers[0] == numbers.size - 1)


def in_box(case: Case, outliers: Mask) -> tuple[str, Ends] | None:
    """The box that holds all outliers and nothing else that tells, as it is indexed, and its ends."""
    if not case.shape or np.count_nonzero(outliers) < MEMBERS:
        return None
    ends = tuple((int(i[outliers].min()), int(i[outliers].max()) + 1) for i in case.index)
    ends = tuple(_widened(case, outliers, d, end) for d, end in enumerate(ends))
    inside = np.ones(case.k, np.bool_)
    for i, (first, stop) in zip(case.index, ends, strict=True):
        inside &= (first <= i) & (i < stop)
    telling = outliers | case.telling
    whole = all(end == (0, size) for end, size in zip(ends, case.shape, strict=True))
    if whole or np.any(telling & inside & ~outliers) or not np.any(telling & ~outliers):
        return None
    cut = [end for end, size in zip(ends, case.shape, strict=True) if end != (0, size)]
    if max(stop - first for first, stop in cut) < RANGE and len(case.shape) < MATRIX_AXES:
        return None
    parts = [_slice(end, size) for end, size in zip(ends, case.shape, strict=True)]
    return f"{case.name}[{', '.join(parts)}]", ends


def _widened(case: Case, outliers: Mask, axis: int, end: tuple[int, int]) -> tuple[int, int]:
    """To the edge of the block where no sample that tells lies between."""
    index, size = case.index[axis], case.shape[axis]
    told = index[outliers | case.telling]
    first = 0 if not np.any(told < end[0]) else end[0]
    stop = size if not np.any(told >= end[1]) else end[1]
    return first, stop


def _slice(end: tuple[int, int], size: int) -> str:
    first, stop = end
    if stop - first == 1 and size > 1:
        return str(first)
    return f"{first or ''}:{stop if stop < size else ''}"


def said_of_box(case: Case, place: str, ends: Ends, cause: Finding | None) -> Finding:
    """What is wrong in the box, and that the rest is right."""
    cut = [d for d, end in enumerate(ends) if end != (0, case.shape[d])]
    where = {"start": float(ends[cut[-1]][0]), "stop": float(ends[cut[-1]][1])}
    tail = "".join(_tail(case, ends, d) for d in cut)
    if cause is None:
        flow = _flow(case, ends, cut)
        text = f"{place} is wrong, without a law, and all else is right{flow}{tail}"
        return Finding(("wrong-range",), where, text)
    what = "is zero" if cause.words == ("zero",) else f"there {cause.clause}"
    text = f"{place}: {what}; all else is right{tail}"
    return Finding(cause.words, where | cause.constants, text, 1 + cause.complexity)


def in_blocks(case: Case, outliers: Mask) -> tuple[int, bool] | None:
    """Into how many blocks the diagonal is cut, if these hold all outliers and nothing else that tells.

    With True; with False where all but these blocks is wrong.
    """
    if len(case.shape) != MATRIX_AXES:
        return None
    telling = outliers | case.telling
    wrong, (i, j) = outliers[telling], (index[telling] for index in case.index)
    if min(np.count_nonzero(wrong), np.count_nonzero(~wrong)) < MEMBERS_OF_BLOCKS:
        return None
    rows, columns = case.shape
    for count in range(2, min(rows, columns) + 1):
        if rows % count or columns % count:
            continue
        inside = i // (rows // count) == j // (columns // count)
        hit = np.unique(i[inside] // (rows // count)).size
        if hit < 2:
            continue
        if np.array_equal(wrong, inside):
            return count, True
        if np.array_equal(wrong, ~inside):
            return count, False
    return None


def said_of_blocks(case: Case, count: int, inside: bool, cause: Finding | None) -> Finding:
    """What is wrong in the blocks on the diagonal, or off them, and that the rest is right."""
    rows, columns = (size // count for size in case.shape)
    if max(rows, columns) == 1:
        place = f"{'on' if inside else 'off'} the diagonal"
    else:
        blocks = f"the {count} blocks of {rows} x {columns} on the diagonal"
        place = f"{'in' if inside else 'off'} {blocks}"
    constants = {"blocks": float(count)}
    if cause is None:
        text = f"{place} it is wrong, without a law; all else is right"
        return Finding(("wrong-blocks",), constants, text)
    what = "it is zero" if cause.words == ("zero",) else cause.clause
    text = f"{place} {what}; all else is right"
    return Finding(cause.words, constants | cause.constants, text, 1 + cause.complexity)


def _tail(case: Case, ends: Ends, axis: int) -> str:
    """Whether a range is what is left after the last whole tile."""
    first, stop = ends[axis]
    size = case.shape[axis]
    if stop != size or not first:
        return ""
    for tile in TILES:
        if first == size - size % tile and size % tile:
            left = (
                f"the last {size - first} of {size}" if size - first > 1 else f"the last of {size}"
            )
            return f" ({left}, after the last multiple of {tile}: the tail of a block)"
    return ""


def _flow(case: Case, ends: Ends, cut: list[int]) -> str:
    """What an error of all but the last index, or all but the first, usually is."""
    if len(cut) != 1 or len(case.shape) <= MATRIX_AXES:
        return ""
    (axis,) = cut
    if (
        axis == 0
    ):  # the samples of a batch, the points of a cloud: nothing flows from one to the next
        return ""
    first, stop = ends[axis]
    if (first, stop) in ((0, case.shape[axis] - 1), (1, case.shape[axis])):
        return f": what flows back over axis {axis} is missing, or wrong"
    return ""
