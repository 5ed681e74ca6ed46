"""Arrays that the whole package speaks of, named once."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]
"""Positions in a flat theta, or in a list of entries."""
Mask: TypeAlias = NDArray[np.bool_]

CHUNK = 1 << 16
"""Entries handled at a time, so that temporaries stay small beside theta at any size."""


def chunks(start: int, stop: int) -> Iterator[slice]:
    """Slices of at most `CHUNK` entries, one after another."""
    for first in range(start, stop, CHUNK):
        yield slice(first, min(first + CHUNK, stop))
