"""The choice of a strategy: the one that was asked for, or the one that fits and can decide."""

from typing import NamedTuple

from fastgrad.checks.hidden_by_noise import kept_for_what_is_left, sweeps_in_vain
from fastgrad.checks.screen.cost import screen_evaluations
from fastgrad.checks.sweep import ADAPTIVE_PAIRS, EACH_ENTRY, SECOND_LOOKS, studies_at_once
from fastgrad.differences.glimpse import LINE_EVALUATIONS, glimpsed
from fastgrad.differences.loss import Loss
from fastgrad.differences.own_units import in_own_units
from fastgrad.judging.setup import Opened


class Choice(NamedTuple):
    """A strategy, and the loss with what was learned of it on the way to the choice."""

    strategy: str
    loss: Loss
    evaluations: int
    """What the shortest way to a verdict takes, once the loss is repeated."""
    fits: bool
    """Whether the budget allows that."""


def choose(opened: Opened) -> Choice:
    """The strategy of a check; the cheapest where the budget allows no verdict at all."""
    loss, budget, options = opened.loss, opened.budget, opened.options
    screened, adaptive = screen_evaluations(loss), isinstance(options.steps, str)
    needed, cheapest = screened, "screen"
    if options.strategy != "screen" and not adaptive:
        swept = EACH_ENTRY * loss.count + LINE_EVALUATIONS
        needed, cheapest = min((needed, cheapest), (swept, "sweep"))
    if not studies_at_once(loss, options):
        left = needed
        if options.strategy != "screen" and budget.allows(needed):
            with budget.timing():  # away from theta it may cost more
                loss = glimpsed(loss, options.seed)
                told = in_own_units(loss, options.seed)
                loss = loss if told is None else glimpsed(told, options.seed)
            left -= LINE_EVALUATIONS
        if not budget.allows(left):
            return Choice(cheapest, opened.loss, needed, fits=False)
    if adaptive:
        budget.pairs = ADAPTIVE_PAIRS
    strategy = options.strategy
    if strategy == "auto":
        strategy = _fitting(loss, opened, screened)
    return Choice(strategy, loss, needed, fits=True)


def _fitting(loss: Loss, opened: Opened, screened: int) -> str:
    """The strategy that fits and can decide, where a screen takes so many evaluations."""
    budget = opened.budget
    if EACH_ENTRY * loss.count * budget.pairs <= screened:
        return "sweep" if budget.allows_a_sweep(loss) or not budget.allows(screened) else "screen"
    kept = kept_for_what_is_left(loss)
    if not budget.allows_a_sweep(loss, SECOND_LOOKS + kept):
        return "screen"
    in_vain = kept and sweeps_in_vain(loss, opened.claim, opened.options.seed)
    return "screen" if in_vain else "sweep"
