"""An outcome and its diagnoses -> the report: blocks, entries, counts and remarks."""

from dataclasses import fields, replace

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.rules import SEVERITY, WORDS, Rule, Verdict, overall
from fastgrad.checks.tolerance import smallest_rtol
from fastgrad.differences.loss import Loss
from fastgrad.findings import BAR, RTOL, STATES, BlockCheck, Diagnosis, EntryCheck
from fastgrad.numerics.norms import norm
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.layout import Layout
from fastgrad.report.arrays import BlockArrays, Kept, Place
from fastgrad.results import GradientCheck

SAME_CONSTANT = 1e-3
"""Constants of one law at two points are the same within this part of them."""
MOST_ENTRIES = 1000
CLOSEST_ENTRIES = 10
"""Entries listed when all agree."""


def summarise(
    outcome: Outcome,
    loss: Loss,
    rule: Rule,
    options: Options,
    diagnoses: tuple[Diagnosis, ...] = (),
) -> GradientCheck:
    """The report of a check at one point; its strategy, label and time are the caller's to add."""
    judged = outcome.judged
    laws = {d.block: d.sentence for d in diagnoses}
    return GradientCheck(
        verdict=outcome.verdict,
        strategy="",
        blocks=tuple(
            replace(b, diagnosis=laws[b.name]) if b.name in laws else b for b in outcome.blocks
        ),
        entries=() if judged is None else entries_of(judged, loss.layout, rule),
        diagnoses=diagnoses,
        relative_error=outcome.relative_error,
        noise=loss.noise,
        evaluations=loss.run.evaluations,
        seconds=0.0,
        seed=options.seed,
        rtol=rule.rtol,
        size=loss.layout.size,
        checked=0 if judged is None else judged.indices.size,
        counts={} if judged is None else counts_of(judged),
        agreements={} if judged is None else agreements_of(judged),
        remarks=outcome.remarks,
        in_noise=outcome.in_noise,
        smallest_rtol=_smallest_rtol(judged, loss, diagnoses),
        _kept=_kept(outcome, loss.layout, rule),
    )


def _kept(outcome: Outcome, layout: Layout, rule: Rule) -> Kept | None:
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
        "allowance": rule.allowance(judged.bar, judged.scales.entry),
        "verdict": WORDS[judged.verdict],
    }
    return Kept(places, judged.indices, columns, outcome.readings)


def _smallest_rtol(
    judged: Judged | None, loss: Loss, diagnoses: tuple[Diagnosis, ...]
) -> float | None:
    """The rtol that would do, where every entry was judged and the gradient is one."""
    if judged is None or judged.indices.size < loss.count:
        return None
    return None if any(d.law in STATES for d in diagnoses) else smallest_rtol(judged)


def worst_of(checks: list[GradientCheck]) -> GradientCheck:
    """Several points as one: the worst of them, over the evaluations and seconds of all."""
    worst = min(checks, key=lambda check: SEVERITY.index(check.verdict))
    needed = [check.smallest_rtol for check in checks]
    diagnoses = tuple(_at_how_many(diagnosis, checks) for diagnosis in worst.diagnoses)
    laws = {diagnosis.block: diagnosis.sentence for diagnosis in diagnoses}
    return replace(
        worst,
        blocks=tuple(replace(b, diagnosis=laws.get(b.name, b.diagnosis)) for b in worst.blocks),
        diagnoses=diagnoses,
        points=tuple(checks),
        evaluations=sum(check.evaluations for check in checks),
        seconds=sum(check.seconds for check in checks),
        smallest_rtol=None if None in needed else max(r for r in needed if r is not None),
    )


def _at_how_many(diagnosis: Diagnosis, checks: list[GradientCheck]) -> Diagnosis:
    """A law that holds at other points as well, with the same numbers, is no chance."""
    alike = sum(any(_is_same(diagnosis, d) for d in check.diagnoses) for check in checks)
    if alike < 2 or not diagnosis.explains:
        return diagnosis
    how_many = f"all {alike}" if alike == len(checks) else f"{alike} of {len(checks)}"
    return replace(diagnosis, sentence=f"{diagnosis.sentence} So it is at {how_many} points.")


