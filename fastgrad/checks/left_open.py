"""What a sweep leaves open in noise is screened together, and both are joined in one outcome.

In float32 and with kinks a bar of some entries is wider than what they are compared with. What a sweep
knows of them is that each is within ``|a - D| + B``; directions through these entries alone tell of all
of them together what no single one shows. A gradient agrees if the two leave no more room for an error
than a screen of all of it may.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.edges import away_from_bounds
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.rules import SEVERITY, Rule, Verdict
from fastgrad.checks.screen.noisy import screen_rough
from fastgrad.checks.screen.noisy.limits import PARTS, useful_limits
from fastgrad.checks.screen.rough import ROUGH, is_rough
from fastgrad.checks.stages.useless_bars import LONGEST_STEP, RESOLVED
from fastgrad.checks.sweep import sweep
from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import heard, is_coarse, rounding_of
from fastgrad.differences.loss import Loss
from fastgrad.numerics.bars import noise_bar
from fastgrad.numerics.norms import norm
from fastgrad.numerics.rough import MOST_RUNGS, rough_slope

KEPT = 300
"""Evaluations kept for what a sweep leaves open: a screen of a rough loss took 100 to 280."""
EACH = 1.0
"""No verdict is left where a single entry may be off by its own size or its block's rms: a zero, a sign
and a factor of 2 are excluded in all of typical size. What a sweep calls wrong it has called so."""
WIDE, LOOKED_AT_AGAIN = 0.1, 64
"""Entries that may be off by more than this part are looked at again, so many of them at most."""
LEAST_STEP = 2.0**-32
NOTHING = 0.01
"""An entry that does less to the loss than this part of the rms of all is compared with that."""
FEW_TOLD, FEW_IF_COARSE = 0.1, 0.5
"""A sweep is no use where it tells fewer of the entries than this part from gross errors; with few
digits theta itself is rounded, and the loss stands still along single entries."""


def is_in_noise(loss: Loss) -> bool:
    """Whether the loss is computed in fewer digits than float64 has, by its values or its noise.

    A value of 300 alone may be one of half precision, and says nothing where others have more digits.
    """
    least, measured = ROUGH * abs(loss.value), loss.measured
    if least == 0.0 or loss.noise > least:
        return least > 0.0
    return rounding_of(loss) > least and (measured.glimpse is None or measured.is_coarse)


def kept_for_what_is_left(loss: Loss) -> int:
    """Evaluations that are kept to screen what a sweep leaves open."""
    return KEPT if is_in_noise(loss) and not loss.run.structured else 0


def sweeps_in_vain(loss: Loss, claim: Claim, seed: int) -> bool:
    """Whether the noise of the loss hides nearly all entries one by one."""
    rounding = rounding_of(loss)
    if not is_rough(loss, rounding):
        return False
    directions = Directions(loss.units.entry, claim.movable(loss.free), seed)
    known = heard(loss, directions, rounding / abs(loss.value))
    return part_told(known, claim) < (FEW_IF_COARSE if is_coarse(known) else FEW_TOLD)


def part_told(loss: Loss, claim: Claim) -> float:
    """The part of the entries of which a sweep can tell a gross error, by the noise of the loss.

    A difference over the longest step has the narrowest bar; an entry that is zero by mistake, or of
    the wrong sign, is off by its own size at least.
    """
    bar = float(noise_bar(loss.noise, LONGEST_STEP))
    told = 0
    for b, block in enumerate(loss.layout.blocks):
        part = slice(block.start, block.stop)
        free = np.ones(block.size, np.bool_) if loss.free is None else loss.free[part]
        effect = np.abs(claim.values[part] * loss.units.entry[part])[free]
        known = effect[np.isfinite(effect)]
        if loss.units.one_unit[b] and known.size:
            effect = np.maximum(effect, norm(known) / np.sqrt(known.size))
        told += int(np.count_nonzero(~(bar > RESOLVED * effect)))
    return told / max(loss.count, 1)


def sweep_and_screen(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options
) -> Outcome:
    """Judge every entry, and screen together what its noise leaves open."""
    kept = kept_for_what_is_left(loss)
    with budget.keeping(kept):
        swept = sweep(loss, claim, rule, budget, options)
    judged, known = swept.judged, swept.loss or loss
    # Of a float32 in other units its values alone say nothing, but the noise that a sweep measures.
    rough = kept or kept_for_what_is_left(known)
    if not rough or judged is None or swept.verdict != "inconclusive":
        return swept
    left = Left(judged, known)
    if not left.can_be_screened:
        return swept
    free = np.zeros(known.layout.size, np.bool_)
    free[judged.indices[left.together]] = True
    if not free.any():
        return _told_by_bars(swept, left, budget)
    rest = away_from_bounds(replace(known, free=free))[0]
    if rest.count < np.count_nonzero(free):  # directions would not move all of them
        return swept
    directions = Directions(rest.units.entry, claim.movable(rest.free), options.seed)
    rest = heard(rest, directions, rounding_of(rest) / abs(rest.value))
    together = (directions, (), "")
    screened = screen_rough(rest, claim, rule, budget, together, " of these together")
    return Joined(swept, screened, left.narrowed(budget)).outcome()


def sweep_and_tell(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options
) -> Outcome:
    """Judge every entry, and tell within what those are that noise leaves open, by their bars alone."""
    swept = sweep(loss, claim, rule, budget, options)
    judged, known = swept.judged, swept.loss or loss
    if judged is None or swept.verdict != "inconclusive" or not kept_for_what_is_left(loss):
        return swept
    left = Left(judged, known, screens=False)
    if not left.can_be_screened:
        return swept
    return _told_by_bars(swept, left, budget)


def _told_by_bars(swept: Outcome, left: "Left", budget: Budget) -> Outcome:
    """What a sweep decided, and within what the rest is by its bars: directions say nothing of it."""
    nothing = Outcome("agrees", swept.blocks, 0.0, ())
    return Joined(swept, nothing, left.narrowed(budget)).outcome()


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
        at = offsets * self.judged.scales.unit[k]
        return self.loss.values(self.judged.indices[k : k + 1], at[None, :])[0]

    def of_block(self, b: int) -> Mask:
        """Its entries, shape (m,)."""
        return np.asarray(self.judged.block == b)

    def along(self, b: int) -> float:
        """The factor of a block, less one, that some entry of it would have shown by itself."""
        told = self.of_block(b) & ~self.open & (self.size > 0)
        return float(np.min(self.error[told] / self.size[told], initial=np.inf))


class Joined:
    """What a sweep decided entry by entry, and what directions say of the rest.

    Parameters
    ----------
    swept, screened : Outcome
    left : Left
    """

    def __init__(self, swept: Outcome, screened: Outcome, left: Left):
        self.swept, self.screened, self.left = swept, screened, left
        self.names = [block.name for block in left.loss.layout.blocks]
        self.told = told = screened.in_noise or {}
        """What directions say in numbers."""
        open_ = [left.of_block(b) & left.together for b in range(len(self.names))]
        self.rest = [norm(left.size[which]) for which in open_]
        """The norm of what was screened of each block."""
        along, shape = told.get("along", {}), told.get("any_shape", {})
        self.along = {
            name: min(left.along(b), along.get(name, np.inf)) for b, name in self._with_gradient()
        }
        self.shape = {
            name: self._off(left.of_block(b), shape.get(name, np.inf), self.rest[b])
            for b, name in self._with_gradient()
        }
        everything = np.ones(left.size.size, np.bool_)
        missed = told.get("whole_any_shape", np.inf)
        self.whole = self._off(everything, missed, norm(np.array(self.rest)))

    def _with_gradient(self) -> Iterator[tuple[int, str]]:
        """The blocks of which some gradient is claimed."""
        for b, name in enumerate(self.names):
            if self.left.size[self.left.of_block(b)].any():
                yield b, name

    def _off(self, which: Mask, part: float, rest: float) -> float:
        """What some entries may be off by, over their norm; the open ones by a part of theirs."""
        left, together = self.left, part * rest if rest else np.inf
        alone = norm(left.error[which & ~left.together])
        together = min(together, norm(left.error[which & left.together]))
        return float(np.hypot(alone, together)) / norm(left.size[which])

    def outcome(self) -> Outcome:
        """The outcome of both."""
        blocks = tuple(
            replace(block, verdict=self._verdict_of(b)) for b, block in enumerate(self.swept.blocks)
        )
        verdicts = {block.verdict for block in blocks} | {self._verdict_of_whole()}
        others = (r for r in self.screened.remarks if r not in self.swept.remarks)
        return replace(
            self.swept,
            judged=self.left.judged,
            verdict=min(verdicts, key=SEVERITY.index),
            blocks=blocks,
            remarks=(*self.swept.remarks, self._said(), *others),
            readings=self.screened.readings,
            told=(*self.swept.told, *self.screened.told),
            in_noise=self._numbers(),
        )

    def _verdict_of(self, b: int) -> str:
        """The verdict of a block, of which directions must have seen what is open."""
        name, swept = self.names[b], self.swept.blocks[b].verdict
        if swept != "inconclusive":
            return swept
        if self.screened.blocks[b].verdict == "disagrees":
            return "disagrees"
        seen = not self.rest[b] or np.isfinite(self.told.get("along", {}).get(name, np.inf))
        seen &= not self.left.excluded_alone[self.left.of_block(b)].any()
        sure = self.along.get(name, 0.0) <= useful_limits(self.left.loss)[0]
        return "agrees" if sure and seen else "inconclusive"

    def _verdict_of_whole(self) -> str:
        if self.screened.verdict == "disagrees":
            return "disagrees"
        seen = not any(self.rest) or np.isfinite(self.told.get("whole_any_shape", np.inf))
        sure = self.whole <= useful_limits(self.left.loss)[1] and self.left.each < EACH
        return "agrees" if sure and seen else "inconclusive"

    def _numbers(self) -> dict[str, Any]:
        sums = {
            name: self.left.size[self.left.of_block(b)].sum() for b, name in self._with_gradient()
        }
        total = sum(sums.values())
        return {
            **self.told,
            "along": self.along,
            "any_shape": self.shape,
            "whole_along": max(self.along.values(), default=np.inf),
            "all_along": sum(self.along[name] * sums[name] for name in sums) / total,
            "whole_any_shape": self.whole,
            "open": int(np.count_nonzero(self.left.open)),
            "each": self.left.each,
            "half": float(np.median(self.left.parts)),
        }

    def _said(self) -> str:
        count = int(np.count_nonzero(self.left.open))
        return (
            f"The noise of the loss hides {count:,} of {self.left.open.size:,} entries one by one: each "
            f"is within {100 * self.left.each:.2g}% of its own size or its block's rms, half of them "
            f"within {100 * float(np.median(self.left.parts)):.2g}%. "
            + (
                "They were screened together."
                if any(self.rest)
                else "They are too few to be screened."
                if self.left.screens
                else "Each is known by its own differences alone."
            )
        )
