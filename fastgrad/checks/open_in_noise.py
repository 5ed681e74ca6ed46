"""What a sweep leaves open in noise, and how far off that may be by what the sweep knows of it."""

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.budget import Budget
from fastgrad.checks.outcome import Judged
from fastgrad.checks.rules import Verdict
from fastgrad.checks.screen.noisy.limits import PARTS
from fastgrad.checks.stages.useless_bars import LONGEST_STEP
from fastgrad.differences.loss import Loss
from fastgrad.numerics.rough_slope import MOST_RUNGS, rough_slope

WIDE, LOOKED_AT_AGAIN = 0.1, 64
"""Entries that may be off by more than this part are looked at again, so many of them at most."""
LEAST_STEP = 2.0**-32
NOTHING = 0.01
"""An entry that does less to the loss than this part of the rms of all is compared with that."""


@dataclass(frozen=True)
class Left:
    """What a sweep left open, and what it knows of it; errors are in units of theta."""

    judged: Judged
    loss: Loss
    screens: bool = True
    """Whether directions look at it, too."""

    @cached_property
    def open(self) -> Mask:
        """The entries that differences do not tell, shape (m,).

        In noise it is not a kink at theta that some of them lie outside of, but one beside it.
        """
        verdict = self.judged.verdict
        return np.asarray((verdict == Verdict.INCONCLUSIVE) | (verdict == Verdict.KINK_OUTSIDE))

    @cached_property
    def together(self) -> Mask:
        """Those of them that are screened, if any, shape (m,): not the few of a block.

        All directions through these cross the same kink at theta, which passes for an error.
        """
        counts = np.bincount(self.judged.block[self.open], minlength=len(self.loss.layout.blocks))
        many = (counts >= 2 * PARTS)[self.judged.block]
        return np.asarray(self.open & many & self.screens)

    @cached_property
    def size(self) -> Floats:
        """What each entry does to the loss, as is claimed, shape (m,)."""
        return np.abs(self.judged.analytic) * self.judged.scales.unit

    @cached_property
    def error(self) -> Floats:
        """What each may be off by, ``|a - D| + B``, shape (m,)."""
        judged = self.judged
        return (judged.residual + judged.bar) * judged.scales.unit

    @property
    def can_be_screened(self) -> bool:
        """Whether that of every open entry is finite, and some of them is claimed not to be zero.

        Beside a gradient that is zero, as at a perfect fit, nothing is a part of it.
        """
        known = self.open.any() and np.isfinite(self.error[self.open]).all() and self.size.any()
        return bool(known and not self._is_refuted_beside_a_jump)

    @cached_property
    def excluded(self) -> Mask:
        """The open entries whose differences exclude what is claimed, shape (m,)."""
        return np.asarray(self.open & (self.judged.residual > self.judged.bar))

    @property
    def excluded_alone(self) -> Mask:
        """Those of them that are not screened, shape (m,): of these nothing else tells."""
        return np.asarray(self.excluded & ~self.together)

    @property
    def _is_refuted_beside_a_jump(self) -> bool:
        """Whether some step excludes what is claimed of an open entry, and a jump may be why.

        What hides it is not noise, and a screen of all tells nothing of the two slopes.
        """
        return not self.judged.beside_jumps.isdisjoint(np.flatnonzero(self.excluded).tolist())

    @cached_property
    def beside(self) -> Floats:
        """What that is compared with: the entry's size, or the rms of its block, shape (m,)."""
        scales = self.judged.scales
        alike = self.loss.units.one_unit[self.judged.block]
        typical = np.where(alike, scales.rms[self.judged.block], 0.0)
        return np.maximum(np.maximum(self.size, typical), NOTHING * scales.overall)

    @cached_property
    def parts(self) -> Floats:
        """The part of it that each open entry may be off by."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.error[self.open] / self.beside[self.open])

    @property
    def each(self) -> float:
        """The largest of these."""
        return float(np.max(self.parts, initial=0.0))

    def narrowed(self, budget: Budget) -> "Left":
        """The same with the widest bars of open entries taken at the steps that suit a rough loss."""
        D, bar, step = (x.copy() for x in (self.judged.numeric, self.judged.bar, self._step))
        doubted = self.excluded_alone
        for k in self._widest[:LOOKED_AT_AGAIN].tolist():
            if not budget.allows(2 * MOST_RUNGS):
                break
            unit = float(self.judged.scales.unit[k])
            line = partial(self._values, k)
            found = rough_slope(
                line, self.loss.base, self.loss.noise, (step[k] / unit, LEAST_STEP, LONGEST_STEP)
            )
            own = 0.0 if self.judged.rounding is None else float(self.judged.rounding[k])
            if found.bar / unit + own < bar[k] or (doubted[k] and np.isfinite(found.bar)):
                D[k], bar[k] = found.value / unit, found.bar / unit + own
                step[k] = found.step * unit
        differences = replace(self.judged.differences, D=D, bar=bar, step=step)
        return replace(self, judged=replace(self.judged, differences=differences))

    @property
    def _step(self) -> Floats:
        return self.judged.differences.step

    @property
    def _widest(self) -> Indices:
        """The open entries that may be off by much or seem to be off at all, the widest first."""
        much = self.open & (self.error > WIDE * self.beside)
        wide = np.flatnonzero(much | self.excluded_alone)
        return wide[np.argsort(-self.error[wide] / self.beside[wide], kind="stable")]

    def _values(self, k: int, offsets: Floats) -> Floats:
        """f along an entry, at offsets in its unit."""
        return self.loss.beside(self.judged.indices[k], offsets * self.judged.scales.unit[k])

    def of_block(self, b: int) -> Mask:
        """Its entries, shape (m,)."""
        return np.asarray(self.judged.block == b)

    def along(self, b: int) -> float:
        """The factor of a block, less one, that some entry of it would have shown by itself."""
        told = self.of_block(b) & ~self.open & (self.size > 0)
        return float(np.min(self.error[told] / self.size[told], initial=np.inf))
