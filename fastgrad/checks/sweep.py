"""The sweep: every entry that may be perturbed is judged by itself."""

import time
from contextlib import nullcontext

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.edges import judged_at_edges
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.referee import about_steps
from fastgrad.checks.rules import Rule, overall
from fastgrad.checks.stages import glance, judge
from fastgrad.checks.summary import about_the_loss, checked_block, relative_error
from fastgrad.checks.ties import judged_together
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.differences.steps import chosen_steps
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.report.progress import progress_bar

ADAPTIVE_PAIRS = 6.0
"""Pairs of evaluations an entry with a step of its own takes."""
GLANCED = 64
"""Up to so many entries, a right gradient is told by two evaluations each and a line of noise."""
STUDY = 45
"""Evaluations that look at noise along all lines, and at steps."""
SAME_STEP = 0.01
"""Part of a given step by which the one that was taken may differ."""
SECOND_LOOKS = 24
"""Evaluations that look again at the worst three entries: time is kept for them."""


def sweep_evaluations(entries: int) -> int:
    """What a sweep takes that finds nothing, after the loss was glimpsed."""
    return 2 * entries


def sweep(loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options) -> Outcome:
    """Judge every entry that may be perturbed, with two evaluations or more for each."""
    indices = loss.indices
    with progress_bar(loss.run, "sweep", 2 * indices.size) if options.progress else nullcontext():
        loss, judged = _judged(loss, claim, rule, budget, options)
        judged, edges = judged_at_edges(loss, claim, rule, judged, budget.left)
        judged, told = judged_together(loss, judged, budget.left)
    numeric = np.zeros(loss.layout.size)
    numeric[indices] = judged.numeric
    certificate: tuple[str, ...] = ()
    if loss.run.structured:
        some = None if loss.free is None else indices
        certificate = loss.run.certified(some, numeric, again=True)
    return Outcome(
        overall(judged.verdict),
        tuple(checked_block(judged, loss.layout, b) for b in range(len(loss.layout.blocks))),
        relative_error(judged.analytic, judged.numeric),
        (
            *about_the_loss(loss),
            *about_the_claim(judged, claim),
            *_beside_given_steps(judged, loss, options),
            *_alike_in_theta(judged, loss),
            *about_steps(judged, loss.layout),
            *edges,
            *certificate,
            *_cut_short(judged, budget),
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
    study = loss.run.structured or budget.allows(2 * loss.count + STUDY + SECOND_LOOKS)
    if _may_glance(loss, options, study):
        entries = Entries(loss, loss.indices)
        judged, known = glance(entries, claim, rule, _default_steps(entries, options))
        if judged is not None:
            return loss, judged
        study = budget.allows(STUDY + SECOND_LOOKS)
    seconds = time.perf_counter() - began if known else 0.0
    if study:
        loss = loss.studied(options.seed)
    if loss.run.structured:
        loss = loss.entry_by_entry(options.seed)
    entries = Entries(loss, loss.indices, known, seconds)
    if study or isinstance(options.steps, str):
        h = chosen_steps(entries, CENTRAL[2], options.steps)
    else:
        h = _default_steps(entries, options)
    return entries.loss, judge(entries, claim, rule, h, left=budget.left)


def _may_glance(loss: Loss, options: Options, study: bool) -> bool:
    """Whether differences at default steps come first: few entries, or little time."""
    if loss.run.structured or isinstance(options.steps, str):
        return False
    return loss.count <= GLANCED or not study


def _default_steps(entries: Entries, options: Options) -> Floats:
    if isinstance(options.steps, np.ndarray):
        return options.steps[entries.indices]
    return entries.loss.steps(entries.indices)


def about_the_claim(judged: Judged, claim: Claim) -> list[str]:
    """What to say of the precision of what is under test, and of what is not finite in it."""
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


def _beside_given_steps(judged: Judged, loss: Loss, options: Options) -> tuple[str, ...]:
    """Entries that a step which the user gave did not judge, if there are any."""
    if not isinstance(options.steps, np.ndarray):
        return ()
    given, used = options.steps[judged.indices], judged.differences.step
    others = np.flatnonzero(np.abs(used - given) > SAME_STEP * given)
    if others.size == 0:
        return ()
    k = int(others[0])
    return (
        f"The given step is not the one that judged {others.size:,} of {given.size:,} entries (first "
        f"{loss.layout.name(int(judged.indices[k]))}: {given[k]:.2g} given, {used[k]:.2g} used): over "
        "it the loss bends, has a kink, or leaves its domain, so that its difference is no slope.",
    )


def _alike_in_theta(judged: Judged, loss: Loss) -> list[str]:
    """Units that theta does not tell from each other, as where all weights begin at one value."""
    if judged.indices.size < loss.layout.size:
        return []
    said = []
    for block in loss.layout.blocks:
        if len(block.shape) != 2 or min(block.shape) < 2:
            continue
        part = slice(block.start, block.stop)
        theta, D, bar = (
            values[part].reshape(block.shape) for values in (loss.theta, judged.numeric, judged.bar)
        )
        if not np.any(np.abs(D) > bar):
            continue
        for axis, lines in enumerate(("columns", "rows")):
            apart = np.abs(D - D.take([0], axis=1 - axis)) > bar + bar.take([0], axis=1 - axis)
            if not np.ptp(theta, axis=1 - axis).any() and not apart.any():
                said.append(
                    f"All {lines} of {block.name} are the same, and so are those of its gradient: what "
                    "would tell them apart is not tested here, and descent keeps them the same. Check "
                    "at other parameters too (points=3)."
                )
                break
    return said


def _cut_short(judged: Judged, budget: Budget) -> tuple[str, ...]:
    if not judged.unfinished:
        return ()
    return (
        f"The budget of {budget.seconds:g} s was spent before {judged.unfinished:,} "
        "entries that do not agree at the first step could be looked at again: they count "
        "as inconclusive. A larger budget, or budget=None, looks at them.",
    )
