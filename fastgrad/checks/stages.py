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
from fastgrad.checks.outcome import Judged
from fastgrad.checks.referee import NO_TIME, Referee
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.checks.standing import BEND_SDS, Standing
from fastgrad.checks.traces import hear_traces
from fastgrad.differences.domain import finite_sides, nearest_of
from fastgrad.differences.entries import Entries
from fastgrad.differences.unknown_units import found_units
from fastgrad.numerics.bars import (
    CORRECTED,
    UNCERTAIN,
    WIDER,
    truncation,
)
from fastgrad.numerics.kinks import KINK, Kinks, Slopes, find_kinks
from fastgrad.numerics.noise import UNSURPRISING, rounding_noise
from fastgrad.numerics.quotients import Quotients
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import finest_steps, power_of_two

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
BENT_TOO_FAR = 2.0**-4
"""The same for steps that are lengthened: what bends by a part r there is off by about r^2."""
LONGEST_STEP = 2.0**-3
"""The longest step, in units of an entry of its own, that useless bars lead to: beyond it an entry that
does not rise above the noise may have turned."""
CLIMBS = 8
"""How often a step is lengthened by 8, at most: 2^24 times, as arrays of very small weights need."""
FLAT = 0.5
"""f is flat at both steps if its second difference at an eighth of them is beyond this part of what it
is there: a kink at x leaves 1/8 of it, a bend 1/64."""
DESCENTS = 2
"""How often a step is shortened by 8 where truncation is too large to be taken out."""
PART_WITHIN_RTOL, NUMBER_WITHIN_RTOL = 0.125, 8
"""More entries than this part, and so many, that agree at the first step within rtol and not in their
bars show that the gradient has no more digits: no second look at each would give it any."""
KEPT_FOR_HEARINGS = 0.2
"""Part of the time left that is kept for those who are called wrong, whom other steps may clear."""
FAR_FINER = 2.0**-12
"""Part of the finest step at which a kink is looked at again."""
KINK_SDS = 64.0
"""Noise, in what the one-sided slopes differ by there, is a part 2^-4 or less of their difference."""
GONE = 0.25
"""A kink of which so little is left there is none of f at theta."""
MOST_KINKS = 64
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
        The size of each block's gradient, where these entries are too few to tell: they are single
        ones, and whoever asks hears them.
    left : callable, optional
        Seconds left for the second and third stage; the worst entries come first.

    Raises
    ------
    NondeterministicLossError
        The loss at theta changed under way.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        stages = _Stages(entries, claim, rule, rms, _all_but_hearings(left))
        judged, entries = stages.judge(h), stages.entries
        if rms is not None:
            return judged
        judged = hear_traces(entries, judged)
        return Referee(entries, judged, rule, left, stages.evaluation).hear()


def _all_but_hearings(left: Callable[[], float] | None) -> Callable[[], float] | None:
    """The seconds left but `KEPT_FOR_HEARINGS` of them."""
    if left is None or np.isinf(left()):
        return left
    kept = KEPT_FOR_HEARINGS * left()
    return lambda: left() - kept


def glance(entries: Entries, claim: Claim, rule: Rule, h: Floats) -> tuple[Judged | None, Entries]:
    """`judge` by the first stage alone: None where it leaves anything open, and what it knows then."""
    with np.errstate(invalid="ignore", over="ignore"):
        stages = _Stages(entries, claim, rule, None, None)
        judged, known = stages.glance(h)
        entries = replace(stages.entries, known=known)
        return None if judged is None else Referee(entries, judged, rule).hear(), entries


