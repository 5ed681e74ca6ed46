"""Entries that were wrong before a projection spread their errors over a block, found by directions.

On a space told by a projection P the residual is ``r = P s`` with s the error before projecting, and
along v, which moves the point along P v, directions see ``v . r = (P v) . s``. So some directions are
measured, and s is fitted with few entries, by orthogonal matching pursuit with exchanges: its columns
are those of P v, known at no evaluation of the loss. A fit counts if chance would not give it.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose.conventions import MOST_SMEARED, said_of_smeared
from fastgrad.checks.screen.residuals import Reading
from fastgrad.checks.screen.spot_checks import SpotChecks, Suspects
from fastgrad.differences.directions import Directions
from fastgrad.findings import Diagnosis
from fastgrad.numerics.norms import norm, rms
from fastgrad.parameters.blocks import Block
from fastgrad.spaces.charts import Chart

FIRST = 10
"""Directions from which a single entry is told: of 6,000 none other fits ten numbers to 1e-2."""
ALL = 40
"""Directions for several: 2 k log n of them are 35 for two, 52 for three of 6,000, without exchanges."""
EXCHANGES = 3
"""Rounds in which each entry chosen is exchanged for the best one beside the others."""
STARTS = 32
"""Entries with which a search for several begins: the likeliest one is among them in the count of
tests/spaces/test_screen.py, where the first alone misleads it once in 40."""
SLACK = 2.0
"""Bars by which a fit may be off: the bars of the weights come to as much as those of the readings."""
EXACT = 2.0**-20
"""Part of the largest reading by which a fit may be off: what truncation leaves of it."""
CHANCE = 1e-6
"""Probability that entries fit which have nothing to do with the error."""
MOST_NUMBERS = 1 << 24
"""Numbers in all directions together: 128 MiB."""


class Smear:
    """A search for errors that a projection spread over one block.

    Parameters
    ----------
    spot : SpotChecks
    directions : Directions
    block : Block
        One with a chart.
    stream : callable
        ``stream(k)``: the number of the k-th direction.
    """

    def __init__(
        self,
        spot: SpotChecks,
        directions: Directions,
        block: Block,
        stream: Callable[[int], int],
    ):
        self.spot, self.directions = spot, directions
        self.block, self.chart = block, chart_of(block)
        self.stream = stream
        self._rows: list[Floats] = []
        self._readings: list[Reading] = []

    def found(self, suspects: Suspects) -> Diagnosis | None:
        """The law, if few entries explain all that directions show; the claim is then corrected."""
        if self.chart is None or self.block.size * FIRST > MOST_NUMBERS or not self._is_tangent():
            return None
        for count, most in ((FIRST, 1), (ALL, MOST_SMEARED)):
            if not self._measured(count):
                return None
            fit = few_entries(np.array(self._rows), self._readings, most)
            if fit is not None:
                return self._named(*fit, suspects)
        return None

    def _is_tangent(self) -> bool:
        """Whether the gradient under test is tangent: else no projection came last."""
        assert self.chart is not None
        residuals = self.spot.residuals
        a = residuals.claim.values[self.block.start : self.block.stop]
        tangent = self.chart.projected(a)
        return tangent is not None and norm(a - tangent) <= residuals.rule.rtol * norm(a)

    def _measured(self, count: int) -> bool:
        """Measure along so many directions in all; False where they would take too much memory."""
        if self.block.size * count > MOST_NUMBERS:
            return False
        inside = slice(self.block.start, self.block.stop)
        for k in range(len(self._rows), count):
            v = self.directions.draw(self.stream(k), self.block.start, self.block.stop)
            assert self.chart is not None
            row = self.chart.projected(v[inside])
            assert row is not None
            self._rows.append(row)
            step = self.spot.residuals.lines.step_for(self.block.size)
            self._readings.append(self.spot.residuals.measure(v, step))
        return True

    def _named(self, chosen: list[int], rough: Floats, suspects: Suspects) -> Diagnosis | None:
        """The law, with weights from the entries' own differences."""
        order = np.argsort(chosen)
        chosen, rough = [chosen[i] for i in order], rough[order]
        positions = self.block.start + np.array(chosen, np.intp)
        suspects.check(positions)
        checked = [suspects.finding.checked.get(int(i)) for i in positions]
        columns = np.array([self._column(k) for k in chosen]).T
        weights, doubt = rough, np.zeros(len(chosen))
        if all(entry is not None and np.isfinite(entry.residual) for entry in checked):
            own = np.linalg.inv(columns[chosen])
            weights = own @ [entry.residual for entry in checked if entry is not None]
            doubt = np.abs(own) @ [entry.bar for entry in checked if entry is not None]
        part = np.zeros(self.directions.units.size)
        scatter = np.zeros_like(part)
        inside = slice(self.block.start, self.block.stop)
        part[inside], scatter[inside] = columns @ weights, np.abs(columns) @ doubt
        residuals = self.spot.residuals
        residuals.claim = residuals.claim.without(part, scatter)
        if not suspects.finding.wrong:
            return None
        wrong = [
            (self.block.entry(int(i)), w) for i, w in zip(positions, weights.tolist(), strict=True)
        ]
        constants = {"entries": float(len(wrong)), "largest": max((w for _, w in wrong), key=abs)}
        sentence = f"{self.block.name}: {said_of_smeared(wrong)}."
        return Diagnosis(self.block.name, "smeared", constants, sentence)

    def _column(self, k: int) -> Floats:
        """What the projection makes of entry k."""
        assert self.chart is not None
        e = np.zeros(self.block.size)
        e[k] = 1.0
        column = self.chart.projected(e)
        assert column is not None
        return column


