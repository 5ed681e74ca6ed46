"""Lines through a rough loss: what a direction claims, what differences say, and by how much they err.

Directions are *matched* (the signs of the gradient, theta, ones, entries of which the gradient is
exactly zero) or random. Each is looked at near the step that suited the one before of its kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastgrad.arrays import CHUNK, Floats
from fastgrad.checks.claim import Claim
from fastgrad.checks.rules import Rule
from fastgrad.checks.screen.first_look import LARGEST_SHARE
from fastgrad.checks.screen.noisy.limits import PARTS, SHARED_IF_COARSE, SHARED_IF_SMALL
from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import POINTS, is_coarse
from fastgrad.differences.loss import Loss
from fastgrad.differences.signs import signs_of
from fastgrad.numerics.norms import norm
from fastgrad.numerics.rough_slope import RUNG, Slope, rough_slope
from fastgrad.numerics.steps import power_of_two

SMALLEST_STEP, LARGEST_STEP = 2.0**-32, 8.0
"""Steps of any entry, in units: a net hardly bends over many times the size of a bias near zero."""
LEAST_UNIT_IF_COARSE = 0.125
"""Units in which steps are bounded where the loss has few digits, in the largest of all: a bias near
zero is lost in sums of order 1, whose last place it must move."""
LARGEST_OF_ZEROS = 1.0
"""The largest step through what is zero among others, in units."""
ZERO_ROUNDING = 2.0**-6
"""What is exactly zero in a gradient of few digits may be so much, in the rms of its block: sums of its
terms cancel in the last place. In transformers it was 0.01."""
FIRST_STEP = 0.25
"""The first step is no larger."""
SHARE_OF_NOTHING = 16.0
"""The first step through a block of which nothing is claimed, where the loss has few digits, in that
through the largest: wider and finer ones are within reach."""
ALIGNED = 0.25
"""First step along signs, in that along random directions."""
LEAST_AWAY = 0.25
"""Base points are so far away at least, in first steps of a random direction. Further off, the slope is
another: in ReLU nets by 0.3% at 4 such steps."""
SPREAD = 12.0
"""Directions show at most so many times the norm of errors within rtol."""

BENT = 1.5
"""Near points bend, as at a kink, where their even part changes by so many sds a spacing: noise alone
makes a quarter of it."""
CURVED = np.stack([np.ones(POINTS.size), POINTS**2], axis=1)
KINKED = np.stack([np.ones(POINTS.size), np.abs(POINTS)], axis=1)


@dataclass(frozen=True)
class Look:
    """What one direction claims and shows."""

    kind: str
    """"signs", "theta", "ones", "zeros", "part" (of a block) or "random"."""
    blocks: tuple[int, ...]
    """The blocks that it goes through."""
    claimed: float
    slope: Slope
    tolerance: float
    """What errors within rtol, and the rounding of the gradient, may show."""
    size: float
    """What a relative error is measured by: the sum of all \\|v a\\| along signs, else its norm."""

    @property
    def y(self) -> float:
        return self.claimed - self.slope.value

    @property
    def bar(self) -> float:
        return self.slope.bar + self.tolerance

    @property
    def alarms(self) -> bool:
        return abs(self.y) > self.bar

    def settled(self, value: float, bar: float) -> "Look":
        """The same with a slope that was measured better."""
        return replace(self, slope=replace(self.slope, value=value, bar=bar))


class NoisyLines:
    """Reads directions of a rough loss.

    Parameters
    ----------
    loss : Loss
    claim : Claim
        Finite; exchanged where a law explains a block.
    rule : Rule
    directions : Directions
    """

    def __init__(self, loss: Loss, claim: Claim, rule: Rule, directions: Directions):
        self.loss, self.claim, self.rule, self.directions = loss, claim, rule, directions
        self.sigma, self.center, self.coarse = loss.noise, center_of(loss), is_coarse(loss)
        relative = self.sigma / max(abs(loss.value), self.sigma)
        self.least_unit = LEAST_UNIT_IF_COARSE * float(directions.units.max()) * self.coarse
        self.first = float(power_of_two(min(np.sqrt(relative), FIRST_STEP)))
        self.least_away = LEAST_AWAY * self.first
        self._known: dict[tuple[str, tuple[int, ...]], float] = {}
        self._unit = float(claim.unit.max())
        self.blamed: set[int] = set()
        """Blocks that are known to be wrong, without a law: directions leave them out."""
        self.norms, self.sums = self._sizes()

    def _sizes(self) -> tuple[Floats, Floats]:
        """The norm of each block's gradient in units, and the sum of its absolute values."""
        norms, sums = [], []
        for block in self.loss.layout.blocks:
            part = slice(block.start, block.stop)
            effect = self.claim.values[part] * self.directions.units[part]
            effect = effect * self.directions.moves(block)
            norms.append(norm(effect))
            sums.append(float(np.abs(effect).sum()))
        return np.array(norms), np.array(sums)

    def shares(self, sizes: Floats) -> Floats:
        """Factors, powers of two, by which blocks of such sizes move to be heard alike."""
        largest = sizes.max(initial=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(sizes > 0, largest / sizes, 1.0)
        return np.asarray(power_of_two(np.clip(share, 1.0, LARGEST_SHARE)))

    def is_small(self, b: int) -> bool:
        """Whether a block has so few entries that all its parts are alike."""
        return self.loss.layout.blocks[b].size < 2 * PARTS

    def shared(self, b: int) -> float:
        """What all slopes along signs of a block may be off by alike, in what is claimed of them."""
        if not self.coarse:
            return 0.0
        return SHARED_IF_SMALL if self.is_small(b) else SHARED_IF_COARSE

    def random(
        self, stream: int, blocks: Sequence[int] | None = None, alike: bool = False
    ) -> Floats:
        """A random direction, through some blocks, heard alike if asked."""
        v = self.directions.draw(stream)
        shares = self.shares(self.norms) if alike else np.ones(self.norms.size)
        for b, block in enumerate(self.loss.layout.blocks):
            out = b in self.blamed or (blocks is not None and b not in blocks)
            v[block.start : block.stop] *= 0.0 if out else shares[b]
        return v

    def signs(self, stream: int, blocks: Sequence[int]) -> Floats:
        """Random sizes with the signs of the gradient, through blocks that are heard alike."""
        v, a, shares = np.zeros(self.loss.theta.size), self.claim.values, self.shares(self.sums)
        for b in blocks:
            block = self.loss.layout.blocks[b]
            part = slice(block.start, block.stop)
            drawn = self.directions.draw(stream + b, block.start, block.stop)[part]
            one = len(blocks) == 1
            signed = np.where(a[part] == 0.0, drawn, np.copysign(drawn, a[part]))
            v[part] = signed * (1.0 if one else shares[b])
        return v

    def theta(self) -> Floats:
        """Theta itself, in units of its own rms."""
        v = (
            self.loss.theta.copy()
            if self.directions.mask is None
            else (self.loss.theta * self.directions.mask)
        )
        self._leave_out(v)
        size = norm(v / self.directions.units) / float(np.sqrt(max(int(np.count_nonzero(v)), 1)))
        return np.asarray(v / float(power_of_two(size)) if size else v)

    def ones(self, blocks: Sequence[int] | None = None) -> Floats:
        """The units of all entries, through some blocks, which move alike by their number of entries."""
        v = signs_of(self.directions, np.ones(self.loss.theta.size))
        sizes = [
            norm(v[block.start : block.stop] / self.directions.units[block.start : block.stop])
            for block in self.loss.layout.blocks
        ]
        shares = self.shares(np.array(sizes)) if blocks is None else np.ones(len(sizes))
        for b, block in enumerate(self.loss.layout.blocks):
            out = b in self.blamed or (blocks is not None and b not in blocks)
            v[block.start : block.stop] *= 0.0 if out else shares[b]
        return v

    def zeros(self, stream: int) -> Floats:
        """A random direction through entries that are exactly zero, in blocks that are not."""
        v = self.directions.draw(stream)
        v[self.claim.values != 0.0] = 0.0
        for b, block in enumerate(self.loss.layout.blocks):
            if self.sums[b] == 0.0:
                v[block.start : block.stop] = 0.0
        self._leave_out(v)
        return v

    def _leave_out(self, v: Floats) -> None:
        for b in self.blamed:
            block = self.loss.layout.blocks[b]
            v[block.start : block.stop] = 0.0

    def read(self, kind: str, v: Floats, blocks: tuple[int, ...] = ()) -> Look:
        """What a direction claims, and its slope at the step that suits it."""
        smallest, largest = SMALLEST_STEP / self._reach(v), self.largest_step(v)
        if kind == "zeros":
            largest = min(largest, LARGEST_OF_ZEROS / self._reach(v))
        first = self.first * (ALIGNED if kind == "signs" else 1.0)
        if len(blocks) == 1:  # where little is claimed, f moves far enough over wider steps alone
            sizes = self.sums if kind == "signs" else self.norms
            nothing = self.coarse and not sizes[blocks[0]]
            first *= SHARE_OF_NOTHING if nothing else float(self.shares(sizes)[blocks[0]])
        start = min(self._known.get((kind, blocks), first), largest)
        slope = rough_slope(
            lambda offsets: self.loss.along(v, offsets),
            self.center,
            self.sigma,
            (start, smallest, largest),
            coarse=self.coarse and (kind in ("signs", "zeros") or len(blocks) == 1),
        )
        self._known[kind, blocks] = slope.step * RUNG
        claimed, size, known = self.claim.along(v)
        if kind == "signs":
            size = abs(claimed)
            tolerance = (self.rule.rtol + self._unit) * size
        else:
            tolerance = self.tolerated(size)
        if kind == "zeros":
            tolerance += self.rounding_of_zeros(v)
        return Look(kind, blocks, claimed, slope, tolerance + known, size)

    def tolerated(self, size: float) -> float:
        """What errors within rtol, and the rounding of the gradient, show along a random direction."""
        return (SPREAD * self.rule.rtol + 3 * self._unit) * size

    def rounding_of_zeros(self, v: Floats) -> float:
        """The norm of what a direction through zeros may find where the gradient has few digits."""
        if not self.coarse:
            return 0.0
        parts = [
            norm(v[block.start : block.stop] / self.directions.units[block.start : block.stop])
            * self.norms[b]
            / np.sqrt(block.size)
            for b, block in enumerate(self.loss.layout.blocks)
        ]
        return ZERO_ROUNDING * norm(np.array(parts))

    def largest_step(self, v: Floats) -> float:
        """The largest step along a direction."""
        return LARGEST_STEP / self._reach(v, self.least_unit)

    def _reach(self, v: Floats, least: float = 0.0) -> float:
        """The largest entry of a direction, in units, of which none is taken for less than ``least``."""
        largest = 0.0
        for start in range(0, v.size, CHUNK):
            part = slice(start, start + CHUNK)
            units = np.maximum(self.directions.units[part], least)
            largest = max(largest, float(np.max(np.abs(v[part]) / units)))
        return largest or 1.0


def center_of(loss: Loss) -> float:
    """f at theta without its own rounding, as the mean over near points, as `Loss.base` is given.

    Second differences at many steps would all show the rounding of that one value. Where a kink lies
    among these points, it is what lines on both sides of theta meet at.
    """
    values = np.array([line.values for line in loss.measured.lines]) - loss.run.reference
    if not np.isfinite(values).all():
        return loss.base
    even = (values + values[:, ::-1]) / 2
    if not is_coarse(loss):
        center, bend = np.linalg.lstsq(KINKED, even.mean(axis=0))[0]
        return float(center if abs(bend) > BENT * loss.noise else np.mean(values))
    return float(np.mean(np.linalg.lstsq(CURVED, even.T)[0][0]))  # points far apart show curvature