class _Stages(Standing):
    """The three stages of some entries."""

    def glance(self, h: Floats) -> tuple[Judged | None, Quotients]:
        first = self._first_stage(h)
        self.set_scales(np.isfinite(self.D))
        self.verdict[self.is_within_tolerance(np.arange(h.size))] = Verdict.AGREES
        raw = replace(first, h=first.h * self.s)
        plain = (
            np.isfinite(self.a).all()
            and (self.verdict == Verdict.AGREES).all()
            and not self.is_untold().any()
            and not (self._is_noise_unheard_of() and (np.abs(self.D) <= self.bar).any())
        )
        return self.judged() if plain else None, raw

    def _is_noise_unheard_of(self) -> bool:
        """Whether noise may be the loss itself, which turns between the points it was looked for at."""
        loss = self.entries.loss
        return bool(loss.noise > UNSURPRISING * rounding_noise(loss.value))

    def judge(self, h: Floats) -> Judged:
        began = time.perf_counter()
        first = self._first_stage(h)
        seconds = (time.perf_counter() - began + self.entries.seconds) / h.size
        self.evaluation = seconds / 2
        left = np.flatnonzero(self.verdict != Verdict.AGREES)
        if left.size:
            left = left[~self._lie_at_an_edge(left, first)]
        if left.size:
            self._refine_in_time(left, first.take(left), LATER_STAGES * seconds)
        if self.is_untold().any():
            self._climb_where_bars_are_useless()
            self.refuse_useless_bars()
        self.verdict[~np.isfinite(self.a)] = Verdict.DISAGREES
        return self.judged()

    def _lie_at_an_edge(self, which: Indices, first: Quotients) -> Mask:
        """Whether f is not finite right beside an entry, on either side: no shorter step helps there."""
        at_edge = ~np.isfinite(first.above[which] + first.below[which])
        loss, indices = self.entries.loss, self.entries.indices[which[at_edge]]
        if indices.size == 0 or loss.run.structured:
            return np.zeros(which.size, np.bool_)
        nearest = nearest_of(loss.theta, loss.units.entry, indices)
        below, above = finite_sides(loss.values, indices, nearest)
        outside = ~(below & above)
        at_edge[at_edge] = outside
        sides = np.where(below, 1.0, -1.0) * nearest
        for k, side in zip(which[at_edge].tolist(), sides[outside], strict=True):
            self.notes[k] = f"the loss is not finite at {side:+.2g}"
        return at_edge

    def _first_stage(self, h: Floats) -> Quotients:
        first = self.start(h)
        self._find_unknown_units(first)
        self._leave_borrowed_units(first)
        self._leave_plateaus(first)
        error = np.abs(self.a - self.D)
        agrees = error <= self.bar
        loose = ~agrees & self.rule.tolerates(error, self.bar, np.abs(self.D))
        if np.count_nonzero(loose) > max(NUMBER_WITHIN_RTOL, PART_WITHIN_RTOL * h.size):
            agrees |= loose
        self.set_scales(agrees if agrees.any() else np.isfinite(self.D))
        agrees |= self.is_within_tolerance(np.arange(h.size))
        self.verdict[agrees] = Verdict.AGREES
        return first

    def _find_unknown_units(self, first: Quotients) -> None:
        """Find the units that were but guessed, and difference those entries anew in them."""
        units = self.entries.loss.units
        if units.unknown is None or self.entries.known is not None:  # they were asked at a glance
            return
        agrees = np.abs(self.a - self.D) <= first.bar
        absolute = replace(first, h=first.h * self.s, D=first.D / self.s, bar=first.bar / self.s)
        which, found, untold = found_units(self.entries, absolute, agrees, self.a / self.s)
        self.measure_in(which, found, untold)
        if which.size == 0:
            return
        again = self.at(which, np.full(which.size, CENTRAL[2].step))
        self.keep_bends(which, again)
        self._replace(first, which, again)

    def _leave_borrowed_units(self, first: Quotients) -> None:
        """Difference entries anew in their own size where f is not straight over their block's.

        An entry that is small beside its block is either so by accident, and then f is smooth over
        the block's unit, or it is measured in another one.
        """
        x = np.abs(self.entries.x)
        suspects = np.flatnonzero((x < self.s / BORROWED) & (x > 0))
        if suspects.size == 0:
            return
        straight = self._bend(first) <= BENT * np.abs(first.above - first.below)
        odd = suspects[~straight[suspects]]
        if odd.size:
            own = self.entries.loss.units.own(self.entries.loss.theta, self.entries.indices[odd])
            self._replace(first, odd, self.at(odd, first.h[odd] * own / self.s[odd]))

    def _leave_plateaus(self, first: Quotients) -> None:
        """Difference entries anew, from the smallest steps up, where f is flat at both steps.

        There the difference is zero and says nothing: f at theta itself is another value.
        """
        bend = self._bend(first)
        odd = np.flatnonzero((np.abs(first.D) <= first.bar) & (bend > 0))
        if odd.size == 0:
            return
        finer = self.at(odd, first.h[odd] / WIDER)
        odd = odd[self._bend(finer) > FLAT * bend[odd]]
        if odd.size == 0:
            return
        smallest = finest_steps(self.entries.x[odd]) / self.s[odd]
        near = self.at(odd, np.minimum(smallest, first.h[odd]))
        bar, open_ = near.bar.copy(), np.arange(odd.size)
        while (open_ := open_[WIDER * near.h[open_] < first.h[odd[open_]]]).size:
            wide, wider_bar, better = self._lengthened(
                odd[open_], near.h[open_], near.D[open_], bar[open_]
            )
            open_ = open_[better]
            into = np.zeros(odd.size, np.bool_)
            into[open_] = True
            near.put(into, wide.take(better))
            bar[open_] = wider_bar[better]
        self._replace(first, odd, near, bar)

    def _replace(
        self, first: Quotients, which: Indices, again: Quotients, bar: Floats | None = None
    ) -> None:
        """Take other differences for some entries."""
        into = np.zeros(self.D.size, np.bool_)
        into[which] = True
        first.put(into, again)
        self.h[which], self.D[which] = again.h, again.D
        self.bar[which] = (again.bar if bar is None else bar) + self.rounding[which]

    def _bend(self, quotients: Quotients) -> Floats:
        """The second difference beyond its noise, as it is above 0."""
        bend = np.abs(quotients.above - 2 * self.entries.loss.base + quotients.below)
        return np.maximum(bend - BEND_SDS * quotients.sigma, 0.0)

    def _is_still(self, quotients: Quotients) -> Mask:
        """Whether f is what it is at theta on both sides, within its noise."""
        base, sigma = self.entries.loss.base, quotients.sigma
        change = np.fmax(np.abs(quotients.above - base), np.abs(quotients.below - base))
        return np.asarray(change <= BEND_SDS * sigma)

    def _lengthened(
        self, which: Indices, h: Floats, D: Floats, bar: Floats
    ) -> tuple[Quotients, Floats, Mask]:
        """Differences at 8 times the steps h, their bars, and where these are narrower and hold.

        They hold where f is nearly straight. What the wider step changed may be truncation, beside
        noise: it stays in the bar, as does what the bend tells of it.
        """
        wide = self.at(which, WIDER * h)
        change, rise = np.abs(wide.D - D), np.abs(wide.above - wide.below)
        bend = self._bend(wide)
        holds = (change <= wide.bar + bar) & (bend <= BENT_TOO_FAR * rise)
        part = np.divide(bend, rise, out=np.zeros_like(bend), where=rise > 0)
        wider_bar = wide.bar + change + part**2 * np.abs(wide.D)
        return wide, wider_bar, holds & (wider_bar < bar)

    def _climb_where_bars_are_useless(self) -> None:
        """Lengthen steps by 8 while noise dominates, for entries that their bars do not tell.

        Beside the noise of others a bar may look narrow: what is told is asked again each time.
        """
        done = ~np.isfinite(self.D)
        still = np.zeros(self.D.size, np.bool_)
        for _ in range(2 * CLIMBS):
            left = np.flatnonzero(self.is_untold() & ~done)
            far = WIDER * self.h[left] > LONGEST_STEP
            rises = np.abs(self.D[left]) > self.bar[left]
            left = left[self.one_unit[left] | ~far | rises | still[left]]
            if left.size == 0 or (self.left is not None and self.left() <= 0):
                return
            known = self.bar[left] - self.rounding[left]
            wide, bar, better = self._lengthened(left, self.h[left], self.D[left], known)
            done[left[~better]] = True
            still[left] = self._is_still(wide)
            left = left[better]
            self.h[left], self.D[left] = wide.h[better], wide.D[better]
            self.bar[left] = bar[better] + self.rounding[left]
            within = np.abs(self.a[left] - self.D[left]) <= self.bar[left]
            self.verdict[left[within]] = Verdict.AGREES
            self.set_scales(np.isfinite(self.D) & (self.verdict != Verdict.INCONCLUSIVE))
            beyond = ~within & self.exceeds_tolerance(left)
            self.verdict[left[beyond]] = Verdict.INCONCLUSIVE
            if beyond.any():
                done[left[beyond]] = True
                self._refine(left[beyond], wide.take(better).take(beyond))

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
            self.notes[k] = NO_TIME

    def _refine(self, which: Indices, near: Quotients) -> None:
        """Stages two and three for the entries ``which``, shape (k,), that stage one left open."""
        wide, t = self._read_truncation(which, near)
        self._descend(which, near, wide, t)
        lost = ~self._converged(near, t)
        if lost.any():
            s = self.s[which[lost]]
            own = self.entries.adapted_steps(which[lost], near.h[lost] * s) / s
            near.put(lost, self.at(which[lost], own))
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
        self.set_scales(sound)
        agrees = converged & (np.abs(self.a[which] - self.D[which]) <= self.bar[which])
        agrees |= self.is_within_tolerance(which)
        self.verdict[which[agrees]] = Verdict.AGREES
        open_ = ~agrees
        if open_.any():
            self._settle(which[open_], near.take(open_), wide.take(open_), converged[open_])

    def _descend(self, which: Indices, near: Quotients, wide: Quotients, t: Floats) -> None:
        """Shorten steps by 8 until truncation can be read off, where that is a matter of few of them.

        Of a smooth f it falls by 64 a time, and noise grows by 8: that many parts of the bar it may be.
        """
        for left in range(DESCENTS, 0, -1):
            most = (WIDER**3) ** left / UNCERTAIN
            lost = ~self._converged(near, t)
            lost &= ~(np.abs(t) > most * near.bar) | ~np.isfinite(t)
            if not lost.any():
                return
            before = near.take(lost)
            nearer = self.at(which[lost], before.h / WIDER)
            change = truncation(nearer.D, before.D)
            change[~np.isfinite(change)] = np.inf
            wide.put(lost, before)
            near.put(lost, nearer)
            t[lost] = change

    def _read_truncation(self, which: Indices, near: Quotients) -> tuple[Quotients, Floats]:
        wide = self.at(which, WIDER * near.h)
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
        wrong = converged & self.exceeds_tolerance(which)
        self.verdict[which[wrong & smooth]] = Verdict.DISAGREES
        rest = ~(wrong & smooth)
        if not rest.any():
            return
        which, near, wide = which[rest], near.take(rest), wide.take(rest)
        finest, finer = (self.at(which, part * near.h) for part in FINER)
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
        smooths = self._smooths_out(which, finest, kinks)
        wrong &= ~smooths
        kinks.kink[smooths] = False
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

    def _smooths_out(self, which: Indices, finest: Quotients, kinks: Kinks) -> Mask:
        """Whether f is smooth at far finer steps where it has a kink at those that were taken.

        So it is where f turns within them, as beside an epoch. A kink where the entry is exactly zero is
        where kinks belong.
        """
        smooths = np.zeros(which.size, np.bool_)
        width = kinks.high - kinks.low
        with np.errstate(divide="ignore", invalid="ignore"):
            seen = KINK_SDS * finest.sigma / width
        h = np.maximum(seen, finest_steps(self.entries.x[which]) / self.s[which])
        h = power_of_two(np.maximum(h, FAR_FINER * finest.h))
        odd = np.flatnonzero(
            kinks.kink & (self.entries.x[which] != 0) & (h <= finest.h / WIDER) & (width > 0)
        )[:MOST_KINKS]
        if odd.size == 0 or (self.left is not None and self.left() <= 0):
            return smooths
        near = self.at(which[odd], h[odd])
        base = self.entries.loss.base
        apart = np.abs((near.above - base) + (near.below - base)) / near.h
        smooths[odd] = apart < GONE * width[odd]
        return smooths

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
        return (converged | taken) & self.exceeds_tolerance(which)

    def _adopt(self, which: Indices, estimate: Quotients) -> None:
        self.h[which], self.D[which] = estimate.h, estimate.D
        self.bar[which] = estimate.bar + self.rounding[which]


def _slopes(quotients: tuple[Quotients, ...], value: float) -> Slopes:
    steps, above, below = (
        np.stack([getattr(q, name) for q in quotients], axis=1) for name in ("h", "above", "below")
    )
    return Slopes.of(steps, above, below, value)
