"""The sweep: every entry that may be perturbed is judged by itself."""

from contextlib import nullcontext

import numpy as np

from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.rules import Rule, overall
from fastgrad.checks.stages import judge
from fastgrad.checks.summary import about_the_loss, checked_block, relative_error
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.differences.steps import chosen_steps
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.report.progress import progress_bar

ADAPTIVE_PAIRS = 6.0
"""Pairs of evaluations an entry with a step of its own takes."""


def sweep(loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options) -> Outcome:
    """Judge every entry that may be perturbed, with two evaluations or more for each."""
    indices = loss.indices
    loss = loss.entry_by_entry(options.seed)
    entries = Entries(loss, indices)
    with progress_bar(loss.run, "sweep", 2 * indices.size) if options.progress else nullcontext():
        h = chosen_steps(entries, CENTRAL[2], options.steps)
        judged = judge(entries, claim, rule, h, left=budget.left)
    numeric = np.zeros(loss.layout.size)
    numeric[indices] = judged.numeric
    certificate = loss.run.certified(None if loss.free is None else indices, numeric, again=True)
    return Outcome(
        overall(judged.verdict),
        tuple(checked_block(judged, loss.layout, b) for b in range(len(loss.layout.blocks))),
        relative_error(judged.analytic, judged.numeric),
        (
            *about_the_loss(loss),
            *_remarks(judged, claim),
            *certificate,
            *_cut_short(judged, budget),
        ),
        judged,
    )


def _remarks(judged: Judged, claim: Claim) -> list[str]:
    remarks = []
    if claim.unit.max() > np.finfo(np.float64).eps:
        remarks.append(
            "The gradient under test was handed over in single or half precision, and is judged "
            "with its own rounding."
        )
    bad = int(np.count_nonzero(~np.isfinite(judged.analytic)))
    if bad:
        remarks.append(f"The gradient under test is not finite in {bad:,} of its entries.")
    return remarks


def _cut_short(judged: Judged, budget: Budget) -> tuple[str, ...]:
    if not judged.unfinished:
        return ()
    return (
        f"The budget of {budget.seconds:g} s was spent before {judged.unfinished:,} "
        "entries that do not agree at the first step could be looked at again: they count "
        "as inconclusive. A larger budget, or budget=None, looks at them.",
    )
