"""The gradient under test measured along directions: ``v . (a - g)``, and what its bar is.

The first look is at the longest step at which truncation is still in the noise. An alarm counts only if
it stands at half of it, and once truncation is taken out, ``(4 y(h/2) - y(h)) / 3``, where the noise is
3 times wider.
"""

from dataclasses import dataclass, replace

import numpy as np

from fastgrad.checks.claim import Claim
from fastgrad.checks.rules import Rule
from fastgrad.differences.lines import SMALLEST_STEP, Lines
from fastgrad.evaluate.drawn import Direction
from fastgrad.numerics.bars import WIDER
from fastgrad.numerics.quotients import Quotients

FINER = 2.0
"""Part of the first step at which an alarm is looked at again."""
CONFIRMED = 3.0
"""Bars of a confirmation, in bars of the first look: (4 x 2 + 1) / 3."""
KINK = 4.0
"""A kink between the two steps biases y(h) by at most so many times what it shows: either y or the
second difference changes by an eighth of its jump, wherever it lies, and the bias is at most half."""
TOLERATED = 12.0
"""Directions show at most so many times the norm of errors of rtol: 6 sds, and twice the norm of
the gradient, for small entries are compared with the rms."""


@dataclass(frozen=True)
class Reading:
    """``v . (a - g)`` as measured, and the bar of its error; infinite where the loss was not."""

    y: float
    bar: float
    proves: bool = False
    """Whether neither kinks nor errors within rtol explain an alarm."""
    bends: bool = False
    """Whether the loss bends too much for twice the step."""
    made: int = 0
    """Evaluations of the loss made by then, of an alarm that stands."""

    @property
    def alarms(self) -> bool:
        """Whether it shows an error."""
        return abs(self.y) > self.bar

    def minus(self, other: "Reading") -> "Reading":
        """The reading of what is left, where the other is that of a part."""
        return Reading(self.y - other.y, self.bar + other.bar)


class Residuals:
    """Measures ``a - g`` along directions.

    Parameters
    ----------
    lines : Lines
        Of the loss.
    claim : Claim
        The gradient under test; it is exchanged for one in which what was found is corrected.
    rule : Rule
    """

    def __init__(self, lines: Lines, claim: Claim, rule: Rule):
        self.lines = lines
        self.claim = claim
        self.rule = rule
        self._unit = float(claim.unit.max())

    def measure(self, v: Direction, step: float) -> Reading:
        """``v . a`` against a central difference along v."""
        return self._reading(self.lines.at(v, step), self.claim.along(v))[0]

    def confirmed(self, v: Direction, first: float, seen: Quotients | None = None) -> Reading:
        """`measure`, and once more at half the step before an alarm is believed.

        Where the loss is not finite there, the step shrinks. The reading of an alarm that did not
        stand is that of half the step or of the confirmation, which does not alarm.

        Parameters
        ----------
        seen : Quotients, optional
            The difference along v, if it was taken before.
        """
        claimed = self.claim.along(v)
        far, bend = self._reading(self.lines.at(v, first) if seen is None else seen, claimed)
        while np.isinf(far.bar) and first > SMALLEST_STEP:
            first /= WIDER
            far, bend = self._reading(self.lines.at(v, first), claimed)
        if not far.alarms:
            return far
        near, less_bend = self._reading(self.lines.at(v, first / FINER), claimed)
        if not near.alarms:
            return replace(near, bends=True)
        y = (4 * near.y - far.y) / 3
        confirmation = Reading(y, (4 * near.bar + far.bar) / 3)
        if not confirmation.alarms:
            return confirmation
        kink = KINK * max(abs(far.y - near.y), abs(less_bend - bend / FINER))
        doubt = kink + TOLERATED * self.rule.rtol * claimed[1]
        made = self.lines.loss.run.evaluations
        return Reading(near.y, near.bar, proves=abs(near.y) > near.bar + doubt, made=made)

    def _reading(
        self, found: Quotients, claimed: tuple[float, float, float]
    ) -> tuple[Reading, float]:
        """A reading, and the second difference over the step: what a kink between shows."""
        total, size, known = claimed
        if not np.isfinite(found.D[0]):
            return Reading(0.0, float("inf")), 0.0
        bar = float(found.bar[0]) + 3 * self._unit * size + known
        bend = (found.above[0] - 2 * self.lines.loss.value + found.below[0]) / found.h[0]
        return Reading(float(total - found.D[0]), bar), float(bend)
