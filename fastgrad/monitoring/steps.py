"""The step along a monitor's lines, learnt from what differences at two steps say of each other."""

from collections import deque

import numpy as np

from fastgrad.arrays import Floats

FINEST, COARSEST = -20, -4
"""Exponents of the steps, in units of a block's rms: float64 to bfloat16."""
SPACING = 2
EXPLORES = 8
"""One check in so many is at a neighbouring step."""
REMEMBERED = 15
FEWEST = 3
"""Checks at a step before it may become the step of the others."""


class Ladder:
    """Steps 2^k, and how much D(h) and D(2h) differed beside the slope at each."""

    def __init__(self) -> None:
        self.exponent = 0
        self._seen: dict[int, deque[float]] = {}
        self._checks = 0

    @staticmethod
    def rungs() -> Floats:
        """Steps to look at before the first check."""
        return np.exp2(np.arange(FINEST, COARSEST + 1, SPACING, dtype=np.float64))

    def begin(self, slopes: Floats, size: float) -> None:
        """Choose by differences at all `rungs`: the one that both its neighbours are most like."""
        apart = np.abs(np.diff(slopes)) / size
        apart[~np.isfinite(apart)] = np.inf
        inner = np.maximum(apart[:-1], apart[1:])
        best = int(np.argmin(inner)) if np.isfinite(inner).any() else inner.size // 2
        self.exponent = FINEST + SPACING * (best + 1)

    def next(self) -> int:
        """The exponent of the next check: known from checks before it."""
        self._checks += 1
        if self._checks % EXPLORES:
            return self.exponent
        up = (self._checks // EXPLORES) % 2 == 0
        return int(np.clip(self.exponent + (1 if up else -1), FINEST, COARSEST - 1))

    def saw(self, exponent: int, apart: float) -> None:
        """D(h) and D(2h) differed by this part of the slope."""
        self._seen.setdefault(exponent, deque(maxlen=REMEMBERED)).append(abs(apart))
        medians = {
            e: float(np.median(seen)) for e, seen in self._seen.items() if len(seen) >= FEWEST
        }
        if medians:
            self.exponent = min(medians, key=medians.__getitem__)

    def typical(self, exponent: int, now: float) -> float:
        """How much they differ at a step, what is seen now among it."""
        return float(np.median([*self._seen.get(exponent, ()), abs(now)]))
