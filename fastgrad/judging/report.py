"""An outcome, explained: the laws of what is wrong, and whether the gradient is one at all."""

from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.away_from_theta import told_elsewhere
from fastgrad.checks.curl import CURL_CALLS, curl
from fastgrad.checks.diagnose import diagnose, evidence_of
from fastgrad.checks.diagnose.arrays_of_loss import data_of
from fastgrad.checks.diagnose.repeated_indices import with_lookups
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.repeated_answers import Unsteady, convicted, diagnosed
from fastgrad.checks.rules import Rule
from fastgrad.checks.screen.block_words import beside
from fastgrad.checks.summary import summarise
from fastgrad.checks.tolerance import with_tolerances
from fastgrad.differences.confined import Confined
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.judging.question import Question
from fastgrad.judging.setup import Opened
from fastgrad.results import GradientCheck


def explain(
    outcome: Outcome, loss: Loss, opened: Opened, question: Question, rule: Rule
) -> GradientCheck:
    """The report, with the laws of what is wrong, and whether it is a gradient at all."""
    claim, budget, options = opened.claim, opened.budget, opened.options
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
            outcome = replace(outcome, remarks=(*outcome.remarks, sentence))
    return summarise(outcome, loss, rule, options, diagnoses)


def convict(
    outcome: Outcome, unsteady: Unsteady, loss: Loss, rule: Rule, options: Options
) -> tuple[Outcome, GradientCheck]:
    """The outcome where answers of the gradient at theta are not one, and the report that says so."""
    outcome = convicted(outcome, unsteady, loss.layout)
    why = (diagnosed(unsteady, loss.layout),)
    return outcome, summarise(outcome, loss, rule, options, why)


def _steps_of(judged: Judged, loss: Loss) -> Floats:
    """Default steps of all entries, or shorter ones where differences needed them; 0 of constants."""
    steps = Entries(loss, np.arange(loss.theta.size)).steps()
    steps[judged.indices] = np.minimum(steps[judged.indices], judged.differences.step)
    if loss.free is not None:
        steps[~loss.free] = 0.0
    if isinstance(loss.run, Confined):  # the gradient is not asked outside either
        steps[loss.run.box.near(loss.theta, 2 * steps)] = 0.0
    return steps
