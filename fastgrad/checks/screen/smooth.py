"""The screen of a smooth loss: directions, a search for what they show, and fresh ones that certify."""

from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.checks.screen.cost import to_its_end
from fastgrad.checks.screen.first_look import Along
from fastgrad.checks.screen.found import Found
from fastgrad.checks.screen.is_rough import screened_as_rough
from fastgrad.checks.screen.jumps import rough_from_afar
from fastgrad.checks.screen.limits import sight_of
from fastgrad.checks.screen.merged import merged
from fastgrad.checks.screen.random_directions import look
from fastgrad.checks.screen.residuals import OutOfBudgetError, Residuals
from fastgrad.checks.screen.search import Search
from fastgrad.checks.screen.spot_checks import SpotChecks
from fastgrad.checks.screen.summary import outcome_of
from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import HEARD_EVALUATIONS
from fastgrad.differences.lines import Lines
from fastgrad.differences.loss import Loss
from fastgrad.numerics.norms import norm


def screened_as_smooth(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options, refuted: Along | None
) -> Outcome:
    """The outcome of a screen of a loss that is smooth, or turns out to be rough, as far as time allows.

    Parameters
    ----------
    refuted : Along or None
        What the first look refuted.
    """
    sizes, finite = _sizes(loss, claim), claim.finite()
    quantum = None if loss.lattice is None else loss.lattice.of_directions[0]
    directions = Directions(loss.units.entry, claim.movable(loss.free), options.seed, quantum)
    mask, blocks = directions.mask, loss.layout.blocks
    counts = [
        b.size if mask is None else int(np.count_nonzero(mask[b.start : b.stop])) for b in blocks
    ]
    found = Found(sizes, counts, refuted=refuted)
    residuals = Residuals(Lines(loss, finite.values), claim, rule, budget)
    heard = refuted is not None and refuted.factor is not None
    spot = SpotChecks(residuals, budget, sizes, heard=heard)
    search = Search(loss, directions, spot, found, budget)
    try:
        if not claim.is_finite:
            search.look_at_not_finite()
        residuals.claim = finite  # directions do not move the others
        found.screen = look(residuals, directions, counts, sizes)
        if found.screen.alarms:
            may_jump = found.screen.scattered and refuted is None and not loss.run.structured
            if may_jump and budget.allows(2 * HEARD_EVALUATIONS):
                far = rough_from_afar(loss, replace(directions))
                if far is not None:
                    return screened_as_rough(far, claim, rule, budget, options, refuted)
            search.locate(found.screen)
        search.look_closer()
    except OutOfBudgetError:
        found.complete = found.certified = False
    if refuted is not None and _agrees_throughout(refuted.block, found):
        found.refuted = None
    cost = budget.about_a_sweep(loss.count)
    if not found.complete and found.findings:
        cost = f"{to_its_end(found, loss, budget, options)} {cost}"
    judged = merged(spot.judged)
    return outcome_of(found, judged, sight_of(found, judged, loss.layout), loss, cost)


def _sizes(loss: Loss, claim: Claim) -> Floats:
    """rms of the gradient in units of theta over the free entries of each block, shape (blocks,)."""
    sizes = np.zeros(len(loss.layout.blocks))
    for b, block in enumerate(loss.layout.blocks):
        inside = slice(block.start, block.stop)
        part, own = claim.values[inside], loss.units.entry[inside]
        finite = np.isfinite(part)
        moving = finite if loss.free is None else finite & loss.free[inside]
        if not moving.all():
            part, own = part[moving], own[moving]
        if part.size:
            size = norm(part, own)
            sizes[b] = size / float(np.sqrt(part.size)) if np.isfinite(size) else np.inf
    return sizes


def _agrees_throughout(b: int, found: Found) -> bool:
    """Whether every entry of a block agrees by itself, so that no line through it refutes the block.

    Along a line through entries in units of their own f may have turned.
    """
    finding = found.findings.get(b)
    if finding is None or len(finding.checked) < found.counts[b]:
        return False
    return all(entry.verdict == Verdict.AGREES for entry in finding.checked.values())
