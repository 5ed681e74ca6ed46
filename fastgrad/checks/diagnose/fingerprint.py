"""Fingerprints: where in the gradient under test does each numerical value stand?

A value with eight digits is found by chance nowhere else, so a permutation, a shifted packing or
two exchanged entries show without being guessed.
"""

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.diagnose.case import MATRIX_AXES, SHOWS, Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.named_constants import coefficient

MATCHES = 4
"""Entries wanted whose value stands elsewhere."""
CLEAR = 100.0
"""A match counts if no other value is within so many bars."""
SURE_OF_ONE = 1e-7
"""A single value that stands elsewhere is no chance where it is known this well."""
FIRST = 4
"""Samples looked for one by one before the pool is sorted."""
LISTED = 3


def fingerprint(case: Case) -> Finding | None:
    """Look every difference up in the block, then in the whole gradient."""
    if case.unit > 1e-9 or not np.isfinite(case.analytic).all():
        return None
    return _within(case) or _elsewhere(case) or _lost(case)


def _within(case: Case) -> Finding | None:
    source = look_up(case, case.analytic)
    if source is None:
        return _same_numbers(case)
    moved = source != case.positions
    shift = np.unique((source - case.positions)[source >= 0] % case.analytic.size)
    if shift.size == 1:
        by = int(shift[0])
        by = by if 2 * by <= case.analytic.size else by - case.analytic.size
        clause = f"the analytic gradient is the numerical one, rolled by {by} in memory"
        return Finding(("rolled",), {"shift": float(by)}, clause)
    pattern = _pattern(case, source)
    return Finding(
        ("permuted",),
        {"moved": float(np.count_nonzero(moved & (source >= 0)))},
        f"the right values stand in the wrong places{pattern}: {_examples(case, source, moved)}",
    )


def _same_numbers(case: Case) -> Finding | None:
    """Sorted, both are the same numbers: some stand several times, so that none has one place."""
    if not case.complete or np.count_nonzero(case.wrong) < MATCHES:
        return None
    a, D = np.argsort(case.a), np.argsort(case.D)
    slack = case.bar[D] + case.unit * np.abs(case.D[D])
    if np.any(np.abs(case.a[a] - case.D[D]) > slack) or np.unique(case.a).size < MATCHES:
        return None
    moved = int(np.count_nonzero(case.wrong))
    clause = (
        f"the right values stand in the wrong places ({moved:,} of them; sorted, both are the same "
        "numbers, some of them several times): tiled for repeated, or copied along another axis"
    )
    return Finding(("permuted",), {"moved": float(moved)}, clause)


def _lost(case: Case) -> Finding | None:
    """Right values in wrong places, where others fell off: a shift that fills in zeros, a wrong index.

    The other way round than above: every value that is wrong and not 0 is the difference of one other
    entry, and of that one alone.
    """
    shown = case.wrong & (np.abs(case.a) > SHOWS * case.bar)
    if not case.complete or not shown.any():
        return None
    a = case.a[shown]
    slack = case.bar.max() + case.unit * np.abs(a)
    if np.any(slack > SURE_OF_ONE * np.abs(a)):
        return None
    near = np.abs(a[:, None] - case.D) <= CLEAR * slack[:, None]
    source = near.argmax(axis=1)
    if np.any(near.sum(axis=1) != 1) or np.any(np.abs(a - case.D[source]) > slack):
        return None
    moved = np.flatnonzero(shown)
    round_ = all(coefficient(float(D), float(b), ()).named for D, b in zip(a, slack, strict=True))
    if np.unique(source).size < source.size or round_ or not case.wrong[source].any():
        return None
    lost = case.wrong & case.telling
    lost[source] = False
    listed = ", ".join(
        f"that of {case.entry(int(i))} in {case.entry(int(k))}"
        for i, k in zip(source[:LISTED], moved[:LISTED], strict=True)
    )
    shifts = np.unique(moved - source)
    by = f", shifted by {shifts[0]} in memory" if shifts.size == 1 and moved.size > 1 else ""
    gone = np.flatnonzero(lost)
    verb = "is" if gone.size == 1 else "are"
    names = ", ".join(case.entry(int(k)) for k in gone[:LISTED])
    fell = f"; {'that' if gone.size == 1 else 'those'} of {names} {verb} lost" if gone.size else ""
    clause = f"right values stand in the wrong places{by}: {listed}{fell}"
    return Finding(("permuted",), {"moved": float(moved.size)}, clause)


