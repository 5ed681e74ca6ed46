"""The check of a question at one point: measure the loss, read the gradient, judge, explain."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.checks.block_checks import unchecked_block
from fastgrad.checks.budget import Budget, would_do
from fastgrad.checks.claim import Claim
from fastgrad.checks.convergence import convergence
from fastgrad.checks.curl import CURL_CALLS, curl
from fastgrad.checks.diagnose import diagnose, evidence_of
from fastgrad.checks.diagnose.data import data_of
from fastgrad.checks.diagnose.lookups import with_lookups
from fastgrad.checks.edges import away_from_bounds
from fastgrad.checks.elsewhere import told_elsewhere
from fastgrad.checks.given import Gradient, flat_gradient, free_by_claim
from fastgrad.checks.left_open import (
    kept_for_what_is_left,
    sweep_and_screen,
    sweep_and_tell,
    sweeps_in_vain,
)
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.partial import judged_so_far
from fastgrad.checks.points import Point
from fastgrad.checks.rules import Rule
from fastgrad.checks.screen import refute, screen
from fastgrad.checks.screen.cost import screen_evaluations
from fastgrad.checks.screen.told import beside
from fastgrad.checks.state import Answers, Unsteady, convicted, diagnosed, outward_of
from fastgrad.checks.summary import summarise
from fastgrad.checks.sweep import (
    ADAPTIVE_PAIRS,
    EACH_ENTRY,
    SECOND_LOOKS,
    studies_at_once,
)
from fastgrad.checks.tolerance import with_tolerances
from fastgrad.cluster.campaign import NOTHING, Campaign
from fastgrad.differences.confined import Confined, confined
from fastgrad.differences.entries import Entries
from fastgrad.differences.glimpse import LINE_EVALUATIONS, glimpsed
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured
from fastgrad.differences.noise_lines import studied
from fastgrad.differences.own_units import in_own_units
from fastgrad.differences.repeats import REPEATS, repeat_loss
from fastgrad.errors import ExecutorError
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.compiling import Clock
from fastgrad.evaluate.drawn import written_out
from fastgrad.evaluate.programs import programs_after
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.signature import root_name
from fastgrad.evaluate.units import Units
from fastgrad.parameters.arguments import Argnum
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.steps import absolute_steps
from fastgrad.report.progress import say_plan
from fastgrad.report.suggestion import Suggestions
from fastgrad.results import GradientCheck
from fastgrad.spaces.guess import looks_like
from fastgrad.spaces.placed import placed

AT_ONCE = 2.0**-33
"""Steps in units that nothing leads to but a loss that is not finite at longer ones."""
MOST_ENTRIES = 0.5

Strategy = Callable[[Loss, Claim, Rule, Budget, Options], Outcome]

STRATEGIES: dict[str, Strategy] = {"sweep": sweep_and_tell, "screen": screen}
"""Strategies by the names that users give; "auto" takes one of the two."""


@dataclass(frozen=True)
class Question:
    """What is asked at every point."""

    loss: Callable[..., Any]
    gradient: Any
    arguments: tuple[Argnum, tuple[Any, ...]]
    """The position of theta among the arguments, and the others."""
    shaped: Mapping[str, Any]
    """What is shaped like theta: ``trainable``, ``scale``, ``bounds``, ``names`` and ``space``."""
    running: Mapping[str, Any]
    """``backend`` and ``structure``."""
    through: Campaign = NOTHING
    """The executor and the checkpoint."""

    def evaluator(self, layout: Layout, flat: Floats, **running: Any) -> Evaluator:
        """The loss around a flat theta."""
        inputs = Inputs(layout, flat, self.args, self.arguments[0])
        options = {**self.running, **running}
        run = evaluator(self.loss, inputs, **options)
        run = self.through.evaluator(run, self.loss, inputs, options)
        bounds = self.shaped["bounds"]
        if bounds is None:
            return run
        return confined(run, bounds, layout, layout.mask(self.shaped["trainable"]))

    @property
    def args(self) -> tuple[Any, ...]:
        """The other arguments."""
        return self.arguments[1]

    def free(self, layout: Layout, flat: Floats, theta: Any) -> Mask | None:
        """Which entries may be perturbed, shape (n,); None when all may."""
        trainable = self.shaped["trainable"]
        if trainable is not None:
            return layout.mask(trainable)
        if layout.plain:
            return None
        if callable(self.gradient):
            return self.claim(layout, flat, theta).free()
        return free_by_claim(self.gradient, layout)

    def claim(self, layout: Layout, flat: Floats, theta: Any) -> Gradient:
        """The gradient under test at one theta, if it is a function."""
        return Gradient(self.gradient, layout, flat, theta, self.args, self.arguments[0])


@dataclass(frozen=True)
class _Opened:
    """A question at one point, once the loss was repeated and the gradient asked."""

    loss: Loss
    claim: Claim
    answers: Answers | None
    """What the gradient said each time that it was asked, if it is a function."""
    budget: Budget
    options: Options

    @property
    def unsteady(self) -> Unsteady | None:
        """Answers of the gradient that are not one answer."""
        return None if self.answers is None else self.answers.unsteady


def check_at(place: Point, question: Question, rule: Rule, options: Options) -> GradientCheck:
    """Measure the loss, read the gradient, judge, explain: the check at one point."""
    clock = Clock()
    opened = _opened(place, question, rule, options)
    run = opened.loss.run
    programs = programs_after(run.evaluations)
    cheapest = _cheapest(opened.loss, opened.options)
    affordable = _with_a_glimpse(opened, cheapest[0])
    if affordable is None:
        return replace(_refused(opened, rule, cheapest), label=place.label)
    opened = affordable
    strategy = _chosen(opened.loss, opened.claim, opened.budget, opened.options)
    outcome, loss, made = _judged(opened, question, rule, strategy)
    if programs is not None:
        outcome = outcome.saying(*programs.remarks(run.evaluations))
    claim, options = opened.claim, opened.options
    if opened.answers is not None:
        with opened.budget.stopped():
            opened.answers.at_the_end()
    if opened.unsteady is None:
        report = _explained(outcome, loss, claim, (rule, options, opened.budget), question)
    else:
        report = _summary(outcome, opened.unsteady, loss, rule, options)
    judged = loss, claim, _blamed(outcome, opened), rule
    return replace(
        report,
        strategy=strategy,
        label=place.label,
        evaluations=report.evaluations + made,
        _suggest=_mender(place, question, judged, options),
        _convergence=lambda: convergence(loss, claim, outcome.judged),
        ran=clock.said(run.ran),
        seconds=clock.seconds,
    )


def _blamed(outcome: Outcome, opened: _Opened) -> Outcome:
    """The outcome, with what varies from call to call called wrong."""
    unsteady = opened.unsteady
    return outcome if unsteady is None else convicted(outcome, unsteady, opened.loss.layout)


def _opened(place: Point, question: Question, rule: Rule, options: Options) -> _Opened:
    """The loss around a point, its repeats and its unit, and the gradient under test there."""
    root = root_name(question.loss, question.arguments[0])
    layout, flat = placed(place.theta, question.shaped["space"], root)
    layout = layout.called(question.shaped["names"])
    free = question.free(layout, flat, place.theta)
    layout = layout.holding(place.theta, free)
    run = question.evaluator(layout, flat)
    options = replace(options, steps=absolute_steps(layout, flat, options.steps, free))
    units = Units.of(flat, layout, question.shaped["scale"], options.steps)
    outward = outward_of(flat, units, free)
    away = outward
    if isinstance(options.steps, np.ndarray):
        away = written_out(outward)
        away = np.copysign(np.minimum(np.abs(away), options.steps), away)
    answers: Answers | None = None
    if callable(question.gradient):
        answers = Answers(question.claim(layout, flat, place.theta), run, outward, rule)
    budget = Budget(run, options.seconds)
    with budget.timing():
        measured = Measured(repeat_loss(run, away))
    del outward, away  # an array like theta, which may be large
    if answers is None:
        claim = Claim(*flat_gradient(question.gradient, layout))
    else:
        with budget.stopped():
            claim = answers.claim()
    return _Opened(Loss(run, layout, free, units, measured), claim, answers, budget, options)


def _with_a_glimpse(opened: _Opened, needed: int) -> _Opened | None:
    """The same once the loss was seen away from theta; None where the budget allows no verdict."""
    loss, budget, options = opened.loss, opened.budget, opened.options
    if studies_at_once(loss, options):
        return opened
    if options.strategy != "screen" and budget.allows(needed):
        with budget.timing():  # away from theta it may cost more
            loss = glimpsed(loss, options.seed)
            told = in_own_units(loss, options.seed)
            loss = loss if told is None else glimpsed(told, options.seed)
        needed -= LINE_EVALUATIONS
    return replace(opened, loss=loss) if budget.allows(needed) else None


def _judged(
    opened: _Opened, question: Question, rule: Rule, strategy: str
) -> tuple[Outcome, Loss, int]:
    """What a strategy found, the loss as it knows it, and evaluations of another evaluator."""
    loss, claim, budget, options = opened.loss, opened.claim, opened.budget, opened.options
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
        outcome = judge(loss, claim, rule, budget, options)
    except ExecutorError as error:
        outcome = judged_so_far(loss, claim, rule, error)
    hint = ""
    if outcome.verdict == "inconclusive" and (
        opened.loss.run.outside is not None or _is_left_at_once(outcome)
    ):
        hint = looks_like(layout, opened.loss.theta)
    outcome = outcome.saying(*said, *layout.remarks(), *([hint] if hint else []))
    return outcome, outcome.loss or loss, made


def _is_left_at_once(outcome: Outcome) -> bool:
    """Whether the loss is not finite beside theta in most entries, as off a set that it refuses."""
    judged = outcome.judged
    if judged is None:
        return False
    short = judged.differences.step <= AT_ONCE * judged.scales.unit
    return bool(np.mean(short | ~np.isfinite(judged.numeric)) > MOST_ENTRIES)


def _refused(opened: _Opened, rule: Rule, cheapest: tuple[int, str]) -> GradientCheck:
    """The report where there is time for no verdict, but of what a first look refutes."""
    loss, claim, budget, options = opened.loss, opened.claim, opened.budget, opened.options
    outcome = _refuted(loss, claim, rule, budget, options)
    outcome = outcome or _refusal(loss.layout, budget, cheapest)
    report = _summary(outcome, opened.unsteady, loss, rule, options)
    return replace(report, strategy=cheapest[1])


def _refuted(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options
) -> Outcome | None:
    """What a first look refutes, where there is time for no more."""
    if options.strategy == "sweep" or loss.run.structured or isinstance(options.steps, str):
        return None
    return refute(loss, claim, rule, budget, options)


def _cheapest(loss: Loss, options: Options) -> tuple[int, str]:
    """Evaluations of the shortest way to a verdict, once the loss is repeated, and what it is."""
    screened = screen_evaluations(loss), "screen"
    if options.strategy == "screen" or isinstance(options.steps, str):
        return screened
    return min(screened, (EACH_ENTRY * loss.count + LINE_EVALUATIONS, "sweep"))


def _mender(
    place: Point,
    question: Question,
    judged: tuple[Loss, Claim, Outcome, Rule],
    options: Options,
) -> Callable[[frozenset[str], float], Suggestions]:
    """What `GradientCheck.suggest` asks: a search with all that this check knows."""

    def recheck(gradient: Any, theta: Any, args: tuple[Any, ...]) -> GradientCheck:
        if judged[1].unit.max(initial=0.0) > np.finfo(np.float64).eps:
            gradient = np.asarray(gradient, np.float32)  # judged with its own rounding, as it was
        there = replace(question, gradient=gradient, arguments=(question.arguments[0], args))
        plain = replace(options, progress=False)
        return check_at(Point(theta, ""), there, judged[3], plain)

    def search(laws: frozenset[str], seconds: float) -> Suggestions:
        from fastgrad.repair.suggest import Suspect, suggest

        functions = question.loss, question.gradient
        return suggest(
            Suspect(functions, place.theta, question.arguments, judged, recheck), laws, seconds
        )

    return search


def _chosen(loss: Loss, claim: Claim, budget: Budget, options: Options) -> str:
    """The strategy asked for, or the one that fits and can decide."""
    if isinstance(options.steps, str):
        budget.pairs = ADAPTIVE_PAIRS
    if options.strategy != "auto":
        return options.strategy
    screened = screen_evaluations(loss)
    if EACH_ENTRY * loss.count * budget.pairs <= screened:
        return "sweep" if budget.allows_a_sweep(loss) or not budget.allows(screened) else "screen"
    kept = kept_for_what_is_left(loss)
    if not budget.allows_a_sweep(loss, SECOND_LOOKS + kept):
        return "screen"
    return "screen" if kept and sweeps_in_vain(loss, claim, options.seed) else "sweep"


def _explained(
    outcome: Outcome,
    loss: Loss,
    claim: Claim,
    asked: tuple[Rule, Options, Budget],
    question: Question,
) -> GradientCheck:
    """The report, with the laws of what is wrong, and whether it is a gradient at all."""
    rule, options, budget = asked
    judged = None if outcome.in_noise is not None else outcome.judged
    if outcome.verdict != "disagrees" or judged is None:
        return summarise(outcome, loss, rule, options, outcome.told)
    names = [block.name for block in loss.layout.blocks]
    data = data_of(question.loss, *question.arguments)
    evidence = evidence_of(outcome, loss, claim)
    why = with_tolerances(diagnose(evidence, data.lengths, rule.rtol, loss.value), outcome, names)
    why = told_elsewhere(why, evidence, loss, claim, budget)
    why = with_lookups(why, evidence, data.indices)
    diagnoses = beside(why, outcome.told)
    if (
        loss.layout.linear
        and claim.function is not None
        and claim.is_finite
        and CURL_CALLS * budget.gradient <= budget.left()
    ):
        steps = _steps_of(judged, loss)
        found = curl(claim.function, loss.theta, options.seed, claim.values, steps)
        # Where a law explains the error, as a change of variables does, a curl says no more.
        if found.conservative or not all(diagnosis.explains for diagnosis in diagnoses):
            sentence = found.beside(outcome.relative_error)
            outcome = outcome.saying(sentence)
    return summarise(outcome, loss, rule, options, diagnoses)


def _summary(
    outcome: Outcome, unsteady: Unsteady | None, loss: Loss, rule: Rule, options: Options
) -> GradientCheck:
    """The report, which says first if the answers of the gradient at theta are not one."""
    if unsteady is None:
        return summarise(outcome, loss, rule, options, outcome.told)
    why = (diagnosed(unsteady, loss.layout),)
    return summarise(convicted(outcome, unsteady, loss.layout), loss, rule, options, why)


def _steps_of(judged: Judged, loss: Loss) -> Floats:
    """Default steps of all entries, or shorter ones where differences needed them; 0 of constants."""
    steps = Entries(loss, np.arange(loss.theta.size)).steps()
    steps[judged.indices] = np.minimum(steps[judged.indices], judged.differences.step)
    if loss.free is not None:
        steps[~loss.free] = 0.0
    if isinstance(loss.run, Confined):  # the gradient is not asked outside either
        steps[loss.run.box.near(loss.theta, 2 * steps)] = 0.0
    return steps


def _refusal(layout: Layout, budget: Budget, cheapest: tuple[int, str]) -> Outcome:
    """The outcome where the budget does not even allow the cheapest way to a verdict."""
    evaluations, strategy = cheapest
    enough = would_do((evaluations + REPEATS + 1) * budget.evaluation)
    remark = (
        f"The budget of {budget.seconds:g} s does not allow a {strategy}: one evaluation takes "
        f"{budget.evaluation:.2g} s, and about {evaluations} are needed; "
        f"{enough}."
    )
    return Outcome("inconclusive", tuple(map(unchecked_block, layout.blocks)), 0.0, (remark,))
