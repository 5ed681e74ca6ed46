"""What lines through a rough loss found: limits, and the blocks that they blame."""

from dataclasses import dataclass, field

from fastgrad.checks.screen.noisy.lines import Look
from fastgrad.checks.screen.noisy.pooled import Pooled
from fastgrad.checks.screen.noisy.rows_and_columns import Line
from fastgrad.checks.screen.noisy.second_look import Again


@dataclass(frozen=True)
class Blame:
    """What is wrong with a block, and which direction showed it."""

    kind: str
    """The directions: "signs", "theta", "ones", "zeros" or "random"."""
    again: Again
    law: str
    """"scale", "missing", "extra", "offset", "zeros" or ""."""
    value: float = 0.0
    """The factor, lambda, or the constant."""
    evaluations: int = 0
    line: Line | None = None
    """The row, column or channel that holds all of it."""


@dataclass
class NoisyFound:
    """What lines told; filled as the search goes on."""

    signs: dict[int, Look] = field(default_factory=dict)
    """The line along signs that goes through a block."""
    lines: dict[int, int] = field(default_factory=dict)
    """How many lines along its signs there were."""
    parts: dict[int, float] = field(default_factory=dict)
    """What parts of a block must show to confirm what a mean over lines shows."""
    everything: Pooled = field(default_factory=Pooled)
    """Random directions through everything."""
    alike: Pooled = field(default_factory=Pooled)
    """Random directions in which blocks are heard alike."""
    zeros: dict[int, float] = field(default_factory=dict)
    """The norm of the gradient of a block that is claimed to be zero, which would have been missed."""
    blamed: dict[int, Blame] = field(default_factory=dict)
    unplaced: bool = False
    """Whether random directions show an error which no block does."""
    complete: bool = True
    """Whether the time sufficed."""
    ended: bool = False
    """Whether the search ended early, for enough is known to be wrong."""
