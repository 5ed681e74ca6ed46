"""Central differences of chosen entries at chosen steps, with the noise of each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.preflight import Loss
from fastgrad.evaluate import Evaluator
from fastgrad.evaluate.determinism import require_deterministic
from fastgrad.numerics.bars import local_noise, noise_bar
from fastgrad.numerics.steps import FINEST_STEP, adaptive_steps, largest_steps
from fastgrad.params import Floats

Indices = NDArray[np.intp]

CHUNK = 1 << 16
"""Entries evaluated at a time."""
REPEAT_EVERY = 1024
"""The loss at theta itself is evaluated again so often: rare randomness escapes three repeats."""


@dataclass
class Quotients:
    """Central differences at some entries; arrays of shape (m,)."""

    h: Floats
    above: Floats
    below: Floats
    D: Floats
    sigma: Floats
    """sd of the noise of one evaluation there."""
    bar: Floats
    """Noise bar of D, infinite where D is not finite."""

    def take(self, which: NDArray[np.bool_] | Indices) -> "Quotients":
        return Quotients(*(array[which] for array in vars(self).values()))

    def put(self, which: NDArray[np.bool_], other: "Quotients") -> None:
        for name, array in vars(self).items():
            array[which] = getattr(other, name)


@dataclass(frozen=True)
class Differencer:
    """Asks an evaluator for the differences of entries ``indices`` of theta, shape (m,)."""

    run: Evaluator
    loss: Loss
    indices: Indices

    @property
    def x(self) -> Floats:
        return self.run.theta[self.indices]

    def at(self, which: Indices, h: Floats) -> Quotients:
        """Differences of step ``h``, shape (k,), at ``indices[which]``, shape (k,)."""
        parts = [
            self._values(which[start : start + CHUNK], h[start : start + CHUNK])
            for start in range(0, which.size, CHUNK)
        ]
        above, below = np.concatenate(parts or [np.zeros((0, 2))]).T
        x = self.x[which]
        with np.errstate(invalid="ignore", over="ignore"):
            D = (above - below) / ((x + h) - (x - h))
            sigma = local_noise(self.loss.noise_of(self.indices[which]), above, below)
            bar = np.where(np.isfinite(D), noise_bar(sigma, h), np.inf)
        return Quotients(h, above, below, D, sigma, bar)

    def adapted_steps(self, which: Indices, h: Floats) -> Floats:
        """Steps of their own for entries that ``h`` does not suit, shape (k,)."""
        x = self.x[which]

        def sample(part: Indices, offsets: Floats) -> Floats:
            return self.run.coordinates(self.indices[which[part]], offsets)

        alone = self.run.theta.size == 1
        return adaptive_steps(
            sample,
            h,
            FINEST_STEP * np.spacing(np.abs(x)),
            largest_steps(x, self.loss.noise, self.loss.value, alone),
            self.loss.noise_of(self.indices[which]),
        )

    def _values(self, which: Indices, h: Floats) -> Floats:
        """f above and below x, shape (k, 2), with f at theta slipped in every `REPEAT_EVERY` entries."""
        indices, offsets = self.indices[which], np.stack([h, -h], axis=1)
        repeats = np.arange(REPEAT_EVERY, which.size + 1, REPEAT_EVERY)
        if repeats.size == 0:
            return self.run.coordinates(indices, offsets)
        values = self.run.coordinates(
            np.insert(indices, repeats, 0), np.insert(offsets, repeats, 0.0, axis=0)
        )
        again = repeats + np.arange(repeats.size)
        require_deterministic(np.append(values[again, 0], self.loss.base))
        return np.delete(values, again, axis=0)
