"""What a strategy found: verdicts, and the entries that it checked one by one."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.differences.loss import Loss
from fastgrad.findings import BlockCheck, Diagnosis


@dataclass(frozen=True)
class Scales:
    """What errors are compared with."""

    block: Indices
    """Position of each entry's block in the layout, shape (m,)."""
    unit: Floats
    """The unit of each entry, shape (m,)."""
    entry: Floats
    """What rtol is relative to: ``|D|``, shape (m,)."""
    rms: Floats
    """rms over each block of D in units of theta, shape (blocks,)."""
    overall: float
    """The same over all of them."""


@dataclass(frozen=True)
class Differences:
    """The difference that judged each entry, its error bar and its step; arrays of shape (m,)."""

    D: Floats
    bar: Floats
    step: Floats
    second: Floats | None = None
    """Second differences at the first step, where they were kept."""
    second_bar: Floats | None = None
    """Their error bars."""


@dataclass(frozen=True)
class Judged:
    """The entries checked one by one, in theta's order; arrays of shape (m,)."""

    indices: Indices
    analytic: Floats
    differences: Differences
    verdict: NDArray[np.int8]
    scales: Scales
    notes: dict[int, str] = field(default_factory=dict)
    """Why an entry is not plainly right or wrong, by position in these arrays."""
    unfinished: int = 0
    """Entries that the first stage left open, and time did not allow to look at again."""
    rounding: Floats | None = None
    """How far the gradient under test itself may be off by rounding, where that is known."""
    tied: Mask | None = None
    """Entries called wrong by what they say together at one kink (`fastgrad.checks.ties`)."""
    beside_jumps: frozenset[int] = frozenset()
    """Positions of those left open because the loss jumps: their slope depends on the step."""

    numeric: Floats = field(init=False)
    """The difference quotients."""
    bar: Floats = field(init=False)
    """Their error bars."""
    block: Indices = field(init=False)
    """Position of each entry's block in the layout."""
    residual: Floats = field(init=False)
    """``|a - D|``: infinite where the gradient is not finite, 0 where the difference is not."""

    def __post_init__(self) -> None:
        a, D = self.analytic, self.differences.D
        with np.errstate(invalid="ignore"):
            off = np.where(np.isfinite(D), np.abs(a - D), 0.0)
        residual = np.where(np.isfinite(a), off, np.inf)
        bar, block = self.differences.bar, self.scales.block
        vars(self).update(numeric=D, bar=bar, block=block, residual=residual)


@dataclass(frozen=True)
class Outcome:
    """What a strategy returns, and all that diagnosis and summary read."""

    verdict: str
    blocks: tuple[BlockCheck, ...]
    relative_error: float
    remarks: tuple[str, ...]
    judged: Judged | None = None
    """None where no entry was checked by itself."""
    readings: tuple[tuple[str, float, float], ...] = ()
    """Directions that were measured: through what, the error seen along it, and its bar."""
    located: frozenset[int] = frozenset()
    """Blocks of which all wrong entries are known, though not all entries were checked."""
    loss: Loss | None = None
    """The loss, where more of it was measured than the strategy was told."""
    told: tuple[Diagnosis, ...] = ()
    """Laws that directions told, without any entry."""
    lines: frozenset[int] = frozenset()
    """Blocks of which all wrong rows and columns are known, by a few entries of each."""
    in_noise: dict[str, Any] | None = None
    """What errors directions of a rough loss would have missed."""
