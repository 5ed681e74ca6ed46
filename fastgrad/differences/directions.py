"""Random directions from a counter-based generator: reproducible, and no matter how many threads.

Entries are signed uniform, ``+-U(1/2, 3/2) / sqrt(13/12)`` times the entry's own unit: unit
variance, and no entry is ever attenuated below 0.48. With signs alone an error (d, +-d) is missed
with probability 1/2, and a unit-norm direction hides one wrong entry by 1/sqrt(n). Sizes are of 15
bits: two entries are alike with probability 3e-5, and nothing is promised of one direction below 1e-3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastgrad.arrays import CHUNK, Floats, Mask
from fastgrad.evaluate.drawn_directions import Direction, Drawn, upper_bits
from fastgrad.evaluate.on_demand import fill_direction
from fastgrad.parameters.blocks import Block

UNIT_VARIANCE = float(np.sqrt(12 / 13))
WEAKEST = 0.5 * UNIT_VARIANCE
"""Least size of an entry of a direction."""
WRITTEN_OUT = 1 << 17
"""Directions of fewer entries are written out, and stay in the caches."""


class Part(NamedTuple):
    """A stretch of a direction: the number of its stream, and a power of two to multiply it by."""

    stream: int
    start: int
    stop: int
    share: float = 1.0


@dataclass(frozen=True)
class Directions:
    """Directions in the space of theta, shape (n,); entries that ``mask`` leaves out are 0.

    ``units`` are those of the entries, shape (n,), powers of two; entries of ``draw`` are multiples of
    ``quantum``, shape (n,), where there is one: points along them are exact, if steps are no finer.
    """

    units: Floats
    mask: Mask | None
    seed: int
    quantum: Floats | None = None

    def moves(self, block: Block) -> Mask:
        """Which entries of a block directions move, flat."""
        return (
            np.ones(block.size, np.bool_)
            if self.mask is None
            else self.mask[block.start : block.stop]
        )

    def draw(
        self,
        stream: int,
        start: int = 0,
        stop: int | None = None,
        exact: bool = False,
        out: Floats | None = None,
    ) -> Floats:
        """The direction number ``stream``, zero outside ``start:stop``, shape (n,).

        Parameters
        ----------
        exact : bool
            Signs times powers of two: points along it are exact, and f's noise is all that shows.
        out : ndarray, shape (n,), optional
            What the entries ``start:stop`` are put into.
        """
        out = np.zeros(self.units.size) if out is None else out
        generator = np.random.Philox(key=[self.seed, stream])
        stop = self.units.size if stop is None else stop
        for first in range(start, stop, CHUNK):
            part = slice(first, min(first + CHUNK, stop))
            count = part.stop - part.start
            random = generator.random_raw(-(-count // 4)).view(np.int16)[:count]
            fill_direction(out[part], random, self.units[part], exact, UNIT_VARIANCE)
            if self.quantum is not None and not exact:
                out[part] = np.rint(out[part] / self.quantum[part]) * self.quantum[part]
            if self.mask is not None:
                out[part] *= self.mask[part]
        return out

    def along(self, stream: int, exact: bool = False) -> Direction:
        """`draw`, not written out where there are many entries."""
        return self.through([Part(stream, 0, self.units.size)], exact)

    def through(self, parts: Sequence[Part], exact: bool = False) -> Direction:
        """The sum of the directions of some parts of theta, in their order."""
        if self.units.size >= WRITTEN_OUT and (exact or self.quantum is None):
            pieces = [self._bits(part) for part in parts]
            if len(pieces) == 1 and pieces[0].size == self.units.size:
                random = pieces[0]
            else:
                random = np.zeros(self.units.size, np.int16)
                for part, piece in zip(parts, pieces, strict=True):
                    random[part.start : part.stop] = piece
            return self.of_bits(random, parts, 0.0 if exact else UNIT_VARIANCE)
        v = np.zeros(self.units.size)
        for stream, start, stop, share in parts:
            self.draw(stream, start, stop, exact, v)
            v[start:stop] *= share
        return v

    def of_bits(self, random: NDArray[np.int16], parts: Sequence[Part], scale: float) -> Drawn:
        """A direction that is not written out, of what its parts' random bits are."""
        spans = np.array([(part.start, part.stop) for part in parts], np.int64).reshape(-1, 2)
        shares = np.array([part.share for part in parts], np.float64)
        return Drawn(random, self._upper_bits, spans, shares, scale)

    def _bits(self, part: Part) -> NDArray[np.int16]:
        """The random bits of a part."""
        count = part.stop - part.start
        generator = np.random.Philox(key=[self.seed, part.stream])
        return generator.random_raw(-(-count // 4)).view(np.int16)[:count]

    @cached_property
    def _upper_bits(self) -> NDArray[np.uint16]:
        bits = upper_bits(self.units)
        return bits if self.mask is None else bits * self.mask
