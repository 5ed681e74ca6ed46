"""What was found in one block: entries checked one by one, and the pattern of the wrong ones."""

from dataclasses import dataclass, field

import numpy as np

from fastgrad.arrays import Mask
from fastgrad.checks.rules import Verdict
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

    @property
    def effect(self) -> float:
        """The residual in units of theta, as directions see it."""
        return self.residual * self.unit

    @property
    def limit(self) -> float:
        """The bar in units of theta."""
        return self.bar * self.unit

    @property
    def shows(self) -> bool:
        """Whether a direction through the entry may see its residual, tolerable or not."""
        wrong = self.verdict == Verdict.DISAGREES
        return bool(np.isfinite(self.residual)) and (wrong or abs(self.residual) > self.bar)


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

    @property
    def blames(self) -> bool:
        """Whether it says that something is wrong."""
        return self.kind not in ("nothing", "tolerable")

    @property
    def wrong(self) -> list[int]:
        """Positions of the entries that disagree."""
        return [i for i, entry in self.checked.items() if entry.verdict == Verdict.DISAGREES]

    def blamed(self, shape: tuple[int, ...]) -> Mask:
        """The entries of the block that it speaks of beyond single ones, flat."""
        if self.kind in WHOLE_BLOCK:
            return np.ones(shape, np.bool_).ravel()
        return self.in_lines(shape)

    def settle(self) -> None:
        """Take the kind that what was found so far makes it, where it has none yet."""
        if self.kind in ("nothing", "entries"):
            self.kind = "lines" if self.lines else "entries" if self.wrong else "nothing"

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


def count_wrong(sample: list[Checked]) -> int:
    """How many disagree."""
    return sum(entry.verdict == Verdict.DISAGREES for entry in sample)
