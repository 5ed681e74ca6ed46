"""Entries judged one by one: differences in three stages, each only for what the one before left open.

1. Two evaluations an entry. What agrees within its bar is done.
2. For the others, two more at 8 times the step: truncation is read off and taken out. Where it
   cannot be, the entry gets a step of its own and starts again.
3. For those still open, and not plainly smooth, four more at h/2 and h/16: is there a kink, and
   does every step that can tell say that the entry is wrong?
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Differences, Judged, Scales
from fastgrad.checks.referee import Referee
from fastgrad.checks.rules import USEFUL_BAR, USEFUL_BAR_OF_ZERO, Rule, Verdict
from fastgrad.differences.entries import Entries
from fastgrad.numerics.bars import CORRECTED, NEGLIGIBLE, UNCERTAIN, WIDER, truncation
from fastgrad.numerics.kinks import KINK, Slopes, find_kinks
from fastgrad.numerics.norms import size_of
from fastgrad.numerics.quotients import Quotients

FINER = (1 / 16, 1 / 2)
"""Steps of the third stage, in h."""

LATER_STAGES = 3.0
"""What the second and third stage cost an entry, in costs of the first; with a step of its own, up
to `OWN_STEP` times as much."""
OWN_STEP = 4.0
BORROWED = 2.0
"""An entry so many times smaller than its unit has it from its block."""
BENT = 2.0**-6
"""f is no straight line over the steps if its second difference is beyond this part of the first."""
BEND_SDS = 16.0
"""The noise of a second difference: six of its sds, 6 sqrt(6)."""
CLIMBS = 8
"""How often a step is lengthened by 8, at most: 2^24 times."""
BATCH = 0.1
"""Part of the time left that is spent before the clock is looked at again."""


def judge(
    entries: Entries,
    claim: Claim,
    rule: Rule,
    h: Floats,
    rms: Floats | None = None,
    left: Callable[[], float] | None = None,
) -> Judged:
    """Judge entries of a gradient one by one.

    Parameters
    ----------
    h : ndarray, shape (m,)
        Steps to begin with.
    rms : ndarray, shape (blocks,), optional
        The size of each block's gradient, where these entries are too few to tell.
    left : callable, optional
        Seconds left for the second and third stage; the worst entries come first.

    Raises
    ------
    NondeterministicLossError
        The loss at theta changed under way.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return Referee(
            entries, _Stages(entries, claim, rule, rms, left).judge(h), rule, left
        ).hear()


def glance(
    entries: Entries, claim: Claim, rule: Rule, h: Floats
) -> tuple[Judged | None, Quotients]:
    """`judge` by the first stage alone: None where it leaves anything open, and its differences."""
    with np.errstate(invalid="ignore", over="ignore"):
        judged, raw = _Stages(entries, claim, rule, None, None).glance(h)
        return None if judged is None else Referee(entries, judged, rule).hear(), raw


