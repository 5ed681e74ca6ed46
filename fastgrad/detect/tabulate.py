"""Judged entries -> the report's blocks, entries, counts and remarks."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.judged import Judged
from fastgrad.detect.preflight import Loss
from fastgrad.numerics.bars import Verdict
from fastgrad.params import Block, Floats, Layout
from fastgrad.results import BlockCheck, EntryCheck, GradientCheck

MOST_ENTRIES = 1000
CLOSEST = 10
"""Entries listed when all agree."""

SEVERITY = ("disagrees", "inconclusive", "agrees")
"""Verdicts of blocks, points and reports, worst first."""


def preliminary(
    layout: Layout, noise: float, rtol: float, seed: int, remarks: tuple[str, ...] = ()
) -> GradientCheck:
    """A report of nothing yet."""
    blocks = tuple(unchecked(block) for block in layout.blocks)
    return GradientCheck(
        verdict="inconclusive",
        strategy="screen",
        blocks=blocks,
        entries=(),
        diagnoses=(),
        relative_error=0.0,
        noise=noise,
        evaluations=0,
        seconds=0.0,
        seed=seed,
        rtol=rtol,
        size=layout.size,
        checked=0,
        counts={},
        remarks=remarks,
    )


def unchecked(block: Block) -> BlockCheck:
    """A block of which nothing is known."""
    return BlockCheck(
        block.name, block.shape, block.size, 0, "agrees", 0.0, 0.0, 0.0, "block", 0, ""
    )


def tabulate(
    judged: Judged, layout: Layout, facts: Loss, unit: Floats, rtol: float, seed: int
) -> GradientCheck:
    """The report of a sweep."""
    start = preliminary(layout, facts.noise, rtol, seed, tuple(_remarks(facts, judged, unit)))
    return replace(
        start,
        verdict=_overall(judged.verdict),
        strategy="sweep",
        blocks=tuple(_block(judged, layout, b) for b in range(len(layout.blocks))),
        relative_error=_relative_error(judged.analytic, judged.numeric),
        checked=judged.indices.size,
        **entries_of(judged, layout, rtol),
    )


def entries_of(judged: Judged, layout: Layout, rtol: float) -> dict[str, Any]:
    """The fields of a report that list and count single entries."""
    counts = {v.words: int(np.count_nonzero(judged.verdict == v)) for v in Verdict}
    return {
        "entries": tuple(_entry(judged, layout, int(k)) for k in _worst(judged, rtol)),
        "counts": {words: count for words, count in counts.items() if count},
    }


def worst_of(checks: list[GradientCheck]) -> GradientCheck:
    """Several points as one: the worst of them, over the evaluations and seconds of all."""
    worst = min(checks, key=lambda check: SEVERITY.index(check.verdict))
    return replace(
        worst,
        points=tuple(checks),
        evaluations=sum(check.evaluations for check in checks),
        seconds=sum(check.seconds for check in checks),
    )


def _overall(verdicts: NDArray[np.int8]) -> str:
    if np.any(verdicts == Verdict.DISAGREES):
        return "disagrees"
    right = (verdicts == Verdict.AGREES) | (verdicts == Verdict.KINK_VALID)
    return "agrees" if right.all() else "inconclusive"


def _relative_error(a: Floats, D: Floats) -> float:
    """``||a - D|| / (||a|| + ||D||)``; 0 where both are zero, infinite where a is not finite."""
    known = np.isfinite(D)
    a, D = a[known], D[known]
    if not np.isfinite(a).all():
        return float("inf")
    size = float(np.linalg.norm(a) + np.linalg.norm(D))
    return float(np.linalg.norm(a - D)) / size if size else 0.0


def _block(judged: Judged, layout: Layout, b: int) -> BlockCheck:
    block = layout.blocks[b]
    inside = np.flatnonzero(judged.block == b)
    if inside.size == 0:
        return unchecked(block)
    a, D, bar = judged.analytic[inside], judged.numeric[inside], judged.bar[inside]
    residual = np.where(np.isfinite(a), np.where(np.isfinite(D), np.abs(a - D), 0.0), np.inf)
    zero = bool(np.all(np.abs(D) <= bar))
    size = judged.overall if zero else float(judged.rms[b])
    widest = float(bar.max())
    verdicts = judged.verdict[inside]
    return BlockCheck(
        name=block.name,
        shape=block.shape,
        size=block.size,
        checked=inside.size,
        verdict=_overall(verdicts),
        relative_error=_relative_error(a, D),
        max_error=float(residual.max()),
        detection_limit=widest / size if size else (float("inf") if widest else 0.0),
        limit_of="all" if zero else "block",
        kinks=int(np.count_nonzero(verdicts >= Verdict.KINK_VALID)),
        worst=_name(block, judged, int(inside[residual.argmax()])),
    )


def _worst(judged: Judged, rtol: float) -> NDArray[np.intp]:
    """Entries that do not plainly agree, worst first; with none, the ten that came closest."""
    residual = np.abs(judged.analytic - judged.numeric)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = residual / (judged.bar + rtol * judged.scale)
    excess[np.isnan(excess)] = np.where(np.isfinite(judged.analytic), 0.0, np.inf)[np.isnan(excess)]
    chosen = np.flatnonzero(judged.verdict != Verdict.AGREES)
    most = MOST_ENTRIES
    if chosen.size == 0:
        chosen, most = np.arange(residual.size), CLOSEST
    disagrees = judged.verdict[chosen] == Verdict.DISAGREES
    return np.asarray(chosen[np.lexsort((-excess[chosen], ~disagrees))][:most])


def _entry(judged: Judged, layout: Layout, k: int) -> EntryCheck:
    position = int(judged.indices[k])
    block = layout.block_at(position)
    a = float(judged.analytic[k])
    note = judged.notes.get(k, "") if np.isfinite(a) else "the gradient is not finite"
    return EntryCheck(
        name=block.entry(position),
        block=block.name,
        index=block.index(position),
        analytic=a,
        numeric=float(judged.numeric[k]),
        error_bar=float(judged.bar[k]),
        step=float(judged.step[k]),
        verdict=Verdict(judged.verdict[k]).words,
        note=note,
    )


def _name(block: Block, judged: Judged, k: int) -> str:
    return block.entry(int(judged.indices[k]))


def _remarks(facts: Loss, judged: Judged, unit: Floats) -> list[str]:
    remarks = about_the_loss(facts)
    if unit.max() > np.finfo(np.float64).eps:
        remarks.append(
            "The gradient under test was handed over in single or half precision, and is judged "
            "with its own rounding."
        )
    bad = int(np.count_nonzero(~np.isfinite(judged.analytic)))
    if bad:
        remarks.append(f"The gradient under test is not finite in {bad:,} of its entries.")
    return remarks


def about_the_loss(facts: Loss) -> list[str]:
    """What preflight found worth saying."""
    remarks = []
    if facts.float32:
        remarks.append(
            "Every value of the loss is a float32: it is computed in single precision, and an "
            "accuracy of about 1e-3 is all that its differences can reach. Compute it in float64."
        )
    if facts.reordered:
        remarks.append("The loss differs between calls by rounding: that counts as its noise.")
    return remarks
