"""A loss of few entries, measured by its own differences: what they are read from shows the noise, too.

Lines of noise take six evaluations and theta another two, as many as the differences of two entries. Of
a smooth f the second differences of an entry at two steps say the same but for noise: each entry tells
of it once, beside itself, and a point next to a difference's own tells of it again.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.differences.domain import sample_inside
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured, NoiseLine
from fastgrad.differences.noise_lines import BRIEFLY, measure_briefly
from fastgrad.differences.repeats import Repeats
from fastgrad.differences.second_looks import WideLine, wide_direction
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.evaluate.units import Units
from fastgrad.numerics.noise import FIRST_SPACING
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.two_steps import TwoSteps
from fastgrad.parameters.layout import Layout

TOLD_BY = 5
"""So many values that noise alone makes tell of it. With sd counted twice and bars of six, the law of a
mean of squares leaves one error in 10,000 beyond its bar; with three values, one in 800."""
BOTH_STEPS = TwoSteps(CENTRAL[2])


class Few(NamedTuple):
    """What was evaluated around few entries, in the order of `Loss.indices`."""

    values: Floats
    """f at the places of `BOTH_STEPS`, shape (m, 4)."""
    h: Floats
    line: WideLine | None
    """A look at wide steps, where it was taken."""


def measured(
    run: Evaluator, layout: Layout, free: Mask | None, units: Units, steps: Floats | None
) -> tuple[Loss, Few | None]:
    """A loss with its noise, and the values that its differences of order 2 are read from.

    Theta comes first and last along one line. Lines of noise are asked where differences say little of
    it, because f scatters, is coarse, or bends over the steps of some entry; and where there are many
    entries, or a block of one unit, of which a few are probed first.

    Parameters
    ----------
    steps : ndarray, shape (n,), optional
        The user's.

    Raises
    ------
    NondeterministicLossError, NonFiniteLossError, LossError
    """
    bare = Loss(run, layout, free, units, Measured(Repeats(0.0)))
    if run.structured or bare.count > BRIEFLY or units.one_unit.any():
        return measure_briefly(run, layout, free, units), None
    indices, default = bare.indices, steps is None
    h = Entries(bare, indices).steps(steps)
    direction = wide_direction(bare, indices, h)
    with np.errstate(all="ignore"):
        line = bare.along(direction, np.array([0.0, 1.0, -1.0, 0.0]) if default else np.zeros(2))
    value = float(line[0])
    if not np.isfinite(value) or value != line[-1]:
        return measure_briefly(run, layout, free, units), None
    values, h = sample_inside(run, layout, BOTH_STEPS, indices, h, default)
    few = Few(values, h, WideLine(direction, line[1:3]) if default else None)
    sigma, beside = _noise_seen(bare, few, value)
    if np.isfinite(sigma):
        glimpse = NoiseLine(sigma or None, np.append(values, beside))
        told = Measured(Repeats(value), glimpse)
        if told.is_plain:
            return replace(bare, measured=told), few
    return measure_briefly(run, layout, free, units), few


def _noise_seen(loss: Loss, few: Few, value: float) -> tuple[float, Floats]:
    """sd of the noise of f beside the entries, and f at the points that were needed beside theirs.

    The mean square of `TOLD_BY` values at least that noise alone makes, in terms of their covariance.
    """
    which, values, h = loss.indices, few.values, few.h
    x, m = loss.theta[which], which.size
    D, E, seen = BOTH_STEPS.noise_seen(values, value, x, h)
    covariance = BOTH_STEPS.noise_covariance(m)
    beside = np.zeros(0)
    if m < TOLD_BY:
        turns, rows = np.divmod(np.arange(TOLD_BY - m), m)
        offsets = h[rows] + (1 + turns) * FIRST_SPACING * loss.units.near[which][rows]
        beside = loss.values(which[rows], offsets[:, None])[:, 0]
        moved = (x[rows] + offsets) - (x[rows] + h[rows])
        expected = moved * (D[rows] + E[rows] * (h[rows] + moved / 2))
        seen = np.append(seen, beside - values[rows, 0] - expected)
        from_above = np.eye(m)[rows]  # f above x is in both of them
        own = np.eye(rows.size) + from_above @ from_above.T
        covariance = np.block([[covariance, -from_above.T], [-from_above, own]])
    if not np.isfinite(seen).all():
        return np.inf, beside
    size = np.abs(seen).max()
    if size == 0.0:
        return 0.0, beside
    parts = seen / size
    return size * float(np.sqrt(parts @ np.linalg.solve(covariance, parts) / seen.size)), beside
