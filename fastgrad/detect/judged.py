"""What a sweep says of its entries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.differences import Indices, Quotients
from fastgrad.numerics.bars import Verdict
from fastgrad.params import Floats


@dataclass
class Judged:
    """The entries checked, in theta's order; arrays of shape (m,)."""

    indices: Indices
    analytic: Floats
    numeric: Floats
    bar: Floats
    step: Floats
    verdict: NDArray[np.int8]
    block: NDArray[np.intp]
    """Position of each entry's block in the layout."""
    scale: Floats
    """What an error is compared with: max(|D|, rms of D over the block)."""
    rms: Floats
    """rms of D over each block, shape (blocks,); and `overall`, over all of them."""
    overall: float
    notes: dict[int, str]
    """Why an entry is not plainly right or wrong, by position in these arrays."""
    unfinished: int = 0
    """Entries that the first stage left open, and time did not allow to look at again."""


def note_of(verdict: Verdict, near: Quotients, k: int, jump: bool, low: float, high: float) -> str:
    """Why entry k of a sweep's third stage is not plainly right or wrong."""
    if verdict != Verdict.INCONCLUSIVE:
        return f"a kink: subgradients from {low:.6g} to {high:.6g}"
    if not (np.isfinite(near.above[k]) and np.isfinite(near.below[k])):
        side = near.h[k] if not np.isfinite(near.above[k]) else -near.h[k]
        return f"the loss is not finite at {side:+.2g}"
    if jump:
        return "the loss jumps here"
    return "differences at other steps do not confirm the error"