def _elsewhere(case: Case) -> Finding | None:
    """The law of values that stand elsewhere in the flat gradient: another order, or a wrong offset."""
    blocks = [other for other in case.others if np.isfinite(other.analytic).all()]
    pool = np.concatenate([other.analytic for other in blocks] + [case.analytic])
    source = look_up(case, pool)
    if source is None:
        return None
    names = [other.name for other in blocks] + [case.name]
    ends = np.cumsum([other.analytic.size for other in blocks] + [case.analytic.size])
    holders = np.unique(np.searchsorted(ends, source[source >= 0], side="right"))
    where = ", ".join(names[int(h)] for h in holders)
    clause = (
        f"its right values were returned in {where}: the gradient is packed in another order, or "
        "cut at other offsets, than theta"
    )
    return Finding(("misplaced",), {"blocks": float(holders.size)}, clause)


def look_up(case: Case, pool: Floats, matches: int = MATCHES) -> Indices | None:
    """Place in ``pool`` of every sample's difference, -1 for zeros; None unless all are found.

    Zeros tell nothing. Every other sample must have exactly one candidate within `CLEAR` bars, and
    `MATCHES` of them, at least, somewhere else than the block has them.
    """
    if not _worth_sorting(case, pool):
        return None
    order = np.argsort(pool)
    values = pool[order]
    telling = case.telling
    source = np.full(case.k, -1, np.intp)
    D, bar = case.D[telling], case.bar[telling] + case.unit * np.abs(case.D[telling])
    first = np.searchsorted(values, D - bar)
    last = np.searchsorted(values, D + bar, side="right")
    alone = np.searchsorted(values, D + CLEAR * bar) - np.searchsorted(values, D - CLEAR * bar) == 1
    if np.any(first == last) or np.count_nonzero(alone) < matches:
        return None
    source[telling] = order[np.minimum(first, values.size - 1)]
    # Where the entry's own value fits as well as another, nothing has moved.
    if pool.size == case.analytic.size:
        own = telling & (np.abs(case.a - case.D) <= case.bar)
        source[own] = case.positions[own]
    told = np.flatnonzero(telling)[alone]
    if np.count_nonzero(case.wrong[told]) < matches or np.unique(source[told]).size < told.size:
        return None
    return source


def _worth_sorting(case: Case, pool: Floats) -> bool:
    """Whether the first few samples are found in the pool: most often they are not."""
    first = np.flatnonzero(case.telling & case.wrong)[:FIRST]
    return all(
        np.abs(pool - case.D[k]).min() <= 2 * case.bar[k] + case.unit * abs(case.D[k])
        for k in first
    )


def _pattern(case: Case, source: Indices) -> str:
    """Whole rows or columns that moved."""
    known = source >= 0
    if len(case.shape) != MATRIX_AXES:
        return ""
    to = [axis[known] for axis in case.index]
    origin = np.unravel_index(source[known], case.shape)
    for axis, line in ((1, "columns"), (0, "rows")):
        if np.array_equal(to[1 - axis], origin[1 - axis]):
            pairs = {(int(t), int(o)) for t, o in zip(to[axis], origin[axis], strict=True)}
            if len(pairs) == len({t for t, _ in pairs}) < to[0].size:
                return f" (the {line} are permuted)"
    return ""


def _examples(case: Case, source: Indices, moved: Mask) -> str:
    listed = np.flatnonzero(moved & (source >= 0) & case.wrong)[:LISTED]
    return ", ".join(
        f"that of {case.entry(int(k))} in {_place(case, int(source[k]))}" for k in listed
    )


def _place(case: Case, position: int) -> str:
    at = ", ".join(str(int(i)) for i in np.unravel_index(position, case.shape))
    return f"{case.name}[{at}]"
