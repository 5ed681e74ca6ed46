"""What a report says of the gradient under test, and of how its entries were judged."""

import numpy as np

from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Judged
from fastgrad.checks.rules import Verdict
from fastgrad.differences.loss import Loss
from fastgrad.parameters.layout import Layout

SAME_STEP = 0.01
"""Part of a given step by which the one that was taken may differ."""


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


def about_given_steps(judged: Judged, loss: Loss, options: Options) -> tuple[str, ...]:
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


def about_equal_lines(judged: Judged, loss: Loss) -> list[str]:
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


def about_steps(judged: Judged, layout: Layout) -> list[str]:
    """What is worth saying of entries that agree, though not at every step."""
    told = [k for k, note in judged.notes.items() if note and judged.verdict[k] == Verdict.AGREES]
    if not told:
        return []
    first = min(told)
    where = layout.name(int(judged.indices[first]))
    others = "" if len(told) == 1 else f" (and {len(told) - 1:,} more that agree)"
    return [f"{where}{others}: {judged.notes[first]}."]


def about_the_budget(judged: Judged, budget: Budget) -> tuple[str, ...]:
    """Entries that there was no time to look at again, if there are any."""
    if not judged.unfinished:
        return ()
    return (
        f"The budget of {budget.seconds:g} s was spent before {judged.unfinished:,} "
        "entries that do not agree at the first step could be looked at again: they count "
        "as inconclusive. A larger budget, or budget=None, looks at them.",
    )
