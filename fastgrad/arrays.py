"""Arrays that the whole package speaks of, named once."""

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
