"""Single entries checked exactly, as a sweep would, and what is remembered of them."""

import numpy as np

from fastgrad.arrays import CHUNK, Floats, Indices, Mask
from fastgrad.checks.budget import Budget
from fastgrad.checks.outcome import Judged
from fastgrad.checks.referee import Referee
from fastgrad.checks.rules import Verdict
from fastgrad.checks.screen.findings import Checked, Finding
from fastgrad.checks.screen.residuals import Residuals
from fastgrad.checks.stages import judge
from fastgrad.differences.entries import Entries
from fastgrad.parameters.blocks import Block

WRONG_ENTRY = 4
"""Evaluations that a wrong entry takes where the loss is smooth."""


class OutOfBudgetError(Exception):
    """The time allowed is over."""


class SpotChecks:
    """Judges entries one by one, inside a budget, and keeps what it said.

    Parameters
    ----------
    residuals : Residuals
    budget : Budget
    rms : ndarray, shape (blocks,)
        Size of each block's gradient under test, in units of theta.
    """

    def __init__(self, residuals: Residuals, budget: Budget, rms: Floats):
        self.residuals, self.budget, self.rms = residuals, budget, rms
        self.judged: list[Judged] = []
        self.heard = False
        """Whether an error was looked at over other steps, as the first that is called wrong is."""
        self._doubtful = False
        """Whether an entry that was called wrong had an alibi: then each one is heard."""

    def judge(self, positions: Indices) -> Judged:
        """Check entries as a sweep would."""
        residuals = self.residuals
        entries = Entries(residuals.lines.loss, positions)
        judged = judge(entries, residuals.claim, residuals.rule, entries.steps(), self.rms)
        judged = self._confirmed(entries, judged)
        self.judged.append(judged)
        return judged

    def _confirmed(self, entries: Entries, judged: Judged) -> Judged:
        """The same, where other steps do not acquit what is called wrong.

        A direction has shown the error at steps of its own, so the first entry has a short look; if it
        has an alibi, all are heard from then on.
        """
        wrong = bool((judged.verdict == Verdict.DISAGREES).any())
        alone = ~entries.loss.units.one_unit[judged.block]
        unsure = bool(np.any(alone & (judged.verdict == Verdict.INCONCLUSIVE)))
        if not unsure and (not wrong or (self.heard and not self._doubtful)):
            return judged
        referee = Referee(
            entries, judged, self.residuals.rule, self.budget.left, self.budget.evaluation
        )
        heard = referee.confirm(brief=not self._doubtful)
        self.heard |= wrong
        acquitted = (judged.verdict == Verdict.DISAGREES) & (heard.verdict != judged.verdict)
        self._doubtful |= bool(np.any(acquitted))
        return heard

    def require_time(self) -> None:
        """Raise `OutOfBudgetError` unless one more difference fits."""
        if not self.budget.allows():
            raise OutOfBudgetError


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
        self._corrected: list[tuple[int, Checked]] = []
        self._unknown = free.copy()
        self._unknown[np.array(list(finding.checked), np.intp) - block.start] = False
        self.struck = finding.in_lines(block.shape)
        """What lies in lines that were found to be wrong in a round before."""
        self._unknown[self.struck] = False

    @property
    def unknown(self) -> int:
        """How many entries were not checked yet."""
        return int(np.count_nonzero(self._unknown))

    def check(self, positions: Indices) -> bool:
        """Check entries not yet known; True if the error of any shows."""
        positions = positions[self._unknown[positions - self.block.start]]
        if positions.size == 0:
            return False
        if not self.spot.budget.allows(WRONG_ENTRY * positions.size):
            return self._check_in_turn(positions)
        residuals, judged = self.spot.residuals, self.spot.judge(positions)
        errors = judged.analytic - judged.numeric
        before = len(self._corrected)
        for k, position in enumerate(map(int, positions)):
            entry = Checked(
                Verdict(judged.verdict[k]),
                float(errors[k]),
                float(judged.bar[k]),
                float(judged.scales.unit[k]),
            )
            self.finding.checked[position] = entry
            self._unknown[position - self.block.start] = False
            if entry.shows:
                self._corrected.append((position, entry))
                corrected = residuals.claim.corrected(position, float(judged.numeric[k]), entry.bar)
                residuals.claim = corrected
        return len(self._corrected) > before

    def _check_in_turn(self, positions: Indices) -> bool:
        if positions.size == 1:
            raise OutOfBudgetError
        half = positions.size // 2
        found = self.check(positions[:half])
        return self.check(positions[half:]) or found

    def taken_out(self) -> list[tuple[int, Checked]]:
        """What was corrected in the claim since the last call."""
        taken, self._corrected = self._corrected, []
        return taken

    def set_aside(self, inside: Indices | Mask) -> None:
        """Look at these entries of the block no more: they are known to be wrong as a whole."""
        self._unknown[inside] = False

    def check_all(self) -> None:
        """Check every entry."""
        self.check(self.block.start + np.flatnonzero(self._unknown))

    def sample(self, count: int) -> list[Checked]:
        """Check so many random entries more, or all there are."""
        ranks = np.sort(self.rng.choice(self.unknown, min(count, self.unknown), replace=False))
        starts = np.arange(0, self._unknown.size, CHUNK)
        before = np.cumsum(np.add.reduceat(self._unknown, starts, dtype=np.intp))
        chosen = []
        for rank in ranks:  # chunk by chunk, for all their positions would fill another theta
            chunk = int(np.searchsorted(before, rank, side="right"))
            there = np.flatnonzero(self._unknown[starts[chunk] : starts[chunk] + CHUNK])
            chosen.append(starts[chunk] + there[rank - before[chunk] + there.size])
        positions = self.block.start + np.array(chosen, np.intp)
        self.check(positions)
        return [self.finding.checked[i] for i in map(int, positions)]

    def sample_of(self, positions: Indices, count: int) -> list[Checked]:
        """Check random ones of these that are not known yet."""
        positions = positions[self._unknown[positions - self.block.start]]
        chosen = self.rng.choice(positions, min(count, positions.size), replace=False)
        self.check(np.sort(chosen))
        return [self.finding.checked[i] for i in map(int, chosen)]
