"""What screening and locating found, as the search fills it in."""

from dataclasses import dataclass, field

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.checks.rules import Verdict
from fastgrad.checks.screen.findings import Finding
from fastgrad.checks.screen.first_look import Along
from fastgrad.checks.screen.residuals import Reading
from fastgrad.checks.screen.screen import Screen
from fastgrad.findings import Diagnosis
from fastgrad.numerics.norms import norm, norm_of_product
from fastgrad.parameters.layout import Layout


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

    def overrule(self) -> None:
        """Withdraw what the first look refuted where every entry of that block agrees by itself.

        Along a line through entries in units of their own f may have turned.
        """
        finding = None if self.refuted is None else self.findings.get(self.refuted.block)
        if self.refuted is None or finding is None:
            return
        every = len(finding.checked) >= self.counts[self.refuted.block]
        if every and all(e.verdict == Verdict.AGREES for e in finding.checked.values()):
            self.refuted = None

    @property
    def readings(self) -> list[Reading]:
        """The readings of all directions through everything."""
        return [] if self.screen is None else [*self.screen.readings, *self.fresh]

    def readings_of(self, b: int) -> list[Reading]:
        """Those of all directions through a block."""
        return [] if self.screen is None else [*self.screen.blocks[b], *self.readings]

    @property
    def is_unexplained(self) -> bool:
        """Whether directions show more than was located."""
        return self.screen is not None and self.screen.alarms and not self.certified

    @property
    def is_proven(self) -> bool:
        """Whether neither kinks nor errors within rtol explain what the last directions show."""
        readings = self.fresh or (self.screen.readings if self.screen is not None else ())
        return any(reading.proves for reading in readings)

    def size(self, b: int) -> float:
        """What an error in a block is compared with: 0 where nothing is known."""
        return max(float(self.rms[b]), self.away.get(b, 0.0))

    def norm(self, layout: Layout) -> float:
        """The norm of the gradient under test, in units of theta."""
        sizes = np.array([self.size(b) for b in range(self.rms.size)])
        return norm(sizes * np.sqrt([block.size for block in layout.blocks]))


def block_rms(layout: Layout, gradient: Floats, units: Floats, free: Mask | None) -> Floats:
    """rms of a gradient in units of theta over the free entries of each block, shape (blocks,)."""
    sizes = np.zeros(len(layout.blocks))
    for b, block in enumerate(layout.blocks):
        part, own = gradient[block.start : block.stop], units[block.start : block.stop]
        finite = np.isfinite(part)
        moving = finite if free is None else finite & free[block.start : block.stop]
        if not moving.all():
            part, own = part[moving], own[moving]
        if part.size:
            size = norm_of_product(part, own)
            sizes[b] = size / float(np.sqrt(part.size)) if np.isfinite(size) else np.inf
    return sizes
