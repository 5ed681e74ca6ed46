"""The loss at theta, asked again and again: is it one number, and how much does it vary?"""

from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.evaluate.drawn_directions import Direction, Drawn
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.evaluate.purity import REORDERING, SCATTER, require_deterministic, require_finite
from fastgrad.numerics.stencils import CENTRAL

REPEATS = 3
"""Caught dropout of probability 1e-3 in 200 of 200 losses; rarer kinds show up during the sweep."""
PAIR = np.array([0.0, 0.0, 1.0, 1.0])
"""The same twice at theta and twice a unit away, where a loss that is random everywhere but at theta
shows it: two pairs of repeats see at least what three of one point do."""
AWAY = (1.0, 2.0**-6, CENTRAL[2].step)
"""Distances, in units, tried one after the other where the loss raises."""
MORE_REPEATS = 6
"""Repeats of a loss whose repeats differ: does it scatter, or approach a limit?"""
APPROACHES = 0.25
"""Repeats approach a limit if the second half of their changes is at most this part of the first."""


class Repeats(NamedTuple):
    """The loss at theta, asked again and again."""

    value: float
    spread: float = 0.0
    """How much the answers differed."""
    drifts: bool | None = None
    """Whether they approach a limit; None where they differ by no more than rounding."""
    away: float = 0.0
    """f at the other point that was repeated, about a unit away; 0 where there was none."""


def repeat_loss(run: Evaluator, outward: Direction | None = None) -> Repeats:
    """The loss at theta again and again, and, along ``outward``, at a first perturbed point.

    Parameters
    ----------
    outward : ndarray, shape (n,), optional
        A unit of each entry: there the loss is evaluated last.

    Raises
    ------
    NondeterministicLossError
        Repeats differ by more than `SCATTER`.
    NonFiniteLossError
        From the first value.
    """
    # In one call: between calls the random state is put back, and dropout would look the same.
    both = None if outward is None else _twice_at_both(run, outward)
    if both is None:
        here = there = run.along(np.zeros(run.theta.size), np.zeros(REPEATS)) + run.reference
    else:
        here, there = both[:2], both[2:]
    value = require_finite(float(here[0]))
    require_deterministic(there, SCATTER)
    spread = require_deterministic(here, SCATTER)
    away = 0.0 if both is None else float(there[0])
    if spread <= REORDERING * abs(value):
        return Repeats(value, spread, away=away)
    more = run.along(np.zeros(run.theta.size), np.zeros(MORE_REPEATS)) + run.reference
    more = np.append(here, more)
    changes = np.abs(np.diff(more))
    drifts = changes[changes.size // 2 :].max() <= APPROACHES * changes[: changes.size // 2].max()
    return Repeats(value, require_deterministic(more, SCATTER), bool(drifts), away)


def _twice_at_both(run: Evaluator, outward: Direction) -> Floats | None:
    """The loss twice at theta and twice away from it; None where it raises at any distance."""
    for distance in AWAY:
        with np.errstate(all="ignore"):
            both = along(run, outward, distance * PAIR) + run.reference
        if run.outside is None or np.isfinite(both).all():
            return both
    return None


def along(run: Evaluator, direction: Direction, offsets: Floats) -> Floats:
    """f on a line, whether its direction is written out or not."""
    if isinstance(direction, Drawn):
        return run.along_drawn(direction, offsets)
    return run.along(direction, offsets)
