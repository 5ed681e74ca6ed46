"""What a report says of the loss, of the gradient under test, and of how its entries were judged."""

import numpy as np

from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Judged
from fastgrad.checks.rules import Verdict
from fastgrad.differences.loss import Loss
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.trees import kept

SAME_STEP = 0.01
"""Part of a given step by which the one that was taken may differ."""


def about_the_loss(loss: Loss) -> list[str]:
    """What the measurements of the loss found worth saying."""
    constants = _constants(loss.layout)
    remarks = list(loss.run.remarks)
    if constants:
        remarks.append(f"Constants, passed as they are: {', '.join(constants)}.")
    if half := loss.measured.half:
        remarks.append(
            f"Every value of the loss is a {half}: what changes it by less than a unit in its last "
            "place is not seen. Sum it up in float32 at least; the model may stay as it is."
        )
    elif loss.measured.float32:
        remarks.append(
            "Every value of the loss is a float32: it is computed in single precision, and an "
            "accuracy of about 1e-3 is all that its differences can reach. Compute it in float64."
        )
    levels = loss.measured.levels
    if levels and not half:
        remarks.append(
            f"At points close to theta the loss takes one of {levels.count} values, about "
            f"{levels.apart:.2g} apart, now this, now that: a sign or an order is chosen inside (of an "
            "eigenvector, of a sort), and no difference is a slope. Fix it by a rule."
        )
    if loss.measured.silent:
        remarks.append(
            f"The loss is {loss.value:.3g} at every point beside theta: saturated, or it does not use "
            "its argument. Gradients below its rounding over the step cannot be told."
        )
    repeats = loss.measured.repeats
    if repeats.drifts is not None:
        why = (
            "its values approach a limit, as a solver's do that starts from its last answer"
            if repeats.drifts
            else "its values scatter, as sums that threads add in any order"
        )
        remarks.append(
            f"The loss differs between calls at the same parameters by {repeats.spread:.1g} "
            f"({why}): that counts as its noise."
        )
    elif repeats.spread:
        remarks.append("The loss differs between calls by rounding: that counts as its noise.")
    return remarks


def _constants(layout: Layout) -> list[str]:
    """What in theta is no float, and is not perturbed, each with its kind."""
    odd = [
        f"{path} ({type(node.value).__name__})"
        for path, node in kept(layout.tree, root=layout.root)
    ]
    whole = [layout.blocks[b] for b in layout.constants]
    return odd + [f"{block.name} ({block.dtype})" for block in whole if block.of_integers]


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
