"""The screen: random directions, the search for what they show, and fresh ones that certify.

A verdict in a number of evaluations that hardly grows with theta.
"""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.checks.screen.cost import screen_evaluations, to_its_end
from fastgrad.checks.screen.first_look import Along, FirstLook, stands
from fastgrad.checks.screen.found import Found
from fastgrad.checks.screen.jumps import rough_from_afar
from fastgrad.checks.screen.merged import merged
from fastgrad.checks.screen.noisy import screen_rough
from fastgrad.checks.screen.residuals import OutOfBudgetError, Residuals
from fastgrad.checks.screen.rough import is_rough, noise_of
from fastgrad.checks.screen.screen import look
from fastgrad.checks.screen.search import Search
from fastgrad.checks.screen.spot_checks import SpotChecks
from fastgrad.checks.screen.summary import outcome_of, with_refuted
from fastgrad.checks.screen.told import sentence_of
from fastgrad.checks.sweep import EACH_UNIT
from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import HEARD_EVALUATIONS, heard, rounding_of
from fastgrad.differences.lines import Lines
from fastgrad.differences.loss import Loss
from fastgrad.differences.own_units import begun
from fastgrad.differences.unknown_units import SOUGHT, in_claimed_units
from fastgrad.numerics.noise import POINTS
from fastgrad.numerics.norms import norm
from fastgrad.report.progress import progress_bar


def screen(loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options) -> Outcome:
    """Look along the signs of the gradient and along random ones, and locate what is wrong."""
    expected, seed = screen_evaluations(loss), options.seed
    finite, movable = claim.finite(), claim.movable(loss.free)
    with progress_bar(loss.run, "screen", expected) if options.progress else nullcontext():
        shown = loss
        if budget.allows(expected + EACH_UNIT * SOUGHT):
            loss = in_claimed_units(loss, claim.values)
        directions = Directions(loss.units.entry, movable, seed)
        refuted = FirstLook(loss, finite, rule, directions, budget.allows).refuted()
        looks = loss.measured.glimpse is None and budget.allows(POINTS.size)
        looks = looks and not is_rough(loss, rounding_of(loss))
        loss, first = begun(loss, seed) if looks else (loss, None)
        directions = Directions(loss.units.entry, movable, seed)
        if loss.units.given and not shown.units.given:
            refuted = FirstLook(loss, finite, rule, directions, budget.allows).refuted()
        loss, rough = noise_of(loss, claim, directions, first)
        if refuted is not None and not stands(refuted, loss, claim, directions):
            refuted = None
        del directions  # what one keeps for its lines is let go with it
        way = _rough if rough else _smooth
        return way(loss, claim, rule, budget, options, refuted)


def _smooth(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options, refuted: Along | None
) -> Outcome:
    """The outcome where the loss is smooth: screen, locate, certify, as far as the time allows."""
    sizes = _sizes(loss, claim)
    quantum = None if loss.lattice is None else loss.lattice.of_directions[0]
    directions = Directions(loss.units.entry, claim.movable(loss.free), options.seed, quantum)
    mask, blocks = directions.mask, loss.layout.blocks
    counts = [
        b.size if mask is None else int(np.count_nonzero(mask[b.start : b.stop])) for b in blocks
    ]
    found = Found(sizes, counts, refuted=refuted)
    residuals = Residuals(Lines(loss, claim.finite().values), claim, rule, budget)
    heard = refuted is not None and refuted.factor is not None
    spot = SpotChecks(residuals, budget, sizes, heard=heard)
    search = Search(loss, directions, spot, found, budget)
    try:
        if not claim.is_finite:
            search.look_at_not_finite()
        residuals.claim = claim.finite()  # directions do not move the others
        found.screen = look(residuals, directions, counts, sizes)
        if found.screen.alarms:
            may_jump = found.screen.scattered and refuted is None and not loss.run.structured
            if may_jump and budget.allows(2 * HEARD_EVALUATIONS):
                far = rough_from_afar(loss, replace(directions))
                if far is not None:
                    return _rough(far, claim, rule, budget, options, refuted)
            search.locate(found.screen)
        search.look_closer()
    except OutOfBudgetError:
        found.complete = found.certified = False
    search.settle()
    if refuted is not None and _agrees_throughout(refuted.block, found):
        found.refuted = None
    cost = budget.about_a_sweep(loss.count)
    if not found.complete and found.findings:
        cost = f"{to_its_end(found, loss, budget, options)} {cost}"
    return outcome_of(found, merged(spot.judged), loss, cost)


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


def _rough(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options, refuted: Along | None
) -> Outcome:
    """The outcome where the loss is rough, with what the first look refuted."""
    directions = Directions(loss.units.entry, claim.movable(loss.free), options.seed)
    said = () if refuted is None else (sentence_of(refuted, loss.layout.blocks[refuted.block]),)
    known = (directions, said, budget.about_a_sweep(loss.count))
    outcome = screen_rough(loss, claim, rule, budget, known)
    return outcome if refuted is None else with_refuted(outcome, refuted, loss.layout)


def refute(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options
) -> Outcome | None:
    """The outcome of a first look alone, where it refutes: there is no time for more."""
    directions = Directions(loss.units.entry, claim.movable(loss.free), options.seed)
    along = FirstLook(loss, claim.finite(), rule, directions, budget.allows).refuted()
    if along is None:
        return None
    rounding = rounding_of(loss)
    if is_rough(loss, rounding):
        if not budget.allows(HEARD_EVALUATIONS):
            return None
        near = heard(loss, directions, rounding / abs(loss.value))
        if not along.stands_out(near.noise):
            return None
    found = Found(np.zeros(len(loss.layout.blocks)), [], refuted=along, complete=False)
    return outcome_of(
        found, None, loss, f"The budget of {budget.seconds:g} s does not allow a screen."
    )
