"""check_grad with method="complex": a gradient held against slopes that are exact to rounding."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad.checks.bars_alone import judge_plainly
from fastgrad.checks.claim import Claim
from fastgrad.checks.diagnose import diagnose, evidence_of
from fastgrad.checks.given_gradient import Gradient, flat_gradient
from fastgrad.checks.options import Options
from fastgrad.checks.rules import Rule
from fastgrad.checks.summary import summarise
from fastgrad.complex_gradient import rounding_of, steps_at, whole_slopes
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured
from fastgrad.differences.repeats import repeat_loss
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.signature import root_name
from fastgrad.evaluate.units import Units
from fastgrad.parameters.arguments import Argnum
from fastgrad.parameters.layout import flatten
from fastgrad.results import GradientCheck


def check_by_complex_steps(
    loss: Callable[..., Any],
    grad: Any,
    theta: Any,
    args: tuple[Argnum, tuple[Any, ...]],
    options: dict[str, Any],
) -> GradientCheck:
    """The check of a gradient against complex steps; ``options`` are rtol, trainable, backend, seed."""
    began = time.perf_counter()
    argnum, others = args
    layout, flat = flatten(theta, root_name(loss, argnum))
    steps = steps_at(loss, Inputs(layout, flat, others, argnum), options["backend"])
    repeats = repeat_loss(steps.run)
    if callable(grad):
        gradient = Gradient(grad, layout, flat, theta, others, argnum)
        claim = Claim(*gradient.here(), gradient.elsewhere)
    else:
        claim = Claim(*flat_gradient(grad, layout))
    slopes = whole_slopes(layout, steps, options["trainable"])
    free, units = layout.mask(options["trainable"]), Units.of(flat, layout)
    if free is not None:
        claim = replace(claim, values=np.where(free, claim.values, 0.0))
    rule = Rule(options["rtol"])
    outcome = judge_plainly(layout, claim, (slopes, rounding_of(slopes, layout)), units.entry, rule)
    measured = Loss(steps.run, layout, free, units, Measured(repeats))
    why = diagnose(evidence_of(outcome, measured, claim)) if outcome.verdict == "disagrees" else ()
    report = summarise(outcome, measured, rule, Options(seed=options["seed"]), why)
    said = "Judged by complex steps, exact to rounding; a real difference along a direction agrees."
    return replace(
        report,
        strategy="sweep",
        remarks=(*report.remarks, said),
        evaluations=steps.evaluations + steps.run.evaluations,
        seconds=time.perf_counter() - began,
    )
