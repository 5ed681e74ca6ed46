"""The check of a question at every point: measure the loss, read the gradient, judge, explain."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad.checks.claim import Claim
from fastgrad.checks.convergence import convergence
from fastgrad.checks.given_gradient import SeveralGradientsError
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.points import Point
from fastgrad.checks.rules import Rule
from fastgrad.checks.summary import worst_of
from fastgrad.diagonal_checking import check_with_diagonal
from fastgrad.differences.loss import Loss
from fastgrad.evaluate.compiling import Clock
from fastgrad.judging.choice_of_strategy import choose
from fastgrad.judging.no_time import refuse
from fastgrad.judging.question import Question
from fastgrad.judging.report import convict, explain
from fastgrad.judging.setup import open_at
from fastgrad.judging.strategies import ask
from fastgrad.report.suggestion import Suggestions
from fastgrad.results import GradientCheck


def check_all(
    places: Sequence[Point], question: Question, rule: Rule, options: Options
) -> GradientCheck:
    """The check of a question at a point, or the worst of those at several."""

    def check(gradient: Any) -> list[GradientCheck]:
        asked = replace(question, gradient=gradient)
        return [check_at(place, asked, rule, options) for place in places]

    theta, is_alone = places[0].theta, not places[0].label
    try:
        checks = check(question.gradient)
    except SeveralGradientsError as error:
        argnum, args = question.arguments
        plain = is_alone and isinstance(theta, np.ndarray) and argnum == 0
        if not plain or error.parts != 2:
            raise
        both, through = question.gradient, question.through
        return check_with_diagonal(check, both, (theta, *args), rule, options, through)
    return checks[0] if is_alone else worst_of(checks)


def check_at(place: Point, question: Question, rule: Rule, options: Options) -> GradientCheck:
    """The check at one point: open it, choose a strategy, ask that, explain what it found."""
    clock = Clock()
    opened = open_at(place, question, rule, options)
    choice = choose(opened)
    if not choice.fits:
        return replace(refuse(opened, choice, rule), label=place.label)
    claim, options = opened.claim, opened.options
    outcome, loss, made = ask(opened, choice, question, rule)
    judged, unsteady = outcome.judged, None
    if opened.answers is not None:
        with opened.budget.stopped():
            unsteady = opened.answers.at_the_end()
    if unsteady is None:
        report = explain(outcome, loss, opened, question, rule)
    else:
        outcome, report = convict(outcome, unsteady, loss, rule, options)
    known = loss, claim, outcome, rule
    return replace(
        report,
        strategy=choice.strategy,
        label=place.label,
        evaluations=report.evaluations + made,
        # No partials: whoever copies a report would copy the loss and all else that they hold.
        _suggest=lambda *wanted: _suggested((place, question), known, options, *wanted),
        _convergence=lambda: convergence(loss, claim, judged),
        ran=clock.said(opened.loss.run.ran),
        seconds=clock.seconds,
    )


def _suggested(
    asked: tuple[Point, Question],
    known: tuple[Loss, Claim, Outcome, Rule],
    options: Options,
    laws: frozenset[str],
    seconds: float,
) -> Suggestions:
    """What `GradientCheck.suggest` asks: a search with all that this check knows."""
    from fastgrad.repair.suggest import Suspect, suggest

    place, question = asked

    def recheck(gradient: Any, theta: Any, args: tuple[Any, ...]) -> GradientCheck:
        _, claim, _, rule = known
        if claim.unit.max(initial=0.0) > np.finfo(np.float64).eps:
            gradient = np.asarray(gradient, np.float32)  # judged with its own rounding, as it was
        there = replace(question, gradient=gradient, arguments=(question.arguments[0], args))
        plain = replace(options, progress=False)
        return check_at(replace(place, theta=theta, label=""), there, rule, plain)

    functions = question.loss, question.gradient
    suspect = Suspect(functions, place.theta, question.arguments, known, recheck)
    return suggest(suspect, laws, seconds)