def chart_of(block: Block) -> Chart | None:
    """The chart of a block, if it lives on a space."""
    return getattr(block, "chart", None)


def few_entries(
    rows: Floats, readings: list[Reading], most: int
) -> tuple[list[int], Floats] | None:
    """Few entries of s, and their weights, with ``rows @ s`` the readings within their bars.

    Parameters
    ----------
    rows : ndarray, shape (m, n)
    readings : list of Reading
    most : int
        Entries at most.
    """
    y = np.array([reading.y for reading in readings])
    off = SLACK * np.array([reading.bar for reading in readings]) + EXACT * np.abs(y).max()
    if not np.isfinite(off).all():
        return None
    A, y = rows / off[:, None], y / off
    for count in range(1, most + 1):
        if _log_chance(rows.shape, count, rms(y)) > np.log10(CHANCE):
            return None
        for first in _likeliest(A, y, STARTS if count > 1 else 1):
            chosen = _chosen(A, y, [first], count)
            weights, left = _fitted(A, y, chosen)
            if np.all(np.abs(left) <= 1.0):
                return chosen, weights
    return None


def _chosen(A: Floats, y: Floats, chosen: list[int], count: int) -> list[int]:
    """Columns that together leave little, from a first one on."""
    while len(chosen) < count:
        chosen = [*chosen, *_likeliest(A, y, 1, chosen)]
    for _ in range(EXCHANGES if count > 1 else 0):
        before = list(chosen)
        for i in range(count):
            chosen[i] = _likeliest(A, y, 1, chosen[:i] + chosen[i + 1 :])[0]
        if chosen == before:
            break
    return chosen


def _fitted(A: Floats, y: Floats, chosen: list[int]) -> tuple[Floats, Floats]:
    if not chosen:
        return np.zeros(0), y
    weights = np.asarray(np.linalg.lstsq(A[:, chosen], y, rcond=None)[0], np.float64)
    return weights, y - A[:, chosen] @ weights


def _likeliest(A: Floats, y: Floats, count: int, others: Sequence[int] = ()) -> list[int]:
    """The columns each of which takes most of what the others leave."""
    left = _fitted(A, y, list(others))[1]
    lengths = np.linalg.norm(A, axis=0)
    score = np.abs(left @ A) / np.where(lengths > 0, lengths, np.inf)
    score[list(others)] = -1.0
    return [int(k) for k in np.argsort(-score, kind="stable")[:count]]


def _log_chance(shape: tuple[int, int], count: int, size: float) -> float:
    """log10 of the chance that some of so many columns fit readings of this size, in what is allowed."""
    m, n = shape
    ways = math.lgamma(n + 1) - math.lgamma(count + 1) - math.lgamma(n - count + 1)
    ways /= math.log(10)
    return float(ways - (m - count) * np.log10(max(size, 1.0)))
