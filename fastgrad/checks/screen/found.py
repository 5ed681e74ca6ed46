"""What screening and locating found: records, which the search fills in."""

from dataclasses import dataclass, field

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.checks.rules import Verdict
from fastgrad.checks.screen.first_look import Along
from fastgrad.checks.screen.random_directions import Screen
from fastgrad.checks.screen.residuals import Reading
from fastgrad.findings import Diagnosis
from fastgrad.parameters.blocks import Block

WHOLE_BLOCK = ("whole", "dense", "many", "tolerable")
"""Kinds that speak of a whole block, which is then left out of what fresh directions certify."""


@dataclass(frozen=True)
class Checked:
    """One entry: ``a - D`` as it was when checked, the bar of D, and the entry's unit."""

    verdict: Verdict
    residual: float
    bar: float
    unit: float
    shows: bool
    """Whether a direction through the entry may see its residual, tolerable or not."""

    @property
    def effect(self) -> float:
        """The residual in units of theta, as directions see it."""
        return self.residual * self.unit

    @property
    def limit(self) -> float:
        """The bar in units of theta."""
        return self.bar * self.unit


@dataclass
class Finding:
    """What was found in one block; filled as the search goes on."""

    kind: str = "nothing"
    """"nothing", "entries", "lines", "whole", "dense", "many", or "tolerable"."""
    lines: list[tuple[str, int]] = field(default_factory=list)
    """Rows and columns that are wrong throughout, ``("row", 3)``, as they were found."""
    fraction: float = 0.0
    """Fraction of wrong entries in a random sample, for "whole", "dense" and "many"."""
    hidden: float = 0.0
    """Size of a single error that "tolerable" ones beside it may hide."""
    checked: dict[int, Checked] = field(default_factory=dict)
    """Entries checked one by one, by position in theta."""
    wrong: list[int] = field(default_factory=list)
    """Positions of those that disagree."""

    @property
    def blames(self) -> bool:
        """Whether it says that something is wrong."""
        return self.kind not in ("nothing", "tolerable")

    def blame_entry(self, position: int) -> None:
        """Add an entry that disagrees."""
        self.wrong.append(position)
        if self.kind == "nothing":
            self.kind = "entries"

    def blame_line(self, kind: str, number: int) -> None:
        """Add a row or a column that is wrong throughout."""
        self.lines.append((kind, number))
        if self.kind in ("nothing", "entries"):
            self.kind = "lines"

    def in_lines(self, shape: tuple[int, ...]) -> Mask:
        """The entries of the block that lie in lines which are wrong throughout, flat."""
        mask = np.zeros(shape, np.bool_)
        for kind, number in self.lines:
            mask[number if kind == "row" else (slice(None), number)] = True
        return mask.ravel()

    def single(self, block: Block) -> list[int]:
        """Positions of the entries that disagree, and lie in no such line."""
        if not self.lines:
            return self.wrong
        struck = self.in_lines(block.shape)
        return [i for i in self.wrong if not struck[i - block.start]]


@dataclass
class Found:
    """The state of a search, and in the end its result.

    Parameters
    ----------
    rms : ndarray, shape (blocks,)
        Size of each block's gradient under test, in units of theta.
    counts : list of int
        Entries of each block that may be perturbed.
    """

    rms: Floats
    counts: list[int]
    away: dict[int, float] = field(default_factory=dict)
    """What an entry of a block does to the loss some way off, per unit, where the gradient is zero."""
    refuted: Along | None = None
    """The block that the first look found grossly wrong."""
    told: list[Diagnosis] = field(default_factory=list)
    """Laws of blocks that directions told, with the entries to blame."""
    screen: Screen | None = None
    """None where the time did not even allow the screen."""
    findings: dict[int, Finding] = field(default_factory=dict)
    """What was found in each failing block."""
    not_finite: int = 0
    """How many entries of the gradient under test are not."""
    fresh: list[Reading] = field(default_factory=list)
    """Directions through all that is not blamed, after the last search."""
    certified: bool = True
    """Whether these are clean."""
    complete: bool = True
    """Whether the time sufficed."""
