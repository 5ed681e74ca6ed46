"""Random directions from a counter-based generator: reproducible, and no matter how many threads.

Entries are signed uniform, ``+-U(1/2, 3/2) / sqrt(13/12)`` times the entry's own unit: unit
variance, and no entry is ever attenuated below 0.48. With signs alone an error (d, +-d) is missed
with probability 1/2, and a unit-norm direction hides one wrong entry by 1/sqrt(n). Sizes are of 15
bits: two entries are alike with probability 3e-5, and nothing is promised of one direction below 1e-3.
"""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import CHUNK, Floats, Mask
from fastgrad.evaluate.on_demand import fill_direction
from fastgrad.parameters.layout import Block

UNIT_VARIANCE = float(np.sqrt(12 / 13))
WEAKEST = 0.5 * UNIT_VARIANCE
"""Least size of an entry of a direction."""


@dataclass(frozen=True)
class Directions:
    """Directions in the space of theta, shape (n,); entries that ``mask`` leaves out are 0.

    ``units`` are those of the entries, shape (n,), powers of two.
    """

    units: Floats
    mask: Mask | None
    seed: int

    def moves(self, block: Block) -> Mask:
        """Which entries of a block directions move, flat."""
        return (
            np.ones(block.size, np.bool_)
            if self.mask is None
            else self.mask[block.start : block.stop]
        )

    def count(self, block: Block) -> int:
        """How many entries of a block they move."""
        return block.size if self.mask is None else int(np.count_nonzero(self.moves(block)))

    def draw(self, stream: int, start: int = 0, stop: int | None = None) -> Floats:
        """The direction number ``stream``, zero outside ``start:stop``, shape (n,)."""
        out = np.zeros(self.units.size)
        self.fill(out, stream, start, stop)
        return out

    def draw_exact(self, stream: int) -> Floats:
        """Signs times powers of two: points along it are exact, and f's noise is all that shows."""
        out = np.zeros(self.units.size)
        self.fill(out, stream, exact=True)
        return out

    def signs_of(self, a: Floats, start: int = 0, stop: int | None = None) -> Floats:
        """The units of the entries with the signs of ``a``, zero outside ``start:stop``, shape (n,).

        ``v . a`` is the sum of all abs(a_i) in units, up to sqrt(n) times what a random direction
        sees: so much larger is what it shows of an error that has a part along a.
        """
        out = np.zeros(self.units.size)
        stop = self.units.size if stop is None else stop
        for first in range(start, stop, CHUNK):
            part = slice(first, min(first + CHUNK, stop))
            np.copysign(self.units[part], a[part], out=out[part])
            if self.mask is not None:
                out[part] *= self.mask[part]
        return out

    def fill(
        self,
        out: Floats,
        stream: int,
        start: int = 0,
        stop: int | None = None,
        exact: bool = False,
    ) -> None:
        """Put the entries ``start:stop`` of the direction number ``stream`` into a vector."""
        generator = np.random.Philox(key=[self.seed, stream])
        stop = self.units.size if stop is None else stop
        for first in range(start, stop, CHUNK):
            part = slice(first, min(first + CHUNK, stop))
            count = part.stop - part.start
            random = generator.random_raw(-(-count // 4)).view(np.int16)[:count]
            fill_direction(out[part], random, self.units[part], exact, UNIT_VARIANCE)
            if self.mask is not None:
                out[part] *= self.mask[part]
