"""Single entries checked exactly, as a sweep would, and what is remembered of them."""

from dataclasses import dataclass, field, replace

import numpy as np

from fastgrad.arrays import CHUNK, Floats, Indices, Mask
from fastgrad.checks.budget import Budget
from fastgrad.checks.outcome import Judged
from fastgrad.checks.referee import Referee
from fastgrad.checks.rules import Verdict
from fastgrad.checks.screen.found import Checked, Finding
from fastgrad.checks.screen.residuals import OutOfBudgetError, Residuals
from fastgrad.checks.stages import judge
from fastgrad.differences.entries import Entries
from fastgrad.parameters.blocks import Block

WRONG_ENTRY = 4
"""Evaluations that a wrong entry takes where the loss is smooth."""


@dataclass
class SpotChecks:
    """Judges entries one by one, inside a budget, and keeps what it said.

    Parameters
    ----------
    residuals : Residuals
    budget : Budget
    rms : ndarray, shape (blocks,)
        Size of each block's gradient under test, in units of theta.
    """

    residuals: Residuals
    budget: Budget
    rms: Floats
    judged: list[Judged] = field(default_factory=list)
    heard: bool = False
    """Whether an error was looked at over other steps, as the first that is called wrong is."""
    _doubtful: bool = False
    """Whether an entry that was called wrong had an alibi: then each one is heard."""

    def judge(self, positions: Indices) -> Judged:
        """Check entries as a sweep would, and over other steps what is called wrong.

        A direction has shown the error at steps of its own, so the first entry has a short look; if it
        has an alibi, all are heard from then on.
        """
        residuals = self.residuals
        entries = Entries(residuals.lines.loss, positions)
        judged = judge(entries, residuals.claim, residuals.rule, entries.steps(), self.rms)
        called_wrong = judged.verdict == Verdict.DISAGREES
        alone = ~entries.loss.units.one_unit[judged.block]
        unsure = bool(np.any(alone & (judged.verdict == Verdict.INCONCLUSIVE)))
        if unsure or (called_wrong.any() and (self._doubtful or not self.heard)):
            budget = self.budget
            referee = Referee(entries, judged, residuals.rule, budget.left, budget.evaluation)
            judged = referee.confirm(brief=not self._doubtful)
            self.heard |= bool(called_wrong.any())
            self._doubtful |= bool(np.any(called_wrong & (judged.verdict != Verdict.DISAGREES)))
        self.judged.append(judged)
        return judged


class Suspects:
    """The entries of one block; those whose error shows are corrected in the claim.

    Parameters
    ----------
    spot : SpotChecks
    block : Block
    free : ndarray of bool, shape (block.size,)
        Which of its entries may be perturbed.
    finding : Finding
        Filled.
    rng : Generator
    """

    def __init__(
        self,
        spot: SpotChecks,
        block: Block,
        free: Mask,
        finding: Finding,
        rng: np.random.Generator,
    ):
        self.spot, self.block, self.finding, self.rng = spot, block, finding, rng
        self.free = free
        self.count = int(np.count_nonzero(free))
        """Entries that may be perturbed."""
        self.corrected: list[tuple[int, Checked]] = []
        """What was corrected in the claim, and is not taken out of the readings yet."""
        self.unknown = free.copy()
        """Which were not checked yet, and are not known to be wrong as a whole."""
        self.unknown[np.array(list(finding.checked), np.intp) - block.start] = False
        if finding.lines:
            self.unknown[finding.in_lines(block.shape)] = False

    def check(self, positions: Indices) -> bool:
        """Check entries not yet known; True if the error of any shows."""
        positions = positions[self.unknown[positions - self.block.start]]
        if positions.size == 0:
            return False
        if not self.spot.budget.allows(WRONG_ENTRY * positions.size):
            return self._check_in_turn(positions)
        residuals, judged = self.spot.residuals, self.spot.judge(positions)
        errors = judged.analytic - judged.numeric
        wrong = judged.verdict == Verdict.DISAGREES
        shows = np.isfinite(errors) & (wrong | (np.abs(errors) > judged.bar))
        corrections = dict(residuals.claim.corrections)
        for k, position in enumerate(map(int, positions)):
            entry = Checked(
                Verdict(judged.verdict[k]),
                float(errors[k]),
                float(judged.bar[k]),
                float(judged.scales.unit[k]),
                bool(shows[k]),
            )
            self.finding.checked[position] = entry
            self.unknown[position - self.block.start] = False
            if wrong[k]:
                self.finding.blame_entry(position)
            if entry.shows:
                self.corrected.append((position, entry))
                corrections[position] = float(judged.numeric[k]), entry.bar
        if shows.any():
            residuals.claim = replace(residuals.claim, corrections=corrections)
        return bool(shows.any())

    def _check_in_turn(self, positions: Indices) -> bool:
        if positions.size == 1:
            raise OutOfBudgetError
        half = positions.size // 2
        found = self.check(positions[:half])
        return self.check(positions[half:]) or found

    def check_all(self) -> None:
        """Check every entry."""
        self.check(self.block.start + np.flatnonzero(self.unknown))

    def sample(self, count: int) -> list[Checked]:
        """Check so many random entries more, or all there are."""
        left = int(np.count_nonzero(self.unknown))
        ranks = np.sort(self.rng.choice(left, min(count, left), replace=False))
        starts = np.arange(0, self.unknown.size, CHUNK)
        before = np.cumsum(np.add.reduceat(self.unknown, starts, dtype=np.intp))
        chosen = []
        for rank in ranks:  # chunk by chunk, for all their positions would fill another theta
            chunk = int(np.searchsorted(before, rank, side="right"))
            there = np.flatnonzero(self.unknown[starts[chunk] : starts[chunk] + CHUNK])
            chosen.append(starts[chunk] + there[rank - before[chunk] + there.size])
        positions = self.block.start + np.array(chosen, np.intp)
        self.check(positions)
        return [self.finding.checked[i] for i in map(int, positions)]

    def sample_of(self, positions: Indices, count: int) -> list[Checked]:
        """Check random ones of these that are not known yet."""
        positions = positions[self.unknown[positions - self.block.start]]
        chosen = self.rng.choice(positions, min(count, positions.size), replace=False)
        self.check(np.sort(chosen))
        return [self.finding.checked[i] for i in map(int, chosen)]
