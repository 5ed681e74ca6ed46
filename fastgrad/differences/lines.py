"""Central differences along directions, and the steps that suit them."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.differences.loss import Loss
from fastgrad.numerics.quotients import Quotients
from fastgrad.numerics.steps import adaptive_steps

STEP_OF_ALL = 2.0**-20
"""First step tried along all entries of a large theta."""
STEP_OF_ONE = 2.0**-16
"""Step along a single entry: between 1 and n entries steps follow a power law."""
SMALLEST_STEP, LARGEST_STEP = 2.0**-40, 2.0**-6


class Lines:
    """Differences of a loss along directions.

    Parameters
    ----------
    loss : Loss
    """

    def __init__(self, loss: Loss):
        self.loss = loss
        self.step = STEP_OF_ALL
        """The step along ``count`` entries."""
        self.count = loss.theta.size

    def probe_step(self, v: Floats, count: int) -> None:
        """Find the step along a direction of ``count`` entries; others follow by a power law."""

        def sample(_: object, offsets: Floats) -> Floats:
            return self.loss.along(v, offsets.ravel()).reshape(offsets.shape)

        start = max(STEP_OF_ALL, STEP_OF_ONE / np.sqrt(count))
        h = adaptive_steps(
            sample,
            np.array([start]),
            np.array([SMALLEST_STEP]),
            np.array([LARGEST_STEP if count > 1 else STEP_OF_ONE]),
            self.loss.noise,
        )
        self.step, self.count = float(h[0]), count

    def step_for(self, count: int) -> float:
        """Half the power law's step along ``count`` entries, a power of two."""
        if count >= self.count:
            return self.step
        slope = np.log(max(STEP_OF_ONE / self.step, 1.0)) / np.log(max(self.count, 2))
        h = self.step * (self.count / max(count, 1)) ** slope
        return float(max(self.step, 2.0 ** (np.floor(np.log2(h)) - 1)))

    def at(self, v: Floats, step: float) -> Quotients:
        """The difference of one step along v; arrays of shape (1,)."""
        values = self.loss.along(v, np.array([step, -step]))
        return Quotients.central(values[None, :], np.array([step]), self.loss.noise)
