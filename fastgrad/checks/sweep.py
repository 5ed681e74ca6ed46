"""The sweep: every entry that may be perturbed is judged by itself."""

import time
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from fastgrad.checks.block_checks import checked_block, overall, relative_error
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.domain_edges import judged_at_edges
from fastgrad.checks.entry_remarks import (
    about_equal_lines,
    about_given_steps,
    about_steps,
    about_the_budget,
    about_the_claim,
)
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.remarks import about_the_loss
from fastgrad.checks.rules import Rule
from fastgrad.checks.stages import judge
from fastgrad.checks.stages.glance import glance
from fastgrad.checks.ties import judged_together
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.differences.noise_lines import studied
from fastgrad.differences.own_units import begun
from fastgrad.differences.steps import chosen_steps
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.report.progress import progress_bar

ADAPTIVE_PAIRS = 6.0
"""Pairs of evaluations an entry with a step of its own takes."""
GLANCED = 64
"""Up to so many entries, a right gradient is told by two evaluations each and a line of noise."""
STUDY = 45
"""Evaluations that look at noise along all lines, and at steps."""
EACH_ENTRY = 2
"""Evaluations that an entry takes where nothing is found."""
EACH_UNIT = 16
"""Evaluations that find the unit of an entry, at most but for the rarest: without time for them guesses
stand."""
SECOND_LOOKS = 24
"""Evaluations that look again at the worst three entries: time is kept for them."""


def sweep(loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options) -> Outcome:
    """Judge every entry that may be perturbed, with two evaluations or more for each."""
    with (
        progress_bar(loss.run, "sweep", EACH_ENTRY * loss.count)
        if options.progress
        else nullcontext()
    ):
        loss, judged = _judged(loss, claim, rule, budget, options)
        judged, edges = judged_at_edges(loss, claim, rule, judged, budget.left)
        judged, told = judged_together(loss, judged, budget.left)
    certificate: tuple[str, ...] = ()
    if loss.run.structured:
        numeric = np.zeros(loss.layout.size)
        numeric[judged.indices] = judged.numeric
        some = None if loss.free is None else judged.indices
        certificate = loss.run.certified(some, numeric, again=True)
    return Outcome(
        overall(judged.verdict),
        tuple(checked_block(judged, loss.layout, b) for b in range(len(loss.layout.blocks))),
        relative_error(judged.analytic, judged.numeric),
        (
            *about_the_loss(loss),
            *about_the_claim(judged, claim),
            *about_given_steps(judged, loss, options),
            *about_equal_lines(judged, loss),
            *about_steps(judged, loss.layout),
            *edges,
            *certificate,
            *about_the_budget(judged, budget),
        ),
        judged,
        loss=loss,
        told=told,
    )


def _judged(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options
) -> tuple[Loss, Judged]:
    """Every entry judged, by the cheapest that decides, and the loss as it is known then."""
    known, began = None, time.perf_counter()
    whole = EACH_ENTRY * loss.count + STUDY + SECOND_LOOKS
    study = loss.run.structured or budget.allows(whole)
    unknown = loss.units.unknown
    if unknown is not None:
        count = int(np.count_nonzero(unknown[loss.indices]))
        if not budget.allows(whole + EACH_UNIT * count):
            loss = replace(loss, units=replace(loss.units, unknown=None))
    if _may_glance(loss, options, study):
        entries = Entries(loss, loss.indices)
        judged, seen = glance(entries, claim, rule, entries.steps(options.steps))
        loss, known = seen.loss, seen.known
        if judged is not None:
            return loss, judged
        study = budget.allows(STUDY + SECOND_LOOKS)
    seconds = time.perf_counter() - began if known else 0.0
    if study:
        first = None
        if loss.measured.glimpse is None:
            loss, first = begun(loss, options.seed)
        loss = studied(loss, options.seed, first=first)
    if loss.run.structured:
        loss = loss.entry_by_entry(options.seed)
    entries = Entries(loss, loss.indices, known, seconds)
    if study or isinstance(options.steps, str):
        h = chosen_steps(entries, CENTRAL[2], options.steps)
    else:
        h = entries.steps(options.steps)
    judged = judge(entries, claim, rule, h, left=budget.left)
    if loss.units.unknown is not None:  # they were found on the way
        units = loss.units.found(judged.indices, judged.scales.unit, np.zeros(0, np.intp))
        loss = replace(loss, units=units)
    return loss, judged


def studies_at_once(loss: Loss, options: Options) -> bool:
    """Whether a sweep that was asked for looks at noise along all lines whatever a glimpse says."""
    return options.strategy == "sweep" and not _may_glance(loss, options, study=True)


def _may_glance(loss: Loss, options: Options, study: bool) -> bool:
    """Whether differences at default steps come first: few entries, units to be found, or little time.

    Noise is looked for in units that are known.
    """
    if loss.run.structured or isinstance(options.steps, str):
        return False
    return loss.count <= GLANCED or loss.units.unknown is not None or not study
