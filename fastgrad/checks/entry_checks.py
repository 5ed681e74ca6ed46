"""The entries of a report: those that are listed, their counts, the rtol that would do, their arrays."""

import math
from dataclasses import fields

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.rules import WORDS, Verdict
from fastgrad.findings import BAR, RTOL, EntryCheck
from fastgrad.parameters.layout import Layout
from fastgrad.report.arrays import BlockArrays, Kept, Place

MOST_ENTRIES = 1000
CLOSEST_ENTRIES = 10
"""Entries listed when all agree."""
LARGEST_RTOL = 1.0
"""At rtol = 1 a gradient of zeros agrees: no use in saying so."""


def entries_of(judged: Judged, layout: Layout, allowance: Floats) -> tuple[EntryCheck, ...]:
    """Entries that do not plainly agree, worst first; with none, those that came closest."""
    worst = _worst(judged, allowance)
    columns = judged.indices, judged.block, judged.analytic, judged.numeric, judged.bar
    rows = zip(
        worst.tolist(),
        *(column[worst].tolist() for column in (*columns, judged.differences.step)),
        WORDS[judged.verdict[worst]].tolist(),
        strict=True,
    )
    found = []
    for k, position, b, analytic, numeric, bar, step, words in rows:
        block, why = layout.blocks[b], judged.notes.get(k, "")
        note = why if math.isfinite(analytic) else "the gradient is not finite"
        name, index = block.entry(position), block.index(position)
        found.append(EntryCheck(name, block.name, index, analytic, numeric, bar, step, words, note))
    return tuple(found)


def _worst(judged: Judged, allowance: Floats) -> Indices:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        excess = judged.residual / allowance
    untold = np.isnan(excess)
    if untold.any():
        excess[untold] = np.where(np.isfinite(judged.analytic[untold]), 0.0, np.inf)
    chosen = np.flatnonzero(judged.verdict != Verdict.AGREES)
    most = MOST_ENTRIES
    if chosen.size == 0 and excess.size:
        most = min(CLOSEST_ENTRIES, excess.size)
        chosen = np.flatnonzero(excess >= np.partition(excess, excess.size - most)[-most])
    disagrees = judged.verdict[chosen] == Verdict.DISAGREES
    return np.asarray(chosen[np.lexsort((-excess[chosen], ~disagrees))][:most])


def agreements_of(judged: Judged) -> dict[str, int]:
    """How many of the entries that agree do so within their bars, and how many within rtol alone."""
    agrees = judged.verdict == Verdict.AGREES
    inside = agrees & (np.abs(judged.analytic - judged.numeric) <= judged.bar)
    counts = int(np.count_nonzero(inside)), int(np.count_nonzero(agrees & ~inside))
    return {words: count for words, count in zip((BAR, RTOL), counts, strict=True) if count}


def counts_of(judged: Judged) -> dict[str, int]:
    """How many entries got each verdict."""
    counts = np.bincount(judged.verdict, minlength=len(Verdict)).tolist()
    return {v.words: counts[v] for v in Verdict if counts[v]}


def smallest_rtol(judged: Judged) -> float | None:
    """The rtol at which all entries judged would agree; None where none below 1 would do."""
    if judged.indices.size == 0:
        return None
    error, bar, scale = judged.residual, judged.bar, judged.scales.entry
    if not judged.verdict.any() and (error <= bar).all():  # as of most right gradients
        return 0.0
    fine = (judged.verdict == Verdict.KINK_VALID) | (error <= bar)
    fine &= judged.verdict != Verdict.INCONCLUSIVE
    if (judged.verdict == Verdict.KINK_OUTSIDE).any():
        return None
    if fine.all():
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(fine, 0.0, (error + bar) / scale)
    largest = float(np.max(needed))
    return rounded_up(largest) if largest < LARGEST_RTOL else None


def rounded_up(number: float) -> float:
    """A number to two digits, not smaller than it is.

    Examples
    --------
    >>> rounded_up(4.01e-5), rounded_up(0.0)
    (4.1e-05, 0.0)
    """
    if number <= 0.0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(number)) - 1)
    return float(f"{np.ceil(number / unit * (1 - 1e-12)) * unit:.1e}")


def arrays_of(outcome: Outcome, layout: Layout, allowance: Floats) -> Kept | None:
    """The arrays and directions that the outcome rests on."""
    judged = outcome.judged
    if judged is None and not outcome.readings:
        return None
    places = {b.name: Place(b.shape, b.start, b.stop) for b in layout.blocks}
    if judged is None:
        nothing = {column.name: np.zeros(0) for column in fields(BlockArrays)}
        return Kept(places, np.zeros(0, np.intp), nothing, outcome.readings)
    columns = {
        "analytic": judged.analytic,
        "numeric": judged.numeric,
        "error_bar": judged.bar,
        "step": judged.differences.step,
        "allowance": allowance,
        "verdict": WORDS[judged.verdict],
    }
    return Kept(places, judged.indices, columns, outcome.readings)
