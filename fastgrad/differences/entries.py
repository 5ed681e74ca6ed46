"""Central differences of chosen entries at chosen steps, with the noise of each."""

from dataclasses import dataclass, field

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.differences.loss import Loss
from fastgrad.evaluate.purity import SCATTER, require_deterministic
from fastgrad.numerics.noise import UNSURPRISING
from fastgrad.numerics.quotients import Quotients
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.step_search import adaptive_steps
from fastgrad.numerics.steps import FINEST_STEP, largest_steps, power_of_two
from fastgrad.spaces.verify import FRACTION

ROUNDED = 12**-0.5
"""sd of what rounding to a last place does."""
REPEAT_EVERY = 1024
"""The loss at theta itself is evaluated again so often: rare randomness escapes three repeats."""
REPEAT_AT_END = 64
"""So many entries are worth one evaluation more: what jumps for good on the way is seen at the end."""
LONGER_AT_MOST = 2.0**11
"""Steps in units that are given are no longer than 2^-6 of them for the noise."""


@dataclass(frozen=True)
class Entries:
    """The entries ``indices`` of theta, shape (m,), whose differences a loss is asked for."""

    loss: Loss
    indices: Indices
    known: Quotients | None = None
    """Differences of all of them that were taken before, at other noise: their values stand."""
    seconds: float = 0.0
    """What those took."""

    x: Floats = field(init=False)
    """Their values."""
    units: Floats = field(init=False)
    """Their units."""

    def __post_init__(self) -> None:
        loss = self.loss
        vars(self).update(x=loss.theta[self.indices], units=loss.units.entry[self.indices])

    def steps(self, given: Floats | str | None = None, step: float = CENTRAL[2].step) -> Floats:
        """The steps that the user gave, one an entry, or default ones, shape (m,).

        Those are ``step`` in the entries' own units, and no shorter than what a space needs to move its
        point by many last places. In units that are given they suit the noise, which in those of far
        entries is more than rounding: that of theta itself.
        """
        if isinstance(given, np.ndarray):
            return given[self.indices]
        loss, steps = self.loss, step * self.units
        least = loss.measured.least
        if loss.units.given and loss.noise > UNSURPRISING * least:
            steps *= float(power_of_two(min(np.cbrt(loss.noise / least), LONGER_AT_MOST)))
        finest = loss.layout.finest
        return steps if finest is None else np.maximum(steps, finest[self.indices])

    def at(self, which: Indices, h: Floats) -> Quotients:
        """Differences of step ``h``, shape (k,), at ``indices[which]``, shape (k,)."""
        chunk = self.loss.run.sweep_chunk
        parts = [
            self._values(which[start : start + chunk], h[start : start + chunk])
            for start in range(0, which.size, chunk)
        ]
        values = np.concatenate(parts or [np.zeros((0, 2))])
        loss = self.loss
        sigma = loss.noise if loss.evenly_noisy else loss.noise_of(self.indices[which])
        finest = self.loss.layout.finest
        if finest is not None:  # the point of a space is rounded as well, wherever it is moved
            slope = np.abs(values[:, 0] - values[:, 1]) / (2 * h)
            least = finest[self.indices[which]]
            sigma = np.hypot(sigma, ROUNDED * np.nan_to_num(slope) * FRACTION * least)
        return Quotients.central(values, h, sigma, self.x[which])

    def adapted_steps(self, which: Indices, h: Floats) -> Floats:
        """Steps of their own for entries that ``h`` does not suit, shape (k,)."""
        x = self.x[which]

        def sample(part: Indices, offsets: Floats) -> Floats:
            return self.loss.values(self.indices[which[part]], offsets)

        alone = self.loss.theta.size == 1
        return adaptive_steps(
            sample,
            h,
            self._least(which, FINEST_STEP * np.spacing(np.abs(x))),
            largest_steps(self.units[which], self.loss.noise, self.loss.value, alone),
            self.loss.noise_of(self.indices[which]),
        )

    def _least(self, which: Indices, steps: Floats) -> Floats:
        """Steps, or the least that a space needs where that is more."""
        finest = self.loss.layout.finest
        return steps if finest is None else np.maximum(steps, finest[self.indices[which]])

    def _values(self, which: Indices, h: Floats) -> Floats:
        """f above and below x, shape (k, 2), with f at theta slipped in now and then, and at the end."""
        if self.known is not None and np.array_equal(self.known.h[which], h):
            return np.stack([self.known.above[which], self.known.below[which]], axis=1)
        indices, offsets = self.indices[which], np.stack([h, -h], axis=1)
        repeats = np.arange(REPEAT_EVERY, which.size + 1, REPEAT_EVERY)
        if which.size >= REPEAT_AT_END and which.size % REPEAT_EVERY:
            repeats = np.append(repeats, which.size)
        if repeats.size == 0:
            return self.loss.values(indices, offsets)
        places, steps = np.insert(indices, repeats, 0), np.insert(offsets, repeats, 0.0, axis=0)
        values = self.loss.values(places, steps)
        at_theta = repeats + np.arange(repeats.size)
        again = np.append(values[at_theta, 0], self.loss.base) + self.loss.run.reference
        require_deterministic(again, SCATTER)
        return np.delete(values, at_theta, axis=0)
