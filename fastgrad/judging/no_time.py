"""The report where there is time for no verdict, but of what a first look refutes."""

from dataclasses import replace

from fastgrad.checks.block_checks import unchecked_block
from fastgrad.checks.budget import would_do
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule
from fastgrad.checks.screen import refute
from fastgrad.checks.summary import summarise
from fastgrad.differences.repeats import REPEATS
from fastgrad.judging.choice_of_strategy import Choice
from fastgrad.judging.report import convict
from fastgrad.judging.setup import Opened
from fastgrad.results import GradientCheck


def refuse(opened: Opened, choice: Choice, rule: Rule) -> GradientCheck:
    """The report of a check whose budget does not even allow the cheapest way to a verdict."""
    loss, options = opened.loss, opened.options
    outcome = _refuted(opened, rule) or _undecided(opened, choice)
    unsteady = None if opened.answers is None else opened.answers.unsteady
    if unsteady is None:
        report = summarise(outcome, loss, rule, options, outcome.told)
    else:
        report = convict(outcome, unsteady, loss, rule, options)[1]
    return replace(report, strategy=choice.strategy)


def _refuted(opened: Opened, rule: Rule) -> Outcome | None:
    """What a first look refutes, where there is time for no more."""
    loss, options = opened.loss, opened.options
    if options.strategy == "sweep" or loss.run.structured or isinstance(options.steps, str):
        return None
    return refute(loss, opened.claim, rule, opened.budget, options)


def _undecided(opened: Opened, choice: Choice) -> Outcome:
    """The outcome of nothing, with the budget that would do."""
    budget = opened.budget
    enough = would_do((choice.evaluations + REPEATS + 1) * budget.evaluation)
    remark = (
        f"The budget of {budget.seconds:g} s does not allow a {choice.strategy}: one evaluation takes "
        f"{budget.evaluation:.2g} s, and about {choice.evaluations} are needed; "
        f"{enough}."
    )
    blocks = tuple(map(unchecked_block, opened.loss.layout.blocks))
    return Outcome("inconclusive", blocks, 0.0, (remark,))
