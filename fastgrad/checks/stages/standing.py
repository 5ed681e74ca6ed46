"""How entries stand while they are judged: differences, bars and verdicts, each in units of its own."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Differences, Judged, Scales
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.differences.entries import Entries
from fastgrad.numerics.quotients import Quotients


class Standing:
    """Some entries in u = theta / s, with s their units, and what is known of each so far.

    There all steps, gradients and bars of entries in seconds and in metres can be compared. Stages
    write to its columns.

    Parameters
    ----------
    entries : Entries
    claim : Claim
    rule : Rule
    h : ndarray, shape (m,)
        Steps in theta of the first differences, by which nothing is judged yet.
    known_rms : ndarray, shape (blocks,), optional
        The size of each block's gradient, where these entries are too few to tell.
    """

    left: Callable[[], float] | None = None
    """Seconds left to look again at what the first differences leave open."""
    unfinished = 0
    """How many there was no time to look at again."""

    second: Floats
    """Second differences at the first step."""
    second_bar: Floats

    scale: Floats
    """What rtol is relative to."""
    typical: Floats
    """What an entry that matters does to the loss at least."""
    rms: Floats
    overall: float

    def __init__(
        self,
        entries: Entries,
        claim: Claim,
        rule: Rule,
        h: Floats,
        known_rms: Floats | None = None,
    ):
        self.entries, self.claim, self.rule, self.known_rms = entries, claim, rule, known_rms
        layout = entries.loss.layout
        self.s = entries.units
        self.a = claim.values[entries.indices] * self.s
        stops = [block.stop for block in layout.blocks]
        self.block = np.searchsorted(stops, entries.indices, side="right")
        self.blocks = len(stops)
        self.one_unit: Mask = entries.loss.units.one_unit[self.block]
        kinds = layout.kinds
        self.kinds = None if kinds is None else kinds[entries.indices]
        if self.kinds is not None:
            self.one_unit |= self.kinds >= 0
        self.notes: dict[int, str] = {}
        self.first = self.at(np.arange(h.size), h / self.s)
        self.rounding = claim.rounding(entries.indices, self.a, self.block, self.s)
        self.h, self.D, self.bar = self.first.h.copy(), self.first.D.copy(), self.first.bar.copy()
        self.bar += self.rounding
        self.verdict = np.full(h.size, Verdict.INCONCLUSIVE, np.int8)

    def at(self, which: Indices, h: Floats) -> Quotients:
        """Differences by u, with steps in u."""
        s = self.s[which]
        found = self.entries.at(which, h * s)
        found.h, found.D, found.bar = h, found.D * s, found.bar * s
        return found

    def measure_in(self, which: Indices, units: Floats, untold: Indices) -> None:
        """Measure some entries in other units, before they are differenced in them."""
        grown = units / self.s[which]
        self.s = self.s.copy()
        self.s[which] = units
        self.a[which] *= grown
        loss, indices = self.entries.loss, self.entries.indices
        # Rounding is beside the largest entries, which may have been in wrong units.
        rounding = self.claim.rounding(indices, self.a, self.block, self.s)
        self.bar += rounding - self.rounding
        self.rounding = rounding
        found = loss.units.found(indices, self.s, indices[untold])
        self.entries = replace(self.entries, loss=replace(loss, units=found))

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
