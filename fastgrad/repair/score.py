"""How far an edited gradient is from the differences, block by block."""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.numerics.norms import norm, rms
from fastgrad.parameters.layout import Layout

LENIENT = 2.0
"""Bars in the search; the proof has the rule's own."""
MOST_ERROR = 1e150
"""What an error counts at most, so that its square is a number."""
PROPORTIONAL, A_FACTOR = 1e-6, 0.1
"""A block that is right but for a factor, to this part of D, has this residual at most: one edit off."""
MOST_ENTRIES = 20_000
"""Compared in the search, a random part of what is known."""


@dataclass(frozen=True)
class Score:
    """What one gradient is worth.

    Parameters
    ----------
    right : tuple of bool
        Blocks that agree.
    residual : tuple of float
        Of each block, ``||a - D|| / ||D||``; at most `A_FACTOR` where a is proportional to D.
    values : tuple of float
        Two projections of the whole gradient, equal where the gradients are.
    """

    right: tuple[bool, ...]
    residual: tuple[float, ...]
    values: tuple[float, float]

    @property
    def total(self) -> float:
        return float(np.sum(np.minimum(self.residual, 1e3)))


@dataclass(frozen=True)
class Target:
    """What a report judged a gradient by: the differences of its entries and what they allow.

    Parameters
    ----------
    positions : ndarray of int, shape (m,)
    D, allowed : ndarray, shape (m,)
    block : ndarray of int, shape (m,)
    wrong : tuple of bool
        Blocks that were found to disagree.
    """

    positions: Indices
    D: Floats
    allowed: Floats
    block: Indices
    wrong: tuple[bool, ...]
    directions: Floats
    sizes: Floats
    """The norm of each block's D, shape (blocks,)."""

    @classmethod
    def of(cls, outcome: Outcome, analytic: Floats, layout: Layout, rule: Rule) -> "Target":
        """The target of an outcome; where a block was found right as a whole, it is to stay as it is."""
        judged = outcome.judged
        assert judged is not None
        known = np.isin(judged.verdict, (Verdict.AGREES, Verdict.DISAGREES))
        known &= np.isfinite(judged.numeric) & np.isfinite(judged.bar)
        parts = [(judged.indices[known], judged.numeric[known], judged.bar[known])]
        wrong = tuple(block.verdict == "disagrees" for block in outcome.blocks)
        for b, block in enumerate(layout.blocks):
            a = analytic[block.start : block.stop]
            if not wrong[b] and outcome.blocks[b].checked < block.size and np.isfinite(a).all():
                rest = np.setdiff1d(np.arange(block.start, block.stop), judged.indices)
                parts.append((rest, analytic[rest], np.full(rest.size, rule.rtol * rms(a))))
        positions, D, bar = (np.concatenate(column) for column in zip(*parts, strict=True))
        if positions.size > MOST_ENTRIES:
            some = np.random.default_rng(0).choice(positions.size, MOST_ENTRIES, replace=False)
            positions, D, bar = positions[some], D[some], bar[some]
        of = np.searchsorted(layout.stops, positions, side="right")
        sizes = np.array([norm(D[of == b]) or 1.0 for b in range(len(wrong))])
        directions = np.random.default_rng(1).standard_normal((2, layout.size))
        allowed = LENIENT * bar + rule.rtol * np.abs(D)
        return cls(positions, D, allowed, of, wrong, directions, sizes)

    def _norms(self, error: Floats) -> Floats:
        """The norm of an error over that of D, block by block."""
        error = np.where(np.abs(error) < MOST_ERROR, error, MOST_ERROR)
        return np.sqrt(np.bincount(self.block, error * error, len(self.wrong))) / self.sizes

    def _is_proportional(self, a: Floats) -> Mask:
        """Blocks of several entries that are right but for a factor."""
        a = np.where(np.abs(a) < MOST_ERROR, a, 0.0)
        count = len(self.wrong)
        squares = np.bincount(self.block, a * a, count)
        factor = np.bincount(self.block, a * self.D, count) / np.where(squares == 0, 1, squares)
        several = np.bincount(self.block, minlength=count) > 1
        return several & (self._norms(factor[self.block] * a - self.D) < PROPORTIONAL)

    def score(self, gradient: Floats) -> Score:
        """How far a gradient is off."""
        error = np.abs(gradient[self.positions] - self.D)
        bad: Mask = ~(error <= self.allowed)
        count = len(self.wrong)
        wrong = np.bincount(self.block, bad, count) > 0
        residual = np.where(
            self._is_proportional(gradient[self.positions]),
            np.minimum(A_FACTOR, self._norms(error)),
            self._norms(error),
        )
        first, second = (self.directions * np.nan_to_num(gradient)).sum(axis=1)
        return Score(
            tuple((~wrong).tolist()), tuple(residual.tolist()), (float(first), float(second))
        )
