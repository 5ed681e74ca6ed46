"""An outcome and its diagnoses -> the report: blocks, entries, counts and remarks."""

from dataclasses import replace

import numpy as np

from fastgrad.checks.entry_checks import (
    agreements_of,
    arrays_of,
    counts_of,
    entries_of,
    smallest_rtol,
)
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import SEVERITY, Rule
from fastgrad.differences.loss import Loss
from fastgrad.findings import STATES, Diagnosis
from fastgrad.results import GradientCheck

SAME_CONSTANT = 1e-3
"""Constants of one law at two points are the same within this part of them."""


def summarise(
    outcome: Outcome,
    loss: Loss,
    rule: Rule,
    options: Options,
    diagnoses: tuple[Diagnosis, ...] = (),
) -> GradientCheck:
    """The report of a check at one point; its strategy, label and time are the caller's to add."""
    judged, layout = outcome.judged, loss.layout
    laws = {d.block: d.sentence for d in diagnoses}
    allowance, needed = np.zeros(0), None
    if judged is not None:
        allowance = judged.bar + rule.rtol * judged.scales.entry
        if judged.indices.size >= loss.count and not any(d.law in STATES for d in diagnoses):
            needed = smallest_rtol(judged)
    return GradientCheck(
        verdict=outcome.verdict,
        strategy="",
        blocks=tuple(
            replace(b, diagnosis=laws[b.name]) if b.name in laws else b for b in outcome.blocks
        ),
        entries=() if judged is None else entries_of(judged, layout, allowance),
        diagnoses=diagnoses,
        relative_error=outcome.relative_error,
        noise=loss.noise,
        evaluations=loss.run.evaluations,
        seconds=0.0,
        seed=options.seed,
        rtol=rule.rtol,
        size=layout.size,
        checked=0 if judged is None else judged.indices.size,
        counts={} if judged is None else counts_of(judged),
        agreements={} if judged is None else agreements_of(judged),
        remarks=outcome.remarks,
        in_noise=outcome.in_noise,
        smallest_rtol=needed,
        _kept=arrays_of(outcome, layout, allowance),
    )


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
