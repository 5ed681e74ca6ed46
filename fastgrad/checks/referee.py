"""The referee: no entry is called wrong against the evidence of other steps.

Stages judge by differences at one step or a few. Before they call a block wrong, its worst entries and
a few at random are heard: a first look at four other steps, and, where these do not all say the same,
their profile (`fastgrad.differences.profile`). Where all are convicted the others of the block follow;
where one has an alibi each is heard, or left open.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.outcome import Differences, Judged
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.differences.entries import Entries
from fastgrad.differences.profile import Judgment, Profile, Ruling, plainly_off

HEARD = 8
"""Entries of a block that are heard before it is called wrong."""
AT_RANDOM = 3
"""So many of them are not the worst."""
HEARD_ONE_BY_ONE = 64
"""The most that are heard of a block where one was not convicted."""

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
        Seconds left; what there is no time to hear is left open.
    """

    def __init__(
        self,
        entries: Entries,
        judged: Judged,
        rule: Rule,
        left: Callable[[], float] | None = None,
    ):
        self.entries, self.before, self.rule, self.left = entries, judged, rule, left
        old = judged.differences
        self.found = Differences(old.D.copy(), old.bar.copy(), old.step.copy())
        self.verdict = judged.verdict.copy()
        self.notes = dict(judged.notes)

    def hear(self) -> Judged:
        """The entries, with the verdicts of those that are called wrong confirmed or withdrawn."""
        wrong = (self.verdict == Verdict.DISAGREES) & np.isfinite(self.before.analytic)
        if not wrong.any():
            return self.before
        for b in np.unique(self.before.block[wrong]):
            self._hear_block(np.flatnonzero(wrong & (self.before.block == b)))
        return replace(self.before, differences=self.found, verdict=self.verdict, notes=self.notes)

    def _hear_block(self, accused: Indices) -> None:
        first = _chosen(accused, np.abs(self.before.analytic - self.before.numeric)[accused])
        convicted = [self._is_convicted(k) for k in first.tolist()]
        if all(convicted):
            return
        others = np.setdiff1d(accused, first)
        for k in others[:HEARD_ONE_BY_ONE].tolist():
            self._is_convicted(k)
        for k in others[HEARD_ONE_BY_ONE:].tolist():
            self.verdict[k] = Verdict.INCONCLUSIVE
            self.notes[k] = "others of its block depend on the step: it was not looked at again"

    def _is_convicted(self, k: int) -> bool:
        """Hear one entry; whether it stays wrong."""
        if self.left is not None and self.left() <= 0:
            return True
        line, unit = self._line(k), float(self.before.scales.unit[k])
        a = float(self.before.analytic[k])
        D, bar, step = (float(part[k]) for part in vars(self.before.differences).values())
        if plainly_off(line, a, (step, D, bar), unit):
            return True
        loss, x = self.entries.loss, float(self.entries.x[k])
        profile = Profile.take(line, unit, loss.base, x)
        self._rule(k, profile.judge(a, self._sizes(k), line), profile.grain)
        return bool(self.verdict[k] == Verdict.DISAGREES)

    def _sizes(self, k: int) -> tuple[float, float]:
        """The size beside which an error of an entry matters, and the error that does not."""
        scales, a = self.before.scales, abs(float(self.before.analytic[k]))
        one_unit = self.entries.loss.units.one_unit[scales.block[k]]
        typical = scales.rms[scales.block[k]] / scales.unit[k] if one_unit else 0.0
        return max(a, float(typical)), self.rule.rtol * a

    def _line(self, k: int) -> Callable[[Floats], Floats]:
        index = self.entries.indices[k : k + 1]
        return partial(_values, self.entries, index)

    def _rule(self, k: int, judgment: Judgment, grain: float) -> None:
        self.verdict[k] = VERDICTS[judgment.ruling]
        if np.isfinite(judgment.slope):
            self.found.D[k], self.found.step[k] = judgment.slope, judgment.step
            self.found.bar[k] = judgment.bar
        words = list(_words(judgment, grain, self.entries.loss.value))
        if words:
            self.notes[k] = "; ".join(words)
        else:
            self.notes.pop(k, None)


def _values(entries: Entries, index: Indices, offsets: Floats) -> Floats:
    return entries.loss.values(index, offsets[None, :])[0]


def _chosen(accused: Indices, error: Floats) -> Indices:
    """The worst of the accused and a few at random, `HEARD` in all."""
    if accused.size <= HEARD:
        return accused
    order = np.argsort(-error, kind="stable")
    worst, rest = order[: HEARD - AT_RANDOM], order[HEARD - AT_RANDOM :]
    drawn = np.random.default_rng(accused.size).choice(rest, AT_RANDOM, replace=False)
    return np.asarray(accused[np.sort(np.concatenate([worst, drawn]))])


COARSE = 16.0
"""A grain of so many units in the last place of the loss is worth a word."""


def _words(judgment: Judgment, grain: float, value: float) -> Iterator[str]:
    """What kind of loss it is whose slope depends on the step."""
    if judgment.ruling is Ruling.WRONG and judgment.other is None:
        return
    if judgment.sides is not None:
        low, high = judgment.sides
        yield f"a kink: subgradients from {low:.6g} to {high:.6g}"
        return
    if judgment.other is not None:
        slope, step = judgment.other
        yield (
            f"the slope depends on the step: {judgment.slope:.6g} at {judgment.step:.1g}, "
            f"{slope:.6g} at {step:.1g}"
        )
    jump = judgment.jump
    if jump is not None and jump.size:
        yield f"the loss jumps by {jump.size:.1g} at {jump.at:.1g}: computed to a tolerance?"
    elif judgment.other is not None:
        yield "kinks lie within the steps that its precision needs"
    if grain > COARSE * np.spacing(abs(value)):
        yield f"the loss is given to {grain:.1g}"
    elif np.isinf(judgment.resolved):
        yield "the loss does not move enough to be resolved at any step"
