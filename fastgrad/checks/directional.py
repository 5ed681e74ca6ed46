"""Derivatives along one direction under test: every output judged with its own noise and bar.

A tangent moves all inputs at once, and is one column of a Jacobian: its entries are the outputs.
"""

from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.diagnose import diagnose, evidence_of
from fastgrad.checks.options import Options
from fastgrad.checks.rules import Rule
from fastgrad.checks.summary import summarise
from fastgrad.checks.sweep import sweep
from fastgrad.differences.pairs import Directional, pair_loss
from fastgrad.evaluate.vector import VectorEvaluator
from fastgrad.numerics.bars import ROUNDING, WIDER, noise_bar
from fastgrad.numerics.rounding import rounding_noise
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.two_steps import truncation
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.pairs import Columns, PairLayout
from fastgrad.results import GradientCheck

CLEAR = 10.0
"""An output is to blame on part of a tangent where it is off by so many bars."""
ONE_SIDED_GAIN = float(np.sqrt(4.0**2 + 3.0**2 + 1.0)) / 2
"""sd of a one-sided difference of order 2 over sigma / h; that of a central one is less."""
NOISY = 16.0
"""Noise of an output, in its own roundings: what sums over many terms come to."""


def check_along(
    run: VectorEvaluator,
    layout: Layout,
    along: Directional,
    claimed: tuple[Floats, Floats],
    rule: Rule,
    options: Options,
) -> GradientCheck:
    """Judge what is claimed to be the derivative of each output along a direction.

    Parameters
    ----------
    layout : Layout
        Of the inputs.
    along : Directional
        The direction, and what the outputs are called.
    claimed : (ndarray, ndarray)
        The derivatives, shape (p,), and the rounding unit of each block of outputs.
    """
    columns = Columns(np.zeros(layout.size, np.intp), 1)
    outputs = along.outputs

    def name_of(output: int, column: int) -> str:
        return outputs.name(output)

    pairs = PairLayout(outputs, layout, columns, name_of, named_by_outputs=True)
    loss = pair_loss(run, pairs, along.units, options.seed, along.direction)
    claim = Claim(claimed[0], claimed[1])
    outcome = sweep(loss, claim, rule, Budget(run.recorder, options.seconds), options)
    if outcome.verdict != "disagrees":
        report = summarise(outcome, loss, rule, options)
    else:
        report = summarise(
            outcome, loss, rule, options, diagnose(evidence_of(outcome, loss, claim))
        )
    return replace(report, strategy="sweep")


def is_off(run: VectorEvaluator, direction: Floats, claimed: Floats, rtol: float) -> bool:
    """Whether some output's derivative along a direction is clearly not what is claimed."""
    h = CENTRAL[2].step
    near, wide = (slope_along(run, direction, step) for step in (h, WIDER * h))
    t = truncation(near, wide)
    beside = run.along(direction, np.array([0.0, h]))
    bar = noise_bar(NOISY * rounding_noise(np.abs(beside).max(axis=0)), h, ONE_SIDED_GAIN)
    bar += np.abs(t) + ROUNDING * np.abs(near)
    slope = near - t
    return bool(np.any(np.abs(claimed - slope) > CLEAR * bar + rtol * np.abs(slope)))


def slope_along(run: VectorEvaluator, direction: Floats, h: float) -> Floats:
    """The change of all outputs along a direction, of which there may be room on its own side alone.

    Differences of order 2, shape (p,).
    """
    box = run.box
    if box is None or box.ahead(run.theta, -direction).min() > h:
        above, below = run.along(direction, np.array([h, -h]))
        return np.asarray((above - below) / (2 * h))
    at, near, far = run.along(direction, np.array([0.0, h, 2 * h]))
    return np.asarray((4 * near - 3 * at - far) / (2 * h))
