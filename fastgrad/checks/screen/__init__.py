"""The screen: random directions, the search for what they show, and fresh ones that certify.

A verdict in a number of evaluations that hardly grows with theta.
"""

from contextlib import nullcontext

import numpy as np

from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule
from fastgrad.checks.screen.cost import screen_evaluations
from fastgrad.checks.screen.first_look import FirstLook, stands
from fastgrad.checks.screen.found import Found
from fastgrad.checks.screen.is_rough import is_rough, noise_of, screened_as_rough
from fastgrad.checks.screen.limits import sight_of
from fastgrad.checks.screen.smooth import screened_as_smooth
from fastgrad.checks.screen.summary import outcome_of
from fastgrad.checks.sweep import EACH_UNIT
from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import HEARD_EVALUATIONS, heard, rounding_of
from fastgrad.differences.loss import Loss
from fastgrad.differences.own_units import begun
from fastgrad.differences.unknown_units import SOUGHT, in_claimed_units
from fastgrad.numerics.noise import POINTS
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
        del directions, finite  # what they keep is as large as theta
        screened = screened_as_rough if rough else screened_as_smooth
        return screened(loss, claim, rule, budget, options, refuted)


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
    why = f"The budget of {budget.seconds:g} s does not allow a screen."
    return outcome_of(found, None, sight_of(found, None, loss.layout), loss, why)
