"""The steps that suit differences along directions, and the noise that these have."""

import numpy as np

from fastgrad.arrays import CHUNK, Floats
from fastgrad.differences.loss import Loss
from fastgrad.evaluate.drawn_directions import Direction, written_out
from fastgrad.numerics.norms import norm
from fastgrad.numerics.step_search import StepSearch
from fastgrad.spaces.verify import FRACTION

STEP_OF_ALL = 2.0**-19
"""First step tried along all entries of a large theta: the one that nets of 1e4 entries want."""
STEP_OF_ONE = 2.0**-16
"""Step along a single entry: between 1 and n entries steps follow a power law."""
SMALLEST_STEP, LARGEST_STEP = 2.0**-40, 2.0**-6
POINT_SD = float(np.finfo(np.float64).eps) / float(np.sqrt(12.0))
"""sd of the rounding of a coordinate of a point, in parts of it, at most."""
HARDLY = 0.1
"""Rounding of the points below this part of the noise of f is not looked at direction by direction."""


LAST_PLACES = FRACTION / float(np.finfo(np.float64).eps)
"""A last place of a space's point, in those of float64."""


class Lines:
    """The lines of a loss along directions.

    Parameters
    ----------
    loss : Loss
    slopes : ndarray, shape (n,), optional
        About the gradient, as the gradient under test is: what it makes of the rounding of the points
        themselves, which is all the noise there is where f is exact.
    """

    def __init__(self, loss: Loss, slopes: Floats | None = None):
        self.loss = loss
        self._slopes = np.zeros(loss.theta.size) if slopes is None else slopes
        self._rounding = self._point_noise(None)
        self.step = STEP_OF_ALL
        """The step along ``count`` entries."""
        self.count = loss.theta.size

    def probe_step(self, v: Direction, count: int) -> Floats | None:
        """Find the step along a direction of ``count`` entries; others follow by a power law.

        Returns f above and below at twice that step, shape (2,), if it was tried.
        """
        # Alarms are looked at again at half the step, where points are to be exact too.
        smallest = max(SMALLEST_STEP, 2 * self._exact_from(v))
        start = max(STEP_OF_ALL, STEP_OF_ONE / np.sqrt(count), smallest)
        largest = max(LARGEST_STEP if count > 1 else STEP_OF_ONE, smallest)
        edges = np.array([start]), np.array([smallest]), np.array([largest])
        search, seen = StepSearch(*edges, self.noise(v, smallest)), dict[float, float]()
        while search.open.size:
            offsets = search.offsets
            values = self.loss.along(v, offsets[0])
            seen.update(zip(offsets[0].tolist(), values.tolist(), strict=True))
            search.tell(values[None, :])
        self.step, self.count = float(search.steps[0]), count
        tried = 2 * self.step
        return np.array([seen[tried], seen[-tried]]) if tried in seen else None

    def step_for(self, count: int) -> float:
        """Half the power law's step along ``count`` entries, a power of two."""
        if count >= self.count:
            return self.step
        slope = np.log(max(STEP_OF_ONE / self.step, 1.0)) / np.log(max(self.count, 2))
        h = self.step * (self.count / max(count, 1)) ** slope
        return float(max(self.step, 2.0 ** (np.floor(np.log2(h)) - 1)))

    def noise(self, v: Direction, step: float) -> float:
        """sd of f along v: its own noise, and that of the points, unless steps leave them exact."""
        if self._rounding <= HARDLY * self.loss.noise or 0 < self._exact_from(v) <= step:
            return self.loss.noise
        return float(np.hypot(self.loss.noise, self._point_noise(written_out(v))))

    def _exact_from(self, v: Direction) -> float:
        """The least step at which points along v are exact; 0 where none is known to be."""
        if self.loss.lattice is None:
            return 0.0
        quantum, step = self.loss.lattice.of_directions
        multiples = written_out(v) / quantum
        return step if np.array_equal(multiples, np.rint(multiples)) else 0.0

    def _point_noise(self, v: Floats | None) -> float:
        """sd of f by the rounding of ``theta + h v``, of all entries where v is None."""
        total = 0.0
        for start in range(0, self.loss.theta.size, CHUNK):
            part = slice(start, min(start + CHUNK, self.loss.theta.size))
            moved = self._slopes[part] * self.loss.theta[part]
            finest = self.loss.layout.finest
            if finest is not None:  # the point of a space lies elsewhere than its coordinates
                least = finest[part] * LAST_PLACES
                moved = np.maximum(np.abs(moved), np.abs(self._slopes[part]) * least)
            total = float(np.hypot(total, norm(moved if v is None else moved[v[part] != 0])))
        return POINT_SD * total
