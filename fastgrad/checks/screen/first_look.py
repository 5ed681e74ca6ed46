"""The cheapest look that can refute: along the signs of the gradient under test.

With v the units of the entries with the signs of a, ``v . a`` is the sum of all |a_i|. An error with a
part c along a is c times that: up to sqrt(n) times what random directions see, for the same two
evaluations. One such line goes through everything, with each block at a step at which it claims its
share; where that shows anything, each block has a line of its own, and the block that is furthest off
is looked at over three more steps, far apart. What is off by a gross part at all of them is refuted,
before anything is known of the noise: after repeats, in some 10 + 2 blocks evaluations.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from fastgrad.arrays import Floats, Indices, chunks
from fastgrad.checks.claim import Claim
from fastgrad.checks.rules import Rule
from fastgrad.checks.stages.useless_bars import AWAY
from fastgrad.differences.directions import Directions, Part
from fastgrad.differences.few_digits import rounding_of
from fastgrad.differences.lattice import finest_offset
from fastgrad.differences.loss import Loss
from fastgrad.differences.own_units import is_lost
from fastgrad.differences.plain_errors import TURNED
from fastgrad.differences.profile import PROFILE_EVALUATIONS, Profile
from fastgrad.differences.profile_rulings import Ruling
from fastgrad.differences.signs import signs_of, signs_through
from fastgrad.numerics.noise import UNSURPRISING
from fastgrad.numerics.steps import power_of_two
from fastgrad.parameters.blocks import Block

FIRST_EVALUATIONS = 2
"""What it takes where nothing is wrong."""
LAST_EVALUATIONS = 6
"""What it takes to look at the worst block again."""
PART_OF_ROOT = 0.25
"""The step, in roots of the relative rounding of f: between the noise of small ones and kinks."""
LARGEST_STEP = 2.0**-4
"""The largest step of any entry, in units."""
LARGEST_SHARE = 2.0**8
"""Blocks that claim little move further than others, by at most so much."""
MOST_GROUPS = 12
"""More blocks are looked at in so many groups, which are halved where they show anything."""
SUSPICIOUS = 2.0**-12
"""The part of all that is claimed beyond which blocks are looked at one by one."""
GROSS = 0.1
"""The part of what a block claims, or shows, beyond which an error is gross."""
CLEAR = 256.0
"""Such a line moves the loss by so many roundings, or is claimed to, or a wider step is taken."""
WIDER = 16.0
FURTHEST = 2.0**-4
"""A step, in units, at which a right gradient has its alibi where others see the treads of a stair."""
FINER = (2.0**-3, 2.0**-6)
"""Other steps, in the first one, no finer than `CLEAR` allows."""
BETWEEN = 0.25
"""Slopes at finer steps are within this part of the distance to what is claimed."""
ROUNDINGS = 16.0
"""Roundings by which a gross error moves the loss at least."""
LAW = 0.03
"""A factor is a law of the block where random signs show it too, to this part."""


@dataclass(frozen=True)
class Along:
    """What a direction through one block showed."""

    block: int
    claimed: float
    """``v . a``."""
    slope: float
    """The difference along v."""
    bar: float
    """What a finer step differs from it by, its second difference, and the noise that is known."""
    step: float
    evaluations: int = 0
    """Evaluations of the loss made by then."""
    factor: float | None = None
    """How many times the numerical one the gradient is, where another direction bears that out."""

    @property
    def off(self) -> float:
        return abs(self.claimed - self.slope)

    def stands_out(self, noise: float) -> bool:
        """Whether what it is off by is more than noise of this sd makes of such a difference."""
        return self.off > ROUNDINGS * noise / self.step


@dataclass
class FirstLook:
    """Looks along the signs of a gradient, before the noise of the loss is known.

    Parameters
    ----------
    loss : Loss
    claim : Claim
    rule : Rule
    directions : Directions
    allows : callable
        Whether the time allows so many more evaluations.
    """

    loss: Loss
    claim: Claim
    rule: Rule
    directions: Directions
    allows: Callable[[int], bool]
    gross: list[Along] = field(default_factory=list)
    """What the own lines of blocks showed that are off by a gross part."""

    def refuted(self) -> Along | None:
        """The block that is grossly wrong along its signs, if one is."""
        shares = self._shares()
        if not shares.any() or not self.allows(FIRST_EVALUATIONS):
            return None
        self.noise = rounding_of(self.loss)
        relative = self.noise / max(abs(self.loss.value), self.noise)
        self.step = float(power_of_two(PART_OF_ROOT * np.sqrt(relative)))
        self.finest = 0.0 if self.loss.lattice is None else self.loss.lattice.finest
        self.step = max(self.step, self.finest)
        total, claimed = self._everything(shares)
        suspicious = max(SUSPICIOUS, 2 * self.rule.rtol, 2 * float(self.claim.unit.max()))
        zeros = bool(np.any((shares > 0) & (self._sizes == 0)))
        if abs(total - claimed) <= suspicious * max(abs(total), claimed) and not zeros:
            return None
        moving = np.flatnonzero(shares)
        for group in np.array_split(moving, min(moving.size, MOST_GROUPS)):
            self._descend(group, shares)
        self.gross.sort(key=lambda a: a.off / max(abs(a.claimed), abs(a.slope)), reverse=True)
        return next(filter(None, (self._again(a) for a in self.gross[:2])), None)

    def _shares(self) -> Floats:
        """The factors by which blocks move beyond their units, 0 for constants, shape (blocks,)."""
        known = np.array([self._size(block) for block in self.loss.layout.blocks])
        self._sizes = np.maximum(known, 0.0)
        largest = self._sizes.max(initial=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(self._sizes > 0, largest / self._sizes, 1.0)
        return np.where(known >= 0, power_of_two(np.clip(share, 1.0, LARGEST_SHARE)), 0.0)

    def _size(self, block: Block) -> float:
        """The sum of ``|a_i| s_i`` over the entries of a block that move; -1 where none does."""
        size, mask = 0.0, self.directions.mask
        if block.size == 0 or not (mask is None or mask[block.start : block.stop].any()):
            return -1.0
        for part in chunks(block.start, block.stop):
            effects = self.claim.values[part] * self.directions.units[part]
            if mask is not None:
                effects[~mask[part]] = 0.0
            size += float(np.abs(effects).sum())
        return size

    def _descend(self, group: Indices, shares: Floats) -> None:
        """Look at the blocks of a group one by one, if their line together shows a gross part of one."""
        if not self.allows(2 + LAST_EVALUATIONS):
            return
        if group.size == 1:
            self._look_at(int(group[0]), float(shares[group[0]]))
            return
        inside = np.zeros_like(shares)
        inside[group] = shares[group]
        total, claimed = self._everything(inside)
        least = GROSS / (2 * group.size) * max(abs(total), claimed)
        if abs(total - claimed) > least or np.any(self._sizes[group] == 0):
            for half in np.array_split(group, 2):
                self._descend(half, shares)

    def _everything(self, shares: Floats) -> tuple[float, float]:
        """The slope along the signs of all blocks that have a share, and what is claimed of it."""
        blocks = zip(self.loss.layout.blocks, shares.tolist(), strict=True)
        parts = [Part(0, block.start, block.stop, share) for block, share in blocks]
        v = signs_through(self.directions, self.claim.values, parts)
        step = min(self.step, LARGEST_STEP / float(shares.max()))
        above, below = self.loss.along(v, np.array([step, -step]))
        with np.errstate(invalid="ignore"):  # the loss may be infinite on both sides
            slope = float((above - below) / (2 * step))
        return slope, float(shares @ self._sizes)

    def _look_at(self, b: int, share: float) -> None:
        """Look along the signs of one block, over a step at which they move the loss."""
        block = self.loss.layout.blocks[b]
        v = signs_of(self.directions, self.claim.values, block.start, block.stop)
        claimed, step = self.claim.along(v)[0], min(self.step * share, LARGEST_STEP)
        while True:
            above, below = self.loss.along(v, np.array([step, -step]))
            if not (np.isfinite(above) and np.isfinite(below)):
                return
            wider = step * WIDER
            # What does not move at all may be a staircase.
            moved = max(abs(above - below), 2 * step * abs(claimed)) if above != below else 0.0
            if moved >= CLEAR * self.noise or wider > LARGEST_STEP:
                break
            if not self.allows(2 + LAST_EVALUATIONS):
                return
            step = wider
        bend = abs(above - 2 * self.loss.base + below) / (2 * step)
        slope, rounding = float((above - below) / (2 * step)), self.noise / step
        least = max(GROSS, 2 * self.rule.rtol) * max(abs(claimed), abs(slope))
        if abs(claimed - slope) > least + ROUNDINGS * rounding:
            self.gross.append(Along(b, claimed, slope, max(rounding, float(bend)), step))

    def _again(self, first: Along) -> Along | None:
        """The same block at steps far apart, and along random signs; None if it has an alibi."""
        block, off = self.loss.layout.blocks[first.block], first.off
        # A slope of nothing may lie beyond the turns of an entry in a unit of its own.
        turned = not self.loss.units.one_unit[first.block] and abs(first.slope) <= TURNED * off
        if turned or not self.allows(LAST_EVALUATIONS):
            return None
        v = signs_of(self.directions, self.claim.values, block.start, block.stop)
        least = max(CLEAR * self.noise / max(off, abs(first.slope)), self.finest)
        fine, finest = (max(first.step * part, least) for part in FINER)
        far = max(FURTHEST, first.step)
        values = self.loss.along(v, np.array([far, -far, finest, -finest]))
        up, down, above, below = values.tolist()
        slope = (above - below) / (2 * finest)
        bend = abs(above - 2 * self.loss.base + below) / (2 * finest)
        apart = abs(slope - first.slope) - self.noise / finest
        if not (apart <= BETWEEN * off and bend <= off / 2 + 2 * self.noise / finest):
            return None
        says_far_off = self._says_far_off((up - down) / (2 * far), first)
        if not (says_far_off or self._is_refuted_at_every_scale(v, first)):
            return None
        other = self.directions.draw(OTHER + first.block, block.start, block.stop)
        up, down = self.loss.along(other, np.array([fine, -fine])).tolist()
        beside = (up - down) / (2 * fine)
        bar = max(first.bar, 2 * abs(slope - first.slope))
        factor = self._factor(first, (self.claim.along(other)[0], beside), self.noise / fine)
        made = self.loss.run.evaluations
        return Along(first.block, first.claimed, first.slope, bar, first.step, made, factor)

    def _says_far_off(self, far: float, first: Along) -> bool:
        """Whether the slope at a wide step is nearer to the others than to what is claimed."""
        return abs(far - first.claimed) > abs(far - first.slope)

    def _is_refuted_at_every_scale(self, v: Floats, first: Along) -> bool:
        """Whether the profile along a line rules that a claim is wrong which a wide step bears out."""
        if not self.allows(PROFILE_EVALUATIONS):
            return False
        line, size = partial(self.loss.along, v), abs(first.claimed)
        profile = Profile.take(line, 1.0, self.loss.base)
        return (
            profile.judge(first.claimed, (size, self.rule.rtol * size), line).ruling is Ruling.WRONG
        )

    def _factor(self, first: Along, other: tuple[float, float], bar: float) -> float | None:
        """The factor, if a direction of other signs is off by the same."""
        if abs(first.slope) <= CLEAR * first.bar:
            return None
        factor = first.claimed / first.slope
        claimed, slope = other
        told = abs(claimed - slope) > abs(claimed - factor * slope) and abs(slope) > 2 * bar
        alike = abs(claimed - factor * slope) <= LAW * abs(claimed) + abs(factor) * bar
        return factor if told and alike else None


OTHER = 1 << 31
"""Directions from here on bear a factor out."""


def stands(refuted: Along, loss: Loss, claim: Claim, directions: Directions) -> bool:
    """Whether what a first look refuted stands, now that the noise of the loss is known.

    The value alone may not tell of few digits, nor that the loss turns within last places of theta.
    """
    if not refuted.stands_out(loss.noise):
        return False
    if loss.run.structured or loss.noise <= UNSURPRISING * loss.measured.least:
        return True
    block = loss.layout.blocks[refuted.block]
    v = signs_of(directions, claim.values, block.start, block.stop)
    return not is_lost(partial(loss.along, v), finest_offset(loss.theta, v), AWAY)