def _is_same(one: Diagnosis, other: Diagnosis) -> bool:
    """Whether two diagnoses are of one law, with the same numbers."""
    if (one.block, one.law, one.constants.keys()) != (
        other.block,
        other.law,
        other.constants.keys(),
    ):
        return False
    pairs = ((value, other.constants[name]) for name, value in one.constants.items())
    return all(abs(a - b) <= SAME_CONSTANT * max(abs(a), abs(b)) for a, b in pairs)


def unchecked_block(block: Block, verdict: str = "agrees") -> BlockCheck:
    """A block of which nothing is known."""
    return BlockCheck(
        block.name, block.shape, block.size, 0, verdict, 0.0, 0.0, 0.0, "block", 0, ""
    )


def checked_block(judged: Judged, layout: Layout, b: int) -> BlockCheck:
    """A block whose entries were checked one by one."""
    block = layout.blocks[b]
    inside = np.flatnonzero(judged.block == b)
    if inside.size == 0:
        return unchecked_block(block)
    a, D, bar = judged.analytic[inside], judged.numeric[inside], judged.bar[inside]
    residual = judged.residual[inside]
    zero = bool(np.all(np.abs(D) <= bar))
    size = judged.scales.overall if zero else float(judged.scales.rms[b])
    verdicts = judged.verdict[inside]
    # An error that was not told is within no limit, whatever the bar of the difference beside it.
    untold = (verdicts == Verdict.INCONCLUSIVE) | (verdicts == Verdict.KINK_OUTSIDE)
    seen = np.where(untold, np.fmax(bar, residual), bar)
    widest = float((seen * judged.scales.unit[inside]).max())
    return BlockCheck(
        name=block.name,
        shape=block.shape,
        size=block.size,
        checked=inside.size,
        verdict=overall(verdicts),
        relative_error=relative_error(a, D),
        max_error=float(residual.max()),
        detection_limit=widest / size if size else (float("inf") if widest else 0.0),
        limit_of="all" if zero else "block",
        kinks=int(np.count_nonzero(verdicts >= Verdict.KINK_VALID)),
        worst=block.entry(int(judged.indices[inside[residual.argmax()]])),
    )


def relative_error(a: Floats, D: Floats) -> float:
    """``||a - D|| / (||a|| + ||D||)``; 0 where both are zero, infinite where a is not finite."""
    known = np.isfinite(D)
    a, D = a[known], D[known]
    if not np.isfinite(a).all():
        return float("inf")
    size = norm(a) + norm(D)
    return norm(a - D) / size if size else 0.0


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


def entries_of(judged: Judged, layout: Layout, rule: Rule) -> tuple[EntryCheck, ...]:
    """Entries that do not plainly agree, worst first; with none, those that came closest."""
    return tuple(_entry(judged, layout, int(k)) for k in _worst(judged, rule))


def _worst(judged: Judged, rule: Rule) -> Indices:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        excess = judged.residual / rule.allowance(judged.bar, judged.scales.entry)
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


def _entry(judged: Judged, layout: Layout, k: int) -> EntryCheck:
    position = int(judged.indices[k])
    block = layout.blocks[judged.block[k]]
    a = float(judged.analytic[k])
    note = judged.notes.get(k, "") if np.isfinite(a) else "the gradient is not finite"
    return EntryCheck(
        name=block.entry(position),
        block=block.name,
        index=block.index(position),
        analytic=a,
        numeric=float(judged.numeric[k]),
        error_bar=float(judged.bar[k]),
        step=float(judged.differences.step[k]),
        verdict=str(WORDS[judged.verdict[k]]),
        note=note,
    )
