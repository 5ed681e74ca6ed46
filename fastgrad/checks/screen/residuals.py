"""The gradient under test measured along directions: ``v . (a - g)``, and what its bar is.

The first look is at the longest step at which truncation is still in the noise. An alarm counts only if
it stands at half of it, and once truncation is taken out, ``(4 y(h/2) - y(h)) / 3``, where the noise is
3 times wider.
"""

from dataclasses import dataclass, replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.rules import Rule
from fastgrad.differences.lines import SMALLEST_STEP, Lines
from fastgrad.evaluate.drawn_directions import Direction
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


class OutOfBudgetError(Exception):
    """The time allowed is over."""


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
    bend: float = 0.0
    """The second difference over the step: what a kink between shows."""

    @property
    def alarms(self) -> bool:
        """Whether it shows an error."""
        return abs(self.y) > self.bar


@dataclass
class Residuals:
    """Measures ``a - g`` along directions, as far as the time allows.

    Parameters
    ----------
    lines : Lines
        Of the loss.
    claim : Claim
        The gradient under test; it is exchanged for one in which what was found is corrected.
    rule : Rule
    budget : Budget, optional
        If not given, there is no limit.
    """

    lines: Lines
    claim: Claim
    rule: Rule
    budget: Budget | None = None

    def confirmed(self, v: Direction, first: float, seen: Floats | None = None) -> Reading:
        """`measure`, and once more at half the step before an alarm is believed.

        Where the loss is not finite there, the step shrinks. The reading of an alarm that did not
        stand is that of half the step or of the confirmation, which does not alarm.

        Parameters
        ----------
        seen : ndarray, shape (2,), optional
            f above and below, if it was taken before.
        """
        claimed = self.claim.along(v)
        far = self.measure(v, first, claimed, seen)
        while np.isinf(far.bar) and first > SMALLEST_STEP:
            first /= WIDER
            far = self.measure(v, first, claimed)
        if not far.alarms:
            return far
        near = self.measure(v, first / FINER, claimed)
        if not near.alarms:
            return replace(near, bends=True)
        y = (4 * near.y - far.y) / 3
        confirmation = Reading(y, (4 * near.bar + far.bar) / 3)
        if not confirmation.alarms:
            return confirmation
        kink = KINK * max(abs(far.y - near.y), abs(near.bend - far.bend / FINER))
        doubt = kink + TOLERATED * self.rule.rtol * claimed[1]
        made = self.lines.loss.run.evaluations
        return replace(near, proves=abs(near.y) > near.bar + doubt, made=made)

    def measure(
        self,
        v: Direction,
        step: float,
        claimed: tuple[float, float, float] | None = None,
        seen: Floats | None = None,
    ) -> Reading:
        """``v . a`` against a central difference along v.

        Parameters
        ----------
        claimed : (float, float, float), optional
            What `Claim.along` says of v, if it was asked before.
        seen : ndarray, shape (2,), optional
            f above and below, if it was taken before.

        Raises
        ------
        OutOfBudgetError
            There is no time for one more difference.
        """
        if seen is None:
            if self.budget is not None and not self.budget.allows():
                raise OutOfBudgetError
            seen = self.lines.loss.along(v, np.array([step, -step]))
        noise = self.lines.noise(v, step)
        found = Quotients.central(seen[None, :], np.array([step]), noise)
        total, size, known = self.claim.along(v) if claimed is None else claimed
        if not np.isfinite(found.D[0]):
            return Reading(0.0, float("inf"))
        bar = float(found.bar[0]) + 3 * float(self.claim.unit.max()) * size + known
        bend = (seen[0] - 2 * self.lines.loss.value + seen[1]) / step
        return Reading(float(total - found.D[0]), bar, bend=float(bend))
