"""The referee: no entry is called wrong against the evidence of other steps.

Stages judge by differences at one step or a few. Before they call a block wrong, its worst entries and
a few at random are heard: a first look at four other steps, and, where these do not all say the same,
their profile (`fastgrad.differences.profile`). Where all are convicted the others of the block follow;
where one has an alibi each is heard, or left open.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from itertools import takewhile

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.kind_of_loss import words_of
from fastgrad.checks.outcome import Judged
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.checks.staircases import HIDDEN, Treads
from fastgrad.differences.entries import Entries
from fastgrad.differences.few_digits import HEARD_EVALUATIONS
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import FEW_ROUNDINGS
from fastgrad.differences.own_units import is_lost
from fastgrad.differences.plain_errors import TURNED, WIDE_LOOK, plainly_off
from fastgrad.differences.profile import PLAIN_GRAINS, PROFILE_EVALUATIONS, Profile
from fastgrad.differences.profile_rulings import Judgment, Ruling
from fastgrad.numerics.bars import WIDER
from fastgrad.numerics.noise import UNSURPRISING
from fastgrad.numerics.rounding import rounding_noise
from fastgrad.numerics.steps import power_of_two

HEARD = 8
"""Entries of a block that are heard before it is called wrong."""
AT_RANDOM = 3
"""So many of them are not the worst."""
HEARD_ONE_BY_ONE = 64
"""The most that are heard of a block where one was not convicted."""
LOOK_EVALUATIONS = 9
"""What a first look takes."""
FAR = 2.0**-10
"""Part of its unit beyond which an entry of a unit of its own may turn at all steps of a first look."""
BENDS = 2.0**-6
"""A second difference beyond this part of the first over the same step is looked at again."""
JUMP_SDS = 16.0
"""The noise of a second difference, six of its sds."""
GROWS = 2.0**1.5
"""At 8 times the step the second difference of a jump is what it was, that of a kink has grown by 8."""

ODD, SINGLE = 0.25, 2.0**-18
"""The part of a wide bend that the odd part of f may be where its slope is nothing; and of f itself that
a bend may be and yet be 32 roundings in single precision."""

LOST_EVALUATIONS = 13
"""Evaluations that tell whether f turns within a last place of theta."""
LOST = "the loss turns between neighbouring numbers: nothing can be told of its slope"
NO_TIME = "there was no time to look at it again, at other steps"
UNHEARD = "others of its block depend on the step: it was not looked at again"

VERDICTS = {
    Ruling.RIGHT: Verdict.AGREES,
    Ruling.WRONG: Verdict.DISAGREES,
    Ruling.KINK: Verdict.KINK_VALID,
    Ruling.OPEN: Verdict.INCONCLUSIVE,
}


class Referee:
    """Hears entries that were judged, one by one.

    Parameters
    ----------
    entries : Entries
        In the order of ``judged``.
    judged : Judged
    rule : Rule
    left : callable, optional
        Seconds left; what there is no time to hear stays as it was judged.
    seconds : float
        What one evaluation takes.
    """

    def __init__(
        self,
        entries: Entries,
        judged: Judged,
        rule: Rule,
        left: Callable[[], float] | None = None,
        seconds: float = 0.0,
    ):
        self.entries, self.before, self.rule, self.left = entries, judged, rule, left
        self._seconds = seconds
        self._is_late = False
        """Whether there was no time for what was asked for last."""
        self._treads = Treads(entries, judged)
        self._flat: dict[int, float] = {}
        """Entries along which no step resolves the loss, and its grain as it was known."""

    @cached_property
    def grain(self) -> float:
        """The coarsest grain of the loss that was seen."""
        return self.entries.loss.measured.grain

    def hear(self) -> Judged:
        """The same entries, their verdicts confirmed or withdrawn where other steps may gainsay them."""
        finite = np.isfinite(self.before.analytic)
        verdict = self.before.verdict
        accused = np.flatnonzero((verdict == Verdict.DISAGREES) & finite)
        # What has no difference has no profile either: it lies at the edge of the loss's domain.
        told = finite & np.isfinite(self.before.numeric)
        unsure = np.flatnonzero((verdict == Verdict.INCONCLUSIVE) & told)
        acquitted = self._suspects_among_agreeing()
        if not (accused.size or unsure.size or acquitted.size):
            return self.before
        self._open()
        for b in np.unique(self.before.block[accused]):
            self._hear_accused(accused[self.before.block[accused] == b])
        for b in np.unique(self.before.block[unsure]):
            self._hear_unsure(unsure[self.before.block[unsure] == b])
        for k in acquitted.tolist():
            self._hear_in_full(k)
        for k, grain in list(self._flat.items()):  # others may have shown a coarser grain since
            if self.grain > grain:
                self._hear_in_full(k)
        return self._judged()

    def confirm(self, brief: bool) -> Judged:
        """The same entries, those that are called wrong heard; if ``brief``, the worst of them first.

        Others are heard only if it has an alibi, or if they have a slope of nothing in a unit of their
        own, beyond whose turns they may have been looked at; its look is at two wider steps alone.
        Those in units of their own that are off, or far out, and could not be told, are heard as well.
        """
        finite = np.isfinite(self.before.analytic)
        accused = np.flatnonzero((self.before.verdict == Verdict.DISAGREES) & finite)
        off = np.abs(self.before.analytic - self.before.numeric) > self.before.bar
        off |= self.entries.loss.units.given
        off &= ~self.entries.loss.units.one_unit[self.before.block]
        unsure = np.flatnonzero((self.before.verdict == Verdict.INCONCLUSIVE) & finite & off)[
            :HEARD
        ]
        if not (accused.size or unsure.size):
            return self.before
        self._open()
        for k in unsure.tolist():
            self._hear_in_full(k)
        if accused.size == 0:
            return self._judged()
        if brief:
            excess = np.abs(self.before.analytic - self.before.numeric)[accused]
            worst = int(accused[int(np.argmax(excess / self.before.bar[accused]))])
            others = accused[accused != worst]
            if self._is_convicted(worst, brief=True):
                for k in others[self._may_have_turned(others)].tolist():
                    self._is_convicted(k)
                return self._judged()
            accused = others
        for b in np.unique(self.before.block[accused]):
            self._hear_accused(accused[self.before.block[accused] == b])
        return self._judged()

    def _may_have_turned(self, which: Indices) -> Mask:
        """Whether entries in units of their own have slopes of nothing beside what is claimed."""
        before = self.before
        alone = ~self.entries.loss.units.one_unit[before.scales.block[which]]
        distance = np.abs(before.analytic[which] - before.numeric[which])
        return np.asarray(alone & (np.abs(before.numeric[which]) <= TURNED * distance))

    def _open(self) -> None:
        old = self.before.differences
        self.found = replace(old, D=old.D.copy(), bar=old.bar.copy(), step=old.step.copy())
        self.verdict, self.notes = self.before.verdict.copy(), dict(self.before.notes)
        self.beside_jumps = set(self.before.beside_jumps)

    def _judged(self) -> Judged:
        self._leave_what_is_lost()
        return replace(
            self.before,
            differences=self.found,
            verdict=self.verdict,
            notes=self.notes,
            beside_jumps=frozenset(self.beside_jumps),
        )

    def _leave_what_is_lost(self) -> None:
        """Call nothing wrong along which f turns within a last place of theta."""
        loss = self.entries.loss
        if loss.run.structured:
            return
        wrong = np.flatnonzero((self.verdict == Verdict.DISAGREES) & np.isfinite(self.found.D))
        if loss.noise <= UNSURPRISING * rounding_noise(loss.value):
            wrong = wrong[self._may_have_turned(wrong)]
        for k in wrong[:HEARD_ONE_BY_ONE].tolist():
            place = float(np.spacing(abs(self.entries.x[k])))
            wide = WIDE_LOOK * float(self.before.scales.unit[k])
            if self._has_time(LOST_EVALUATIONS) and is_lost(self._line(k), place, wide):
                self.verdict[k], self.notes[k] = Verdict.INCONCLUSIVE, LOST

    def _hear_accused(self, accused: Indices) -> None:
        """Hear those of one block that are called wrong, the worst first.

        Where there is no time for any of them, the worst has two more pairs; where these do not show
        the error as well, nobody is called wrong by the single step that was looked at.
        """
        first = _chosen(accused, np.abs(self.before.analytic - self.before.numeric)[accused])
        heard = list(
            takewhile(lambda said: said is not None, map(self._is_convicted, first.tolist()))
        ) or [self._is_convicted(int(first[0]), brief=True)]
        if all(heard):
            return
        others = np.concatenate([first[len(heard) :], np.setdiff1d(accused, first)]).tolist()
        more = others[:HEARD_ONE_BY_ONE]
        told = sum(1 for _ in takewhile(lambda k: self._is_convicted(k) is not None, more))
        for k in others[told:]:
            self.verdict[k] = Verdict.INCONCLUSIVE
            self.notes[k] = NO_TIME if self._is_late else UNHEARD

    def _hear_unsure(self, unsure: Indices) -> None:
        """Hear those of one block that could not be told, while that tells them."""
        told = 0
        for count, k in enumerate(unsure[:HEARD_ONE_BY_ONE].tolist()):
            if count >= HEARD and not told:
                return
            self._hear_in_full(k)
            told += self.verdict[k] != Verdict.INCONCLUSIVE

    def _is_convicted(self, k: int, brief: bool = False) -> bool | None:
        """Hear one entry that is called wrong; whether it stays so, None if there is no time to.

        If ``brief``, two wider steps are looked at in any case.
        """
        self._is_late = not self._has_time(LOOK_EVALUATIONS)
        if self._is_late and not brief:
            return None
        before, line = self.before, self._line(k)
        D, bar, step = (float(x[k]) for x in (before.numeric, before.bar, before.differences.step))
        a, unit = float(before.analytic[k]), float(before.scales.unit[k])
        in_time = self._has_time(HEARD_EVALUATIONS)
        if self._treads.hide(k, abs(a - D), step, in_time):
            self.verdict[k], self.notes[k] = Verdict.INCONCLUSIVE, HIDDEN
            return False
        second = before.differences.second
        bent = second is None or abs(float(second[k])) * step > abs(a - D)  # as at a kink at theta
        turned = step > FAR * unit and bool(self._may_have_turned(np.array([k]))[0])
        near, x = (step, D, bar), float(self.entries.x[k])
        if not turned and plainly_off(line, a, near, unit, brief and not bent, x):
            return True
        self._is_late = not self._has_time(PROFILE_EVALUATIONS)
        if self._is_late:
            self.verdict[k], self.notes[k] = Verdict.INCONCLUSIVE, NO_TIME
            return False
        self._hear_in_full(k)
        return bool(self.verdict[k] == Verdict.DISAGREES)

    def _hear_in_full(self, k: int) -> None:
        """Take the profile of an entry, and rule."""
        if not self._has_time(PROFILE_EVALUATIONS):
            return
        line = self._line(k)
        step = float(np.nan_to_num(self.before.differences.step[k]))
        unit = max(float(self.before.scales.unit[k]), float(power_of_two(step / WIDE_LOOK)))
        loss, x = self.entries.loss, float(self.entries.x[k])
        profile = Profile.take(line, unit, loss.base, x, self.grain)
        if not profile.windows.resolved.any():
            self._flat[k] = self.grain
        self.grain = max(self.grain, profile.grain)
        judgment = profile.judge(float(self.before.analytic[k]), self._sizes(k), line)
        words = "; ".join(words_of(judgment, profile.grain, max(abs(loss.value), profile.largest)))
        error = abs(float(self.before.analytic[k]) - judgment.slope)
        beyond_telling = self._is_rounding(k, judgment) or error <= profile.least_error
        if judgment.ruling is Ruling.WRONG and beyond_telling:
            self.verdict[k] = Verdict.INCONCLUSIVE
            return
        in_time = self._has_time(HEARD_EVALUATIONS)
        if judgment.ruling is Ruling.WRONG and self._treads.hide(k, error, judgment.step, in_time):
            self.verdict[k], self.notes[k] = Verdict.INCONCLUSIVE, HIDDEN
            return
        if judgment.ruling is Ruling.OPEN and loss.measured.silent:
            least = untold(profile, loss)
            if abs(float(self.before.analytic[k])) <= least:
                judgment = replace(judgment, ruling=Ruling.RIGHT)
                words = f"the loss is saturated: below {least:.1g} nothing can be told"
        if judgment.ruling is Ruling.OPEN and not words:
            if self.verdict[k] != Verdict.DISAGREES:
                return
            words = "no step resolves its slope"
        self.verdict[k] = VERDICTS[judgment.ruling]
        if np.isfinite(judgment.slope):
            self.found.D[k], self.found.bar[k] = judgment.slope, judgment.bar
            self.found.step[k] = judgment.step
        self.notes[k] = words
        self.beside_jumps.discard(k)
        if judgment.ruling is Ruling.OPEN and judgment.jump is not None and judgment.jump.size:
            self.beside_jumps.add(k)

    def _is_rounding(self, k: int, judgment: Judgment) -> bool:
        """Whether the gradient under test may be off by that much by its own rounding."""
        own = self.before.rounding
        if own is None:
            return False
        error = abs(float(self.before.analytic[k]) - judgment.slope)
        return bool(error <= judgment.bar + own[k])

    def _suspects_among_agreeing(self) -> Indices:
        """Those that agree with a difference that its neighbours may refute.

        A difference of exactly 0 wants one pair at a wide step, for a flat loss hides any zero; one that
        bends is even there, where rounding alone is not. A second difference that does not grow with the
        step is a jump within it.
        """
        agrees = self.before.verdict == Verdict.AGREES
        second, step = self.before.differences.second, self.before.differences.step
        still = agrees & (self.before.numeric == 0.0)
        found = [self._odd_far_off(still)]
        if second is not None:
            bend = np.abs(second) * step**2
            bent = agrees & ~still  # those whose difference is 0 were looked at above
            bent &= bend > BENDS * np.abs(self.before.numeric) * step
            bent &= bend > step * np.maximum(self.before.bar, 0.0)
            rows = np.flatnonzero(bent)
            if rows.size:
                sigma = self.entries.loss.noise_of(self.entries.indices[rows])
                rows = rows[bend[rows] > JUMP_SDS * sigma][:HEARD_ONE_BY_ONE]
            if rows.size and self._has_time(2 * rows.size):
                wide = self.entries.at(rows, WIDER * step[rows])
                base = self.entries.loss.base
                wider = np.abs((wide.above - base) + (wide.below - base))
                found.append(rows[wider < GROWS * bend[rows]][:HEARD])
        return np.unique(np.concatenate(found))

    def _odd_far_off(self, still: Mask) -> Indices:
        """Those of which a difference of 0 says nothing: far off f moves one way more than the other.

        A flat f moves at all; one whose bend may be a few roundings in single precision has an odd part.
        """
        if not still.any():
            return np.zeros(0, np.intp)
        second, step = self.before.differences.second, self.before.differences.step
        unit, base = self.before.scales.unit, self.entries.loss.base
        bend = np.zeros(still.size) if second is None else np.abs(second) * (WIDER * step) ** 2
        little = still & (bend > 0.0) & (bend <= SINGLE * abs(base))
        flat = np.flatnonzero(still & (bend == 0.0))[:HEARD_ONE_BY_ONE]
        rows = np.concatenate([flat, np.flatnonzero(little)[:HEARD]])
        if not (rows.size and self._has_time(2 * rows.size)):
            return rows[:0]
        wide = self.entries.at(rows, WIDE_LOOK * unit[rows])
        even = np.where(little[rows], np.abs((wide.above - base) + (wide.below - base)), 0.0)
        odd = np.abs(wide.above - wide.below)
        return rows[np.isfinite(wide.D) & (odd > ODD * even)][:HEARD]

    def _has_time(self, evaluations: int) -> bool:
        return self.left is None or self.left() > evaluations * self._seconds

    def _sizes(self, k: int) -> tuple[float, float]:
        """The size beside which an error of an entry matters, and the error that does not."""
        scales, a = self.before.scales, abs(float(self.before.analytic[k]))
        one_unit = self.entries.loss.units.one_unit[scales.block[k]]
        typical = scales.rms[scales.block[k]] / scales.unit[k] if one_unit else 0.0
        return max(a, float(typical)), self.rule.rtol * a

    def _line(self, k: int) -> Callable[[Floats], Floats]:
        return partial(self._values, self.entries.indices[k : k + 1])

    def _values(self, index: Indices, offsets: Floats) -> Floats:
        """f along an entry; what it takes is remembered."""
        began = time.perf_counter()
        values = self.entries.loss.values(index, offsets[None, :])[0]
        self._seconds = (time.perf_counter() - began) / offsets.size
        return values


def _chosen(accused: Indices, error: Floats) -> Indices:
    """The worst of the accused, and then a few at random, `HEARD` in all."""
    order = np.argsort(-error, kind="stable")
    if accused.size <= HEARD:
        return np.asarray(accused[order])
    worst, rest = order[: HEARD - AT_RANDOM], order[HEARD - AT_RANDOM :]
    drawn = np.random.default_rng(accused.size).choice(rest, AT_RANDOM, replace=False)
    return np.asarray(accused[np.concatenate([worst, drawn])])


def untold(profile: Profile, loss: Loss) -> float:
    """The slope of which a saturated loss tells nothing: its rounding over steps where it is still."""
    rounding = float(np.spacing(max(abs(loss.value), 1.0)))
    moved = np.maximum(np.abs(profile.above - loss.base), np.abs(profile.below - loss.base))
    still = profile.t[moved <= FEW_ROUNDINGS * rounding]
    return PLAIN_GRAINS * rounding / (2 * float(still.max())) if still.size else 0.0
