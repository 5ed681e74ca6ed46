"""Is the loss rough? One whose noise is beyond that of float64 is screened in a way of its own."""

from fastgrad.arrays import Floats
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule
from fastgrad.checks.screen.block_words import sentence_of
from fastgrad.checks.screen.first_look import Along
from fastgrad.checks.screen.noisy import screen_rough
from fastgrad.checks.screen.summary import with_refuted
from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import heard, rounding_of
from fastgrad.differences.loss import Loss
from fastgrad.differences.noise_lines import studied

ROUGH = 2.0**-36
"""Noise beyond this part of the loss is not the rounding of float64."""
FEW_ENTRIES = 128
"""Fewer are checked one by one for what lines would take."""


def is_rough(loss: Loss, noise: float) -> bool:
    """Whether this noise of a loss of many parameters is beyond that of float64.

    The noise is that which was measured or, as in single precision, what the value alone says.
    """
    value = abs(loss.value)  # at 0, as at a perfect fit, there is nothing to compare it with
    return value > 0.0 and loss.count > FEW_ENTRIES and noise > ROUGH * value


def noise_of(
    loss: Loss, claim: Claim, directions: Directions, first: Floats | None
) -> tuple[Loss, bool]:
    """The loss with its noise, and whether it is rough: a value of single precision says so at once.

    Parameters
    ----------
    first : ndarray or None
        Its values on the first line of noise, where they were taken.
    """
    rounding = rounding_of(loss)
    if claim.is_finite and not loss.measured.lines and is_rough(loss, rounding):
        near = heard(loss, directions, rounding / abs(loss.value))
        if is_rough(near, near.noise) and near.measured.float32:
            return near, True
    if not loss.measured.lines:
        loss = studied(loss, directions.seed, brief=True, first=first)
    if not (claim.is_finite and is_rough(loss, loss.noise)):
        return loss, False
    return heard(loss, directions, loss.noise / max(abs(loss.value), loss.noise)), True


def screened_as_rough(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options, refuted: Along | None
) -> Outcome:
    """The outcome where the loss is rough, with what the first look refuted."""
    directions = Directions(loss.units.entry, claim.movable(loss.free), options.seed)
    said = () if refuted is None else (sentence_of(refuted, loss.layout.blocks[refuted.block]),)
    known = (directions, said, budget.about_a_sweep(loss.count))
    outcome = screen_rough(loss, claim, rule, budget, known)
    return outcome if refuted is None else with_refuted(outcome, refuted, loss.layout)
