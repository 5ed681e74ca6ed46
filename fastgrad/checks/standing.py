"""How entries stand while they are judged: differences, bars and verdicts, and what these are worth.

A bar is worth something beside the scale of its entry: the difference itself, the size of its block,
or what the entry does to the loss a little away.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Differences, Judged, Scales
from fastgrad.checks.rules import USEFUL_BAR, USEFUL_BAR_OF_ZERO, Rule, Verdict
from fastgrad.differences.entries import Entries
from fastgrad.numerics.bars import NEGLIGIBLE, ROUNDING
from fastgrad.numerics.norms import size_of
from fastgrad.numerics.quotients import Quotients

BEND_SDS = 16.0
"""The noise of a second difference: six of its sds, 6 sqrt(6)."""
RESOLVED = 0.5
"""An entry in a unit of its own is told from zero by a bar up to this part of it."""
AWAY = 2.0**-3
"""How far off, in units, f is looked at to see what an entry can do whose gradient is zero."""


class Standing:
    """Some entries in u = theta / s, with s their units, and what is known of each so far.

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
        self.evaluation = 0.0
        """Seconds of one evaluation."""
        self.s = entries.units
        self.a = claim.values[entries.indices] * self.s
        stops = [block.stop for block in entries.loss.layout.blocks]
        self.block = np.searchsorted(stops, entries.indices, side="right")
        self.blocks = len(stops)
        self.claim = claim
        self.rounding = self._rounding()
        self.one_unit = entries.loss.units.one_unit[self.block]
        kinds = entries.loss.layout.kinds
        self.kinds = None if kinds is None else kinds[entries.indices]
        if self.kinds is not None:
            self.one_unit |= self.kinds >= 0
        self.notes: dict[int, str] = {}

    def _rounding(self) -> Floats:
        """The rounding of the gradient under test, and what it differs by from call to call."""
        scatter = self.claim.scatter_at(self.entries.indices) * self.s
        return self.claim.rounding(self.a, self.block) + scatter

    def start(self, h: Floats) -> Quotients:
        """Take the first differences, with steps in theta; nothing is judged yet."""
        everything = np.arange(h.size)
        first = self.at(everything, h / self.s)
        self.second, self.second_bar = np.zeros((2, h.size))
        self.keep_bends(everything, first)
        self.h, self.D, self.bar = first.h.copy(), first.D.copy(), first.bar + self.rounding
        self.verdict = np.full(h.size, Verdict.INCONCLUSIVE, np.int8)
        return first

    def keep_bends(self, which: Indices, first: Quotients) -> None:
        """Keep second differences of some entries."""
        bend = first.above - 2 * self.entries.loss.base + first.below
        self.second[which] = bend / first.h**2
        self.second_bar[which] = BEND_SDS * first.sigma / first.h**2

    def measure_in(self, which: Indices, units: Floats, untold: Indices) -> None:
        """Measure some entries in other units, before they are differenced in them."""
        grown = units / self.s[which]
        self.s = self.s.copy()
        self.s[which] = units
        self.a[which] *= grown
        # Rounding is beside the largest entries, which may have been in wrong units.
        rounding = self._rounding()
        self.bar += rounding - self.rounding
        self.rounding = rounding
        loss, indices = self.entries.loss, self.entries.indices
        found = loss.units.found(indices, self.s, indices[untold])
        self.entries = replace(self.entries, loss=replace(loss, units=found))

    def at(self, which: Indices, h: Floats) -> Quotients:
        """Differences by u, with steps in u."""
        s = self.s[which]
        found = self.entries.at(which, h * s)
        found.h, found.D, found.bar = h, found.D * s, found.bar * s
        return found

    def set_scales(self, sound: Mask) -> None:
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
        if self.kinds is not None:
            self._set_scales_of_kinds(D / unit, unit)

    def _set_scales_of_kinds(self, D: Floats, unit: float) -> None:
        """The scale of entries that are of one unit with some others of their block, not with all."""
        assert self.kinds is not None
        alike = self.kinds >= 0
        squares = np.bincount(self.kinds[alike], D[alike] ** 2)
        counts = np.bincount(self.kinds[alike])
        self.typical[alike] = unit * np.sqrt(squares / np.maximum(counts, 1))[self.kinds[alike]]

    def is_within_tolerance(self, which: Indices) -> Mask:
        """Whether the errors of some entries surely do not matter."""
        error = np.abs(self.a[which] - self.D[which])
        return self.rule.tolerates(error, self.bar[which], self.scale[which])

    def exceeds_tolerance(self, which: Indices) -> Mask:
        """Whether they surely do."""
        error = np.abs(self.a[which] - self.D[which])
        return self.rule.refuses(error, self.bar[which], self.scale[which])

    def is_untold(self) -> Mask:
        """Whether the bar says too little of an entry that its difference agrees with."""
        agrees = self.verdict == Verdict.AGREES
        return np.asarray(agrees & ~(self._is_useful() & (self.one_unit | self._is_resolved())))

    def _is_useful(self) -> Mask:
        """Whether the bar is narrow beside the scale, or the block is zero."""
        narrow = self.bar <= USEFUL_BAR * np.maximum(self.scale, self.typical)
        is_zero = np.maximum(np.abs(self.a), np.abs(self.D)) <= self.bar
        if not is_zero.any():
            self.zero_block = is_zero
            return narrow
        exact = (self.D == 0) & (self.a == 0)
        self.zero_block = np.bincount(self.block, ~is_zero, self.blocks)[self.block] == 0
        exact_block = np.bincount(self.block, ~exact, self.blocks)[self.block] == 0
        zero_scale = self.overall or abs(self.entries.loss.value) * NEGLIGIBLE
        return np.where(
            self.zero_block,
            exact_block | (self.bar <= USEFUL_BAR_OF_ZERO * zero_scale),
            narrow,
        )

    def _is_resolved(self) -> Mask:
        """Whether the bar tells the entry from zero, or the entry is zero exactly."""
        size = np.maximum(np.abs(self.a), np.abs(self.D))
        return np.asarray((size == 0) | (self.bar <= RESOLVED * size))

    def refuse_useless_bars(self) -> None:
        """An entry agrees only if its bar is narrow beside the scale, or its block is zero."""
        for k in np.flatnonzero(self._is_refused()):
            self.verdict[k] = Verdict.INCONCLUSIVE
            scale = self.overall if self.zero_block[k] else max(self.scale[k], self.typical[k])
            self.notes[int(k)] = (
                f"the error bar {self.bar[k] / self.s[k]:.2g} is too wide beside a gradient of "
                f"{scale / self.s[k]:.2g}"
            )

    def _is_refused(self) -> Mask:
        """Whether an entry that agrees does so only because its bar is wide."""
        largest = np.abs(self.a).max(
            initial=0.0 if self.known_rms is None else self.known_rms.max()
        )
        means_zero = np.abs(self.a) <= ROUNDING * largest
        told = self._is_useful() & (self.one_unit | means_zero | self._is_resolved())
        refused = np.flatnonzero((self.verdict == Verdict.AGREES) & ~told)
        is_zero = np.maximum(np.abs(self.a[refused]), np.abs(self.D[refused])) <= self.bar[refused]
        left = np.zeros(self.D.size, np.bool_)
        left[refused[~is_zero]] = True
        left[refused[is_zero]] = self._is_wide_beside_effect(refused[is_zero])
        return left

    def _is_wide_beside_effect(self, which: Indices) -> Mask:
        """Whether the bars are wide beside what the entries do to f an eighth of their unit away."""
        if which.size == 0 or (self.left is not None and self.left() <= 0):
            return np.ones(which.size, np.bool_)
        away = self.at(which, np.full(which.size, AWAY))
        base = self.entries.loss.base
        effect = np.fmax(np.abs(away.above - base), np.abs(away.below - base)) / AWAY
        return np.asarray(~(self.bar[which] <= USEFUL_BAR * effect))

    def judged(self) -> Judged:
        """The same in theta."""
        with np.errstate(over="ignore"):  # beside a parameter of 1e-250
            second, second_bar = self.second / self.s / self.s, self.second_bar / self.s / self.s
        return Judged(
            self.entries.indices,
            self.a / self.s,
            Differences(self.D / self.s, self.bar / self.s, self.h * self.s, second, second_bar),
            self.verdict,
            Scales(self.block, self.s, self.scale / self.s, self.rms, self.overall),
            self.notes,
            self.unfinished,
            self.rounding / self.s,
        )