class _Stages:
    """The three stages of some entries, in u = theta / s, with s their units.

    There all steps, gradients and bars of entries in seconds and in metres can be compared.
    """

    def __init__(
        self,
        entries: Entries,
        claim: Claim,
        rule: Rule,
        known_rms: Floats | None,
        left: Callable[[], float] | None,
    ):
        self.entries, self.rule, self.known_rms, self.left = entries, rule, known_rms, left
        self.unfinished = 0
        self.s = entries.units
        self.a = claim.at(entries.indices) * self.s
        stops = [block.stop for block in entries.loss.layout.blocks]
        self.block = np.searchsorted(stops, entries.indices, side="right")
        self.blocks = len(stops)
        self.rounding = claim.rounding(self.a, self.block)
        self.rounding += claim.scatter_at(entries.indices) * self.s
        self.one_unit = entries.loss.units.one_unit[self.block]
        self.notes: dict[int, str] = {}

    def glance(self, h: Floats) -> tuple[Judged | None, Quotients]:
        first = self._first_stage(h)
        self._set_scales(np.isfinite(self.D))
        self.verdict[self._is_within_tolerance(np.arange(h.size))] = Verdict.AGREES
        raw = replace(first, h=first.h * self.s)
        plain = (
            np.isfinite(self.a).all()
            and (self.verdict == Verdict.AGREES).all()
            and not self._is_useless().any()
        )
        return self._judged() if plain else None, raw

    def judge(self, h: Floats) -> Judged:
        began = time.perf_counter()
        first = self._first_stage(h)
        seconds = (time.perf_counter() - began + self.entries.seconds) / h.size
        left = np.flatnonzero(self.verdict != Verdict.AGREES)
        if left.size:
            self._refine_in_time(left, first.take(left), LATER_STAGES * seconds)
        self._climb_where_bars_are_useless()
        self._refuse_useless_bars()
        self.verdict[~np.isfinite(self.a)] = Verdict.DISAGREES
        return self._judged()

    def _first_stage(self, h: Floats) -> Quotients:
        everything = np.arange(h.size)
        first = self._at(everything, h / self.s)
        self.second = (first.above - 2 * self.entries.loss.base + first.below) / first.h**2
        self.second_bar = BEND_SDS * first.sigma / first.h**2
        self.h, self.D, self.bar = first.h.copy(), first.D.copy(), first.bar + self.rounding
        self.verdict = np.full(h.size, Verdict.INCONCLUSIVE, np.int8)
        self._leave_borrowed_units(first)
        agrees = np.abs(self.a - self.D) <= self.bar
        self._set_scales(agrees if agrees.any() else np.isfinite(self.D))
        agrees |= self._is_within_tolerance(everything)
        self.verdict[agrees] = Verdict.AGREES
        return first

    def _judged(self) -> Judged:
        return Judged(
            self.entries.indices,
            self.a / self.s,
            Differences(
                self.D / self.s,
                self.bar / self.s,
                self.h * self.s,
                self.second / self.s**2,
                self.second_bar / self.s**2,
            ),
            self.verdict,
            Scales(self.block, self.s, self.scale / self.s, self.rms, self.overall),
            self.notes,
            self.unfinished,
        )

    def _at(self, which: Indices, h: Floats) -> Quotients:
        """Differences by u, with steps in u."""
        s = self.s[which]
        found = self.entries.at(which, h * s)
        return replace(found, h=h, D=found.D * s, bar=found.bar * s)

    def _leave_borrowed_units(self, first: Quotients) -> None:
        """Difference entries anew in their own size where f is not straight over their block's.

        An entry that is small beside its block is either so by accident, and then f is smooth over
        the block's unit, or it is measured in another one.
        """
        x = np.abs(self.entries.x)
        suspects = np.flatnonzero((x < self.s / BORROWED) & (x > 0))
        if suspects.size == 0:
            return
        near = first.take(suspects)
        bend = np.abs(near.above - 2 * self.entries.loss.base + near.below)
        straight = bend <= BENT * np.abs(near.above - near.below) + BEND_SDS * near.sigma
        odd = suspects[~straight]
        if odd.size:
            own = self.entries.loss.units.own(self.entries.loss.theta, self.entries.indices[odd])
            again = self._at(odd, first.h[odd] * own / self.s[odd])
            into = np.zeros(x.size, np.bool_)
            into[odd] = True
            first.put(into, again)
            self.h[odd], self.D[odd] = again.h, again.D
            self.bar[odd] = again.bar + self.rounding[odd]

    def _climb_where_bars_are_useless(self) -> None:
        """Lengthen steps by 8 while noise dominates, for entries refused for their bars alone."""
        left = np.flatnonzero(self._is_useless() & np.isfinite(self.D))
        for _ in range(CLIMBS):
            if left.size == 0 or (self.left is not None and self.left() <= 0):
                return
            wide = self._at(left, WIDER * self.h[left])
            with np.errstate(invalid="ignore"):
                alike = np.abs(wide.D - self.D[left]) <= wide.bar + self.bar[left]
                bend = np.abs(wide.above - 2 * self.entries.loss.base + wide.below)
                alike &= bend <= BENT * np.abs(wide.above - wide.below) + BEND_SDS * wide.sigma
            left, wide = left[alike], wide.take(alike)
            # What the wider step changed within the bars may be truncation: it stays in the bar.
            bar = wide.bar + np.abs(wide.D - self.D[left]) / WIDER + self.rounding[left]
            better = bar < self.bar[left]
            left = left[better]
            self.h[left], self.D[left], self.bar[left] = wide.h[better], wide.D[better], bar[better]
            within = np.abs(self.a[left] - self.D[left]) <= self.bar[left]
            self.verdict[left[within]] = Verdict.AGREES
            self._set_scales(np.isfinite(self.D) & (self.verdict != Verdict.INCONCLUSIVE))
            beyond = ~within & self._exceeds_tolerance(left)
            self.verdict[left[beyond]] = Verdict.INCONCLUSIVE
            if beyond.any():
                self._refine(left[beyond], wide.take(better).take(beyond))
            left = left[self._is_useless()[left]]

    def _refine_in_time(self, which: Indices, near: Quotients, seconds: float) -> None:
        """`_refine`, which takes about so many seconds an entry; all at once if that surely fits."""
        if self.left is None or OWN_STEP * seconds * which.size <= self.left():
            self._refine(which, near)
            return
        excess = np.nan_to_num(np.abs(self.a[which] - near.D) / near.bar, nan=np.inf)
        order = np.argsort(-excess, kind="stable")
        one_look = seconds / LATER_STAGES  # the worst is looked at if two evaluations fit
        while order.size and self.left() > min(seconds, one_look):
            one_look = np.inf
            count = max(1, int(BATCH * self.left() / seconds))
            batch, order = np.sort(order[:count]), order[count:]
            began = time.perf_counter()
            self._refine(which[batch], near.take(batch))
            seconds = (time.perf_counter() - began) / batch.size
        self.unfinished = order.size
        for k in which[order].tolist():
            self.notes[k] = "there was no time to look at it again, at other steps"

    def _refine(self, which: Indices, near: Quotients) -> None:
        """Stages two and three for the entries ``which``, shape (k,), that stage one left open."""
        wide, t = self._read_truncation(which, near)
        lost = ~self._converged(near, t)
        if lost.any():
            s = self.s[which[lost]]
            own = self.entries.adapted_steps(which[lost], near.h[lost] * s) / s
            near.put(lost, self._at(which[lost], own))
            again, t[lost] = self._read_truncation(which[lost], near.take(lost))
            wide.put(lost, again)
        # A step of its own may agree as it is; t would only bring in a kink within 8 of them.
        plain = lost & (np.abs(self.a[which] - near.D) <= near.bar + self.rounding[which])
        t[plain] = 0.0
        converged = self._converged(near, t)
        corrected = np.where(converged, t, 0.0)
        self.h[which], self.D[which] = near.h, near.D - corrected
        self.bar[which] = np.where(
            converged,
            CORRECTED * near.bar + UNCERTAIN * np.abs(corrected) + self.rounding[which],
            near.bar + np.abs(t) + self.rounding[which],
        )
        sound = np.ones(self.D.size, np.bool_)
        sound[which] = converged
        self._set_scales(sound)
        agrees = converged & (np.abs(self.a[which] - self.D[which]) <= self.bar[which])
        agrees |= self._is_within_tolerance(which)
        self.verdict[which[agrees]] = Verdict.AGREES
        open_ = ~agrees
        if open_.any():
            self._settle(which[open_], near.take(open_), wide.take(open_), converged[open_])

    def _read_truncation(self, which: Indices, near: Quotients) -> tuple[Quotients, Floats]:
        wide = self._at(which, WIDER * near.h)
        t = truncation(near.D, wide.D)
        t[~np.isfinite(t)] = np.inf
        return wide, t

    def _converged(self, near: Quotients, t: Floats) -> Mask:
        return np.isfinite(t) & (UNCERTAIN * np.abs(t) <= near.bar)

    def _settle(self, which: Indices, near: Quotients, wide: Quotients, converged: Mask) -> None:
        """Stage three: disagreement, kink, or nothing that differences can tell."""
        value = self.entries.loss.base
        coarse = find_kinks(_slopes((near, wide), value), near.sigma)
        smooth = (coarse.order > 1.5) & (coarse.order < 2.5)
        # A kink on the way to x + h biases D by half of S / h at most.
        bend = np.abs(near.above - 2 * value + near.below) / (2 * near.h)
        smooth &= np.abs(self.a[which] - self.D[which]) > self.bar[which] + bend
        wrong = converged & self._exceeds_tolerance(which)
        self.verdict[which[wrong & smooth]] = Verdict.DISAGREES
        rest = ~(wrong & smooth)
        if not rest.any():
            return
        which, near, wide = which[rest], near.take(rest), wide.take(rest)
        finest, finer = (self._at(which, part * near.h) for part in FINER)
        kinks = find_kinks(_slopes((finest, finer, near, wide), value), near.sigma)
        wrong = self._settled_below(which, near, finer, finest, converged[rest])
        a, D, bar = self.a[which], self.D[which], self.bar[which]
        bends = np.abs(D - finest.D) > bar + finest.bar
        agrees = bends & (np.abs(a - finest.D) <= finest.bar + self.rounding[which])
        self._adopt(which[agrees], finest.take(agrees))
        wrong &= ~kinks.kink & ~kinks.jump
        wrong &= ~(coarse.order[rest] < KINK) | (np.abs(a - D) > bar + 2 * bend[rest])
        wrong &= np.abs(a - finer.D) >= np.abs(D - finer.D)
        for other in (finest, finer):
            wrong &= (np.abs(a - other.D) > other.bar) | (other.bar >= np.abs(a - D))
            # A kink so near that its order passes for 2 lies within twice the change of D.
            change = np.abs(D - other.D)
            wrong &= (change <= bar + other.bar) | (np.abs(a - D) > bar + 2 * change)
        inside = (kinks.low <= a) & (a <= kinks.high)
        verdict = np.select(
            [agrees, kinks.kink & inside, kinks.kink, wrong],
            [Verdict.AGREES, Verdict.KINK_VALID, Verdict.KINK_OUTSIDE, Verdict.DISAGREES],
            Verdict.INCONCLUSIVE,
        )
        self.verdict[which] = verdict
        for k in map(int, np.flatnonzero(verdict >= Verdict.INCONCLUSIVE)):
            low, high = kinks.low[k] / self.s[which[k]], kinks.high[k] / self.s[which[k]]
            self.notes[int(which[k])] = self._note(
                Verdict(verdict[k]),
                near.take(np.array([k])),
                bool(kinks.jump[k]),
                (low, high),
                which[k],
            )

    def _note(
        self,
        verdict: Verdict,
        near: Quotients,
        jump: bool,
        slopes: tuple[float, float],
        entry: int,
    ) -> str:
        """Why an entry of the third stage is not plainly right or wrong."""
        if verdict != Verdict.INCONCLUSIVE:
            return f"a kink: subgradients from {slopes[0]:.6g} to {slopes[1]:.6g}"
        if not (np.isfinite(near.above[0]) and np.isfinite(near.below[0])):
            h = float(near.h[0] * self.s[entry])
            return f"the loss is not finite at {-h if np.isfinite(near.above[0]) else h:+.2g}"
        if jump:
            return "the loss jumps here"
        return "differences at other steps do not confirm the error"

    def _settled_below(
        self,
        which: Indices,
        near: Quotients,
        finer: Quotients,
        finest: Quotients,
        converged: Mask,
    ) -> Mask:
        """Who may be called wrong: also entries where 8h crosses a kink, but all steps to h agree."""
        alike = (np.abs(near.D - finer.D) <= near.bar + finer.bar) & (
            np.abs(near.D - finest.D) <= near.bar + finest.bar
        )
        taken = alike & ~converged
        self.D[which[taken]] = near.D[taken]
        self.bar[which[taken]] = near.bar[taken] + finer.bar[taken] + self.rounding[which[taken]]
        return (converged | taken) & self._exceeds_tolerance(which)

    def _adopt(self, which: Indices, estimate: Quotients) -> None:
        self.h[which], self.D[which] = estimate.h, estimate.D
        self.bar[which] = estimate.bar + self.rounding[which]

    def _set_scales(self, sound: Mask) -> None:
        """The scale of each entry, from differences that can be trusted."""
        D = np.where(sound & np.isfinite(self.D), self.D, 0.0)
        unit = size_of(D)
        squares = np.bincount(self.block, (D / unit) ** 2, self.blocks)
        counts = np.bincount(self.block, sound, self.blocks)
        self.rms = unit * np.sqrt(squares / np.maximum(counts, 1))
        self.overall = unit * float(np.sqrt(squares.sum() / max(counts.sum(), 1)))
        if self.known_rms is not None:
            self.rms = np.maximum(self.rms, self.known_rms)
            self.overall = max(self.overall, float(self.rms.max()))
        self.scale = np.abs(D)
        largest = np.abs(D).max(initial=0.0)
        if self.known_rms is not None:
            largest = max(largest, float(self.rms.max()))
        self.typical = np.where(self.one_unit, self.rms[self.block], NEGLIGIBLE * largest)
        """What an entry that matters does to the loss at least."""

    def _is_within_tolerance(self, which: Indices) -> Mask:
        error = np.abs(self.a[which] - self.D[which])
        return self.rule.tolerates(error, self.bar[which], self.scale[which])

    def _exceeds_tolerance(self, which: Indices) -> Mask:
        error = np.abs(self.a[which] - self.D[which])
        return self.rule.refuses(error, self.bar[which], self.scale[which])

    def _is_useless(self) -> Mask:
        """Whether the bar says nothing of an entry that its difference agrees with."""
        agrees = self.verdict == Verdict.AGREES
        is_zero = np.maximum(np.abs(self.a), np.abs(self.D)) <= self.bar
        exact = (self.D == 0) & (self.a == 0)
        self.zero_block = np.bincount(self.block, ~is_zero, self.blocks)[self.block] == 0
        exact_block = np.bincount(self.block, ~exact, self.blocks)[self.block] == 0
        zero_scale = self.overall or abs(self.entries.loss.value) * NEGLIGIBLE
        useful = np.where(
            self.zero_block,
            exact_block | (self.bar <= USEFUL_BAR_OF_ZERO * zero_scale),
            self.bar <= USEFUL_BAR * np.maximum(self.scale, self.typical),
        )
        return np.asarray(agrees & ~useful)

    def _refuse_useless_bars(self) -> None:
        """An entry agrees only if its bar is narrow beside the scale, or its block is zero."""
        for k in np.flatnonzero(self._is_useless()):
            self.verdict[k] = Verdict.INCONCLUSIVE
            scale = self.overall if self.zero_block[k] else max(self.scale[k], self.typical[k])
            self.notes[int(k)] = (
                f"the error bar {self.bar[k] / self.s[k]:.2g} is too wide beside a gradient of "
                f"{scale / self.s[k]:.2g}"
            )


def _slopes(quotients: tuple[Quotients, ...], value: float) -> Slopes:
    steps, above, below = (
        np.stack([getattr(q, name) for q in quotients], axis=1) for name in ("h", "above", "below")
    )
    return Slopes.of(steps, above, below, value)
