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
from fastgrad.evaluate.drawn import Direction, Drawn, upper_bits
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

    def along(self, stream: int) -> Direction:
        """`draw`, not written out where there are many entries."""
        return self.through([Part(stream, 0, self.units.size)])

    def along_exact(self, stream: int) -> Direction:
        """`draw_exact`, not written out where there are many entries."""
        if self.units.size < WRITTEN_OUT:
            return self.draw_exact(stream)
        return self._drawn([Part(stream, 0, self.units.size)], 0.0)

    def through(self, parts: Sequence[Part]) -> Direction:
        """The sum of the directions of some parts of theta, in their order."""
        if self.units.size >= WRITTEN_OUT and self.quantum is None:
            return self._drawn(parts, UNIT_VARIANCE)
        v = np.zeros(self.units.size)
        for stream, start, stop, share in parts:
            self.fill(v, stream, start, stop)
            v[start:stop] *= share
        return v

    def signs_through(self, a: Floats, parts: Sequence[Part]) -> Direction:
        """`signs_of`, of parts that are multiplied by their shares, in their order."""
        if self.units.size >= WRITTEN_OUT:  # the sign is among the upper bits of a number
            return self._made(upper_bits(a).view(np.int16), parts, 0.0)
        v = self.signs_of(a)
        for part in parts:
            v[part.start : part.stop] *= part.share
        return v

    def _drawn(self, parts: Sequence[Part], scale: float) -> Drawn:
        pieces = [self._bits(part) for part in parts]
        if len(pieces) == 1 and pieces[0].size == self.units.size:
            random = pieces[0]
        else:
            random = np.zeros(self.units.size, np.int16)
            for part, piece in zip(parts, pieces, strict=True):
                random[part.start : part.stop] = piece
        return self._made(random, parts, scale)

    def _made(self, random: NDArray[np.int16], parts: Sequence[Part], scale: float) -> Drawn:
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

    def let_go(self) -> None:
        """Keep nothing that is made again when it is asked for."""
        vars(self).pop("_upper_bits", None)

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
            if self.quantum is not None and not exact:
                out[part] = np.rint(out[part] / self.quantum[part]) * self.quantum[part]
            if self.mask is not None:
                out[part] *= self.mask[part]
