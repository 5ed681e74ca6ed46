"""Directions of the signs of a vector: what shows most of an error that has a part along it."""

from collections.abc import Sequence

import numpy as np

from fastgrad.arrays import CHUNK, Floats
from fastgrad.differences.directions import WRITTEN_OUT, Directions, Part
from fastgrad.evaluate.drawn_directions import Direction, upper_bits


def signs_through(among: Directions, a: Floats, parts: Sequence[Part]) -> Direction:
    """`signs_of`, of parts that are multiplied by their shares, in their order."""
    if among.units.size >= WRITTEN_OUT:  # the sign is among the upper bits of a number
        return among.of_bits(upper_bits(a).view(np.int16), parts, 0.0)
    v = signs_of(among, a)
    for part in parts:
        v[part.start : part.stop] *= part.share
    return v


def signs_of(among: Directions, a: Floats, start: int = 0, stop: int | None = None) -> Floats:
    """The units of the entries with the signs of ``a``, zero outside ``start:stop``, shape (n,).

    ``v . a`` is the sum of all abs(a_i) in units, up to sqrt(n) times what a random direction
    sees: so much larger is what it shows of an error that has a part along a.
    """
    out = np.zeros(among.units.size)
    stop = among.units.size if stop is None else stop
    for first in range(start, stop, CHUNK):
        part = slice(first, min(first + CHUNK, stop))
        np.copysign(among.units[part], a[part], out=out[part])
        if among.mask is not None:
            out[part] *= among.mask[part]
    return out
