"""The search for what directions show: block by block, until fresh directions are clean."""

from dataclasses import dataclass

import numpy as np

from fastgrad.checks.budget import Budget
from fastgrad.checks.screen.found import WHOLE_BLOCK, Finding, Found
from fastgrad.checks.screen.limits import (
    USEFUL_LIMIT,
    USEFUL_NORM,
    missed_entry,
    missed_norm,
    norm_of,
)
from fastgrad.checks.screen.locate import ALL_STAGES, SMALL_INTERVAL, Locator
from fastgrad.checks.screen.patterns import Patterns
from fastgrad.checks.screen.random_directions import GLOBAL, Screen, block_stream
from fastgrad.checks.screen.residuals import FINER, Reading
from fastgrad.checks.screen.smeared import Smear
from fastgrad.checks.screen.spot_checks import SpotChecks, Suspects
from fastgrad.checks.stages.useless_bars import AWAY
from fastgrad.differences.directions import Directions
from fastgrad.differences.loss import Loss
from fastgrad.differences.own_units import turns

ATTEMPTS = 3
"""Rounds of locating, until fresh directions through all that is left are clean."""
FRESH = 1 << 10
"""Global directions from here on certify."""
HUNTING = 1 << 9
"""A block's own directions from here on hunt for errors that a projection spread."""
NOT_FINITE = 16
"""Entries of a block that are not finite, and are looked at: enough to tell a law."""
FEW_ENTRIES = 16
"""Blocks of so few entries are checked entry by entry where directions say too little of them."""
LAST_RESORT = 256
"""Blocks of so few entries are checked entry by entry if the last search did not explain them."""


@dataclass
class Search:
    """Locates what is wrong with a gradient under test, and fills in what it found.

    Parameters
    ----------
    loss : Loss
    directions : Directions
    spot : SpotChecks
    found : Found
    budget : Budget
    """

    loss: Loss
    directions: Directions
    spot: SpotChecks
    found: Found
    budget: Budget

    def locate(self, screened: Screen) -> None:
        """Search the blocks that fail, or all where only directions through everything do."""
        failing = screened.failing or [b for b, count in enumerate(self.found.counts) if count]
        for attempt in range(ATTEMPTS):
            for b in failing:
                self._search_block(b, attempt, screened.blocks[b][0] if attempt == 0 else None)
            if self._is_clean(attempt):
                return
            failing = [b for b in failing if self.found.findings[b].kind not in WHOLE_BLOCK]
        self.found.certified = False

    def _search_block(self, b: int, attempt: int, known: Reading | None) -> None:
        finding = self.found.findings.setdefault(b, Finding())
        block, refuted = self.loss.layout.blocks[b], self.found.refuted
        throughout = refuted is not None and refuted.block == b and refuted.factor is not None
        on_a_space = getattr(block, "chart", None) is not None
        if on_a_space and attempt == 0 and not throughout and self._is_smeared(b, finding):
            return
        inside = slice(block.start, block.stop)
        w = self.directions.draw(block_stream(b, attempt), block.start, block.stop)[inside]
        rng = np.random.default_rng(self.directions.seed)
        suspects = Suspects(self.spot, block, w != 0, finding, rng)
        last_resort = attempt == ATTEMPTS - 1 and self.found.counts[b] <= LAST_RESORT
        if last_resort or np.count_nonzero(suspects.unknown) <= 2 * SMALL_INTERVAL:
            suspects.check_all()
            return
        if known is not None and not known.alarms:
            known = None
        Locator(Patterns(suspects), self.directions, w).search(known, throughout)

    def _is_smeared(self, b: int, finding: Finding) -> bool:
        """Whether a projection spread the errors of few entries over a block; these are then told."""
        block = self.loss.layout.blocks[b]
        moves = self.directions.moves(block)
        if not moves.all():
            return False
        rng = np.random.default_rng(self.directions.seed)
        suspects = Suspects(self.spot, block, moves, finding, rng)
        smear = Smear(self.spot, self.directions, block, lambda k: block_stream(b, HUNTING + k))
        told = smear.found(suspects)
        if told is not None:
            self.found.told.append(told)
            finding.kind = "entries"
        return told is not None

    def _is_clean(self, attempt: int) -> bool:
        """Are fresh directions through all that is not settled clean?"""
        residuals = self.spot.residuals
        self.found.fresh = []
        for k in range(GLOBAL):
            v = self.directions.draw(FRESH + attempt * GLOBAL + k)
            for b, finding in self.found.findings.items():
                block = self.loss.layout.blocks[b]
                part = v[block.start : block.stop]
                if len(finding.checked) >= self.found.counts[b] or finding.kind in WHOLE_BLOCK:
                    part[:] = 0.0
                elif finding.lines:
                    part[finding.in_lines(block.shape)] = 0.0
            self.found.fresh.append(residuals.confirmed(v, FINER * residuals.lines.step))
            if self.found.fresh[-1].alarms:
                return False
        return True

    def look_closer(self) -> None:
        """Look at blocks that directions call clean, and say too little of."""
        for b in np.flatnonzero(self.found.counts).tolist():
            if b not in self.found.findings and self._says_too_little(b):
                self._look_closer_at(b)

    def _says_too_little(self, b: int) -> bool:
        """Whether a wrong entry that matters would be missed.

        That is one of the size of the others, or of a few in units of their own, each of its own size.
        """
        limit, size = missed_entry(self.found, b), self.found.rms[b]
        if missed_norm(self.found) > USEFUL_NORM * norm_of(self.found, self.loss.layout):
            return True
        if not self.loss.units.one_unit[b] and self.found.counts[b] <= FEW_ENTRIES:
            block = self.loss.layout.blocks[b]
            part = slice(block.start, block.stop)
            values = self.spot.residuals.claim.values[part]
            effects = np.abs(values) * self.loss.units.entry[part]
            size = effects.min(initial=np.inf, where=self.directions.moves(block))
        return bool(limit > USEFUL_LIMIT * size)

    def _look_closer_at(self, b: int) -> None:
        """Check a block entry by entry, or from afar: it is near an optimum, or f is noisy."""
        block, count = self.loss.layout.blocks[b], self.found.counts[b]
        if count <= FEW_ENTRIES and self.budget.allows(ALL_STAGES * FEW_ENTRIES):
            finding = self.found.findings.setdefault(b, Finding())
            rng = np.random.default_rng(self.directions.seed)
            Suspects(self.spot, block, self.directions.moves(block), finding, rng).check_all()
        elif self.loss.units.unknown is not None or turns(self.loss, self.directions.seed):
            return  # what f does far off may be far further than where entries matter
        elif self.found.rms[b] <= missed_entry(self.found, b) and self.budget.allows():
            direction = self.directions.draw(block_stream(b), block.start, block.stop)
            away = self.loss.along(direction, np.array([AWAY, -AWAY]))
            change = np.abs(away - self.loss.value)
            effect = np.max(change, where=np.isfinite(change), initial=0.0) / AWAY
            self.found.away[b] = float(effect) / float(np.sqrt(count))

    def look_at_not_finite(self) -> None:
        """Check some of the entries that are not finite, which are wrong whatever the loss says."""
        free = np.flatnonzero(~np.isfinite(self.spot.residuals.claim.values))
        if self.loss.free is not None:
            free = free[self.loss.free[free]]
        self.found.not_finite = free.size
        most = NOT_FINITE if self.budget.allows(ALL_STAGES * NOT_FINITE) else 1
        for block in self.loss.layout.blocks:
            inside = free[(block.start <= free) & (free < block.stop)]
            if inside.size:
                self.spot.judge(inside[:most])
