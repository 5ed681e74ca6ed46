"""A strategy, asked for its outcome, with what is to be said of how it was asked."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.cut_short import judged_so_far
from fastgrad.checks.domain_edges import away_from_bounds
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule
from fastgrad.checks.screen import screen
from fastgrad.checks.sweep_and_screen import sweep_and_screen, sweep_and_tell
from fastgrad.differences.loss import Loss
from fastgrad.differences.noise_lines import studied
from fastgrad.errors import ExecutorError
from fastgrad.judging.choice_of_strategy import Choice
from fastgrad.judging.question import Question
from fastgrad.judging.setup import Opened
from fastgrad.report.progress import say_plan
from fastgrad.spaces.guess import looks_like
from fastgrad.spaces.layout import SpaceLayout

AT_ONCE = 2.0**-33
"""Steps in units that nothing leads to but a loss that is not finite at longer ones."""
MOST_ENTRIES = 0.5

Strategy = Callable[[Loss, Claim, Rule, Budget, Options], Outcome]

STRATEGIES: dict[str, Strategy] = {"sweep": sweep_and_tell, "screen": screen}
"""Strategies by the names that users give; "auto" takes one of the two."""


def ask(
    opened: Opened, choice: Choice, question: Question, rule: Rule
) -> tuple[Outcome, Loss, int]:
    """What a strategy found, the loss as it knows it, and evaluations of another evaluator."""
    strategy, loss = choice.strategy, choice.loss
    budget, options = opened.budget, opened.options
    layout, made = loss.layout, 0
    if loss.run.structured and strategy != "sweep":  # directions are for the plain loss
        loss = studied(loss, options.seed, brief=True)
        made = loss.run.evaluations
        loss = replace(loss, run=question.evaluator(layout, loss.theta, structure=False))
    said: tuple[str, ...] = ()
    if strategy != "sweep":
        loss, said = away_from_bounds(loss)
    if options.progress:
        say_plan(budget.plan(loss.count, strategy == "sweep"))
    try:
        joins = options.strategy == "auto" and strategy == "sweep"
        judge = sweep_and_screen if joins else STRATEGIES[strategy]
        outcome = judge(loss, opened.claim, rule, budget, options)
    except ExecutorError as error:
        outcome = judged_so_far(loss, opened.claim, rule, error)
    if isinstance(layout, SpaceLayout):
        said += tuple(layout.remarks())
    if outcome.verdict == "inconclusive" and (
        choice.loss.run.outside is not None or _is_left_at_once(outcome)
    ):
        said += tuple(filter(None, [looks_like(layout, choice.loss.theta)]))
    if opened.programs is not None:
        said += tuple(opened.programs.remarks(opened.loss.run.evaluations))
    if said:
        outcome = replace(outcome, remarks=outcome.remarks + said)
    return outcome, outcome.loss or loss, made


def _is_left_at_once(outcome: Outcome) -> bool:
    """Whether the loss is not finite beside theta in most entries, as off a set that it refuses."""
    judged = outcome.judged
    if judged is None:
        return False
    short = judged.differences.step <= AT_ONCE * judged.scales.unit
    return bool(np.mean(short | ~np.isfinite(judged.numeric)) > MOST_ENTRIES)
