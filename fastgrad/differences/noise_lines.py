"""The noise of a loss along all its lines, each at the spacing that suits it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.differences.directions import Directions
from fastgrad.differences.glimpse import (
    FEW_ENTRIES,
    NOISE_STREAM,
    noise_directions,
)
from fastgrad.differences.lattice import finest_offset
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured, NoiseLine
from fastgrad.differences.repeats import Repeats, repeat_loss
from fastgrad.evaluate.drawn_directions import Direction, written_out
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.evaluate.units import Units
from fastgrad.numerics.noise import ATTEMPTS, FIRST_SPACING, POINTS, settled_noise
from fastgrad.numerics.noise_tables import table_noise
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.parameters.layout import Layout

NOISE_DIRECTIONS = 5
"""Directions of which the largest noise counts: one alone was found 2 times too low."""
BRIEF_LINES = 3
"""So few directions do where the two largest noises differ by less than `ALIKE`, and where an alarm is
looked at again."""
ALIKE = 3.0
AWAY_FROM_IT = CENTRAL[2].step + FIRST_SPACING * POINTS
"""The offsets at which noise is looked for along one line that stands for all."""
BRIEFLY = 10
"""Up to so many parameters, all lines would take three evaluations an entry or more."""
UNLIKE = 3
"""Entries move by 1, 1/2 or 1/4 of their units along that line."""


def studied(loss: Loss, seed: int, brief: bool = False, first: Floats | None = None) -> Loss:
    """The loss with what all lines say of its noise, in some 30 evaluations.

    If ``brief``, until `BRIEF_LINES` tell of it, and the two that tell of most of it of about as much.
    ``first`` are the values at all of `POINTS` on the first line, if they are known.

    All lines are looked at with the first spacing. Only where none of them tells is another
    sought, on the first of them that shows noise at all; the others are looked at with that.
    """
    if loss.of_many:  # whose noise was measured when it was made
        return loss
    directions, spacing = noise_directions(loss, seed), FIRST_SPACING
    for attempts in (1, ATTEMPTS):
        known, lines = loss.measured.least, []
        told: list[float] = []
        for drawn, line in _noise_lines(loss, directions):
            finest = partial(_finest, loss, drawn)
            near = max(spacing, finest()) if loss.units.given else spacing
            values, first = line(near * POINTS) if first is None else first, None
            tries = 1 if told else attempts
            found = settled_noise(line, values, known, finest, near, tries)
            lines.append(NoiseLine(found.sigma, found.values + loss.run.reference, found.spacing))
            if found.sigma is not None:
                known, told = max(known, found.sigma), sorted([*told, found.sigma])
                spacing = found.spacing if attempts > 1 else spacing
            if brief and len(told) >= BRIEF_LINES and told[-1] <= ALIKE * told[-2]:
                break
        if told:
            break
    return replace(loss, measured=replace(loss.measured, lines=tuple(lines)))


def _noise_lines(
    loss: Loss, directions: Directions
) -> Iterator[tuple[Callable[[], Direction], Callable[[Floats], Floats]]]:
    """Directions, and f along the lines that noise is measured on: exact lattices near theta.

    A direction is drawn when it is first asked for: the values on the first line may be known.

    Some start at theta and some a step off it. Entries move by plus or minus their own unit, a power
    of two, so that rounding of the *points* is not taken for noise of f. A step away counts too:
    where f is zero, as at a perfect fit, it is exact. Where entries are few, each is a line of its
    own: two cancel along a direction.
    """
    free = directions.mask
    away = CENTRAL[2].step
    count = loss.theta.size if free is None else int(np.count_nonzero(free))
    for k in range(NOISE_DIRECTIONS if count > FEW_ENTRIES else 1):
        drawn = cache(partial(directions.along, NOISE_STREAM + k, exact=True))
        start = away if k % 2 else 0.0
        yield drawn, partial(_along, loss, drawn, start)
    if count <= FEW_ENTRIES:
        units = np.abs(written_out(drawn()))
        for i in np.flatnonzero(units).tolist():
            own = np.zeros(units.size)
            own[i] = units[i]
            yield partial(np.asarray, own), partial(_beside, loss, i, own[i], away)


def _along(loss: Loss, drawn: Callable[[], Direction], start: float, offsets: Floats) -> Floats:
    return loss.along(drawn(), start + offsets)


def _finest(loss: Loss, drawn: Callable[[], Direction]) -> float:
    return finest_offset(loss.theta, drawn())


def _beside(loss: Loss, index: int, scale: float, start: float, offsets: Floats) -> Floats:
    return loss.beside(index, scale * (start + offsets))


def measure_loss(
    run: Evaluator,
    layout: Layout,
    free: Mask | None,
    units: Units,
    known: tuple[int, Repeats | None] = (0, None),
) -> Loss:
    """The loss with its noise and its precision, in some 30 evaluations.

    Parameters
    ----------
    known : (int, Repeats or None)
        The seed, and what `repeat_loss` gave, which is called without it.

    Raises
    ------
    NondeterministicLossError, NonFiniteLossError
    """
    seed, repeats = known
    repeats = repeat_loss(run) if repeats is None else repeats
    guessed = replace(units, unknown=None)  # nobody is to find them
    return studied(Loss(run, layout, free, guessed, Measured(repeats)), seed)


def measure_briefly(run: Evaluator, layout: Layout, free: Mask | None, units: Units) -> Loss:
    """The same in eight evaluations for few entries, where the noise on one line is of rounding.

    It counts twice (`fastgrad.differences.measured.ONE_LINE`). The line is a step off theta, where
    differences are taken, and its entries move by unlike parts of their units, of which no two cancel.
    Theta comes first and last.

    Raises
    ------
    NondeterministicLossError, NonFiniteLossError
    """
    count = run.theta.size if free is None else int(np.count_nonzero(free))
    if run.structured or count > BRIEFLY:
        return measure_loss(run, layout, free, units)
    v = Directions(units.near, free, 0).draw(NOISE_STREAM, exact=True)
    v = np.ldexp(v, -(np.arange(v.size) % UNLIKE))
    with np.errstate(all="ignore"):
        values = run.along(v, np.concatenate([[0.0], AWAY_FROM_IT, [0.0]]))
    if np.isfinite(values).all() and values[0] == values[-1]:
        value, beside = float(values[0]), values[1:-1]
        measured = Measured(Repeats(value), NoiseLine(table_noise(beside), beside))
        if measured.is_plain:
            return Loss(run, layout, free, units, measured)
    return measure_loss(run, layout, free, units)
