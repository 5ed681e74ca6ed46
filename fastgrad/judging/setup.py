"""A question, opened at a point: theta read, the loss repeated, the gradient under test asked."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.given_gradient import flat_gradient, free_by_claim
from fastgrad.checks.options import Options
from fastgrad.checks.points import Point
from fastgrad.checks.repeated_answers import Answers
from fastgrad.checks.rules import Rule
from fastgrad.differences.directions import Directions, Part
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured
from fastgrad.differences.repeats import repeat_loss
from fastgrad.differences.signs import signs_through
from fastgrad.evaluate.drawn_directions import written_out
from fastgrad.evaluate.jax_programs import Programs, programs_after
from fastgrad.evaluate.units import Units
from fastgrad.judging.question import Question
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.steps import absolute_steps


@dataclass(frozen=True)
class Opened:
    """A question at one point, once the loss was repeated and the gradient asked."""

    loss: Loss
    claim: Claim
    answers: Answers | None
    """What the gradient said each time that it was asked, if it is a function."""
    budget: Budget
    options: Options
    programs: Programs | None
    """What JAX compiles from here on; None where it is not loaded."""


def open_at(place: Point, question: Question, rule: Rule, options: Options) -> Opened:
    """The loss around a point, its repeats and its unit, and the gradient under test there."""
    layout, flat = place.read(place.theta)
    free = None
    if question.shaped["trainable"] is not None or not layout.plain:
        free = _free(question, layout, flat, place.theta)
    if free is not None or type(place.theta) is not np.ndarray:
        layout = layout.holding(place.theta, free)
    run = question.evaluator(layout, flat)
    options = replace(options, steps=absolute_steps(layout, flat, options.steps, free))
    units = Units.of(flat, layout, question.shaped["scale"], options.steps)
    # A unit of every entry that may be perturbed, away from zero.
    outward = signs_through(Directions(units.entry, free, 0), flat, [Part(0, 0, flat.size)])
    away = outward
    if isinstance(options.steps, np.ndarray):
        away = written_out(outward)
        away = np.copysign(np.minimum(np.abs(away), options.steps), away)
    answers: Answers | None = None
    if callable(question.gradient):
        answers = Answers(question.gradient_at(layout, flat, place.theta), run, outward, rule)
    budget = Budget(run, options.seconds)
    with budget.timing():
        measured = Measured(repeat_loss(run, away))
    del outward, away  # an array like theta, which may be large
    if answers is None:
        claim = Claim(*flat_gradient(question.gradient, layout))
    else:
        with budget.stopped():
            claim = answers.claim()
    loss = Loss(run, layout, free, units, measured)
    return Opened(loss, claim, answers, budget, options, programs_after(run.evaluations))


def _free(question: Question, layout: Layout, flat: Floats, theta: Any) -> Mask | None:
    """Which entries may be perturbed, shape (n,); None when all may."""
    trainable = question.shaped["trainable"]
    if trainable is not None:
        return layout.mask(trainable)
    if callable(question.gradient):
        return question.gradient_at(layout, flat, theta).free()
    return free_by_claim(question.gradient, layout)
