"""Units of entries that lie far from what they are measured from: how far the loss is straight.

An epoch, a carrier frequency or a position far out moves the loss over a tiny part of itself. Along a
line of noise such a loss bends or turns at spacings at which others show nothing but rounding, and only
then is f looked at on a ladder of offsets, from a few units in the last place up: what it is straight
over tells the unit. Of an array the entries furthest out are asked, and where these agree, they speak
for the block.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.differences.confined import Confined
from fastgrad.differences.glimpse import first_direction, first_values, with_glimpse
from fastgrad.differences.halving import JUMPS, Line, halved
from fastgrad.differences.lattice import finest_offset
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured
from fastgrad.evaluate.units import FEWEST_OF_ONE_UNIT
from fastgrad.numerics.noise import FIRST_SPACING, POINTS, STRAIGHT, UNSURPRISING, straight_stretch
from fastgrad.numerics.rounding import rounding_noise
from fastgrad.numerics.steps import power_of_two
from fastgrad.parameters.blocks import Block

RUNGS = 2.0 ** -np.arange(47.0, 0.0, -6.0)
"""Offsets, in units: from 32 units in the last place of an entry in a unit of its own to 2^-5."""
STRETCH = 8.0
"""A unit is so many times the last rung over which f is straight: the next one is 64 times as long."""
FAR_OUT = 2.0**-12
"""A unit is told to be another one from this part of what theta shows: a net's weights vary by 64, and
what bends within 1/64 of an entry is smooth enough over a step of 2^-17."""
LEAST_PART = 2.0**-32
"""Least such part: a step is then of 8 units in the last place."""
PILOTS, ROUNDS = 3, 3
"""Entries of an array that are asked at once, and how often: some may do nothing to the loss."""
ENOUGH = 2
"""Entries that agree."""
ALIKE = 64.0
"""Units within this factor are one, as entries of an array are."""
ASKED_ONE_BY_ONE = 32
"""So many entries at most are asked one by one, where no few of them speak for the others."""
BENDS = 2.0**12
"""Second differences of so many roundings tell of another unit: where that is `FAR_OUT`, they are 2^-36
of what f changes by over it."""
SMOOTH = 0.125
"""What bends smoothly has fourth differences of less than this part of its second ones: of noise they
are 3.4 times as large."""
REGULAR = 4.0
"""A power of the offset grows by more from rung to rung, by 64 at least."""
SLIGHT = 2.0**10
"""What f stands still at is noise on top of it, maybe, if f goes on to so many times that."""
LARGE = 2.0**-6
"""A change of this part of f is no noise on top of it."""
PART_OF_VALUE = 2.0**-12
"""Nor is a straight stretch that changes f by this part, and ends without a jump."""
JUMP_HALVINGS = 12
"""What is left of a kink after them is 2^-12 of what f changes by between two rungs."""


def in_own_units(loss: Loss, seed: int) -> Loss | None:
    """The loss in units that it shows itself, its noise to be measured anew; None if theta tells them.

    Parameters
    ----------
    loss : Loss
        With a glimpse of its noise, or with lines of it.
    seed : int
        Of that glimpse.

    Returns
    -------
    loss : Loss or None
        None as well where the user gave units or steps, or a space or bounds do not allow to look.
    """
    if not _may_ask(loss) or not turns(loss, seed):
        return None
    entry, one_unit = loss.units.entry.copy(), loss.units.one_unit.copy()
    for b, block in enumerate(loss.layout.blocks):
        inside = np.arange(block.start, block.stop)
        if loss.free is not None:
            inside = inside[loss.free[inside]]
        _tell(loss, block, inside, entry, one_unit[b : b + 1])
    if np.array_equal(entry, loss.units.entry):
        return None
    units = replace(loss.units, entry=entry, one_unit=one_unit, near=entry, given=True)
    return replace(loss, units=units, measured=Measured(loss.measured.repeats))


def _may_ask(loss: Loss) -> bool:
    units = loss.units
    if units.given or units.near is not units.entry or loss.run.structured:
        return False
    if isinstance(loss.run, Confined):  # offsets would leave the bounds
        return False
    return loss.layout.finest is None


def turns(loss: Loss, seed: int) -> bool:
    """Whether f bends or turns between the points that its noise is looked for at.

    Known where lines were looked at; f is asked on where there is a glimpse alone.
    """
    measured = loss.measured
    if measured.lines:
        finer = any(line.spacing < FIRST_SPACING for line in measured.lines)
        least = _rounding(loss, measured.seen)
        finer |= any(_bends(line.values, least) for line in measured.lines)
        return finer and not measured.is_coarse
    if measured.glimpse is None:
        return False
    values = measured.glimpse.values
    if not np.isfinite(values).all():
        return True
    if _shows_rounding_alone(loss, values) or measured.is_coarse:
        return False
    second = float(np.abs(np.diff(values, 2)).max())
    if _bends(values, _rounding(loss, values)) or second > LARGE * abs(loss.value):
        return True
    v = first_direction(loss, seed)
    offsets = finest_offset(loss.theta, v), FIRST_SPACING
    return straight_stretch(partial(loss.along, v), offsets, second) is not None


def _shows_rounding_alone(loss: Loss, values: Floats) -> bool:
    """Whether evenly spaced values are a straight line, within the rounding of f."""
    if not np.isfinite(values).all():
        return False
    # What bends has second differences beyond that: `BENDS` is no less.
    return not np.abs(np.diff(values, 2)).max() > UNSURPRISING * _rounding(loss, values)


def _rounding(loss: Loss, seen: Floats) -> float:
    """The rounding of f; of what it is some way off where it is next to nothing at theta itself."""
    measured = loss.measured
    beside = float(np.abs(seen - loss.value).max())
    if beside <= abs(loss.value) or not np.isfinite(measured.repeats.away):
        return measured.least
    return max(measured.least, float(rounding_noise(measured.repeats.away)))


def _bends(values: Floats, least: float) -> bool:
    """Whether evenly spaced values are those of a function that is smooth, and seen to bend."""
    if not np.isfinite(values).all():
        return False
    second, fourth = (float(np.abs(np.diff(values, k)).max()) for k in (2, 4))
    return second > BENDS * least and fourth < SMOOTH * second


def _tell(loss: Loss, block: Block, inside: Indices, entry: Floats, one_unit: np.ndarray) -> None:
    """Write the units of one block's entries, shape (n,), and whether they are one, shape (1,)."""
    inside = inside[loss.theta[inside] != 0]
    if inside.size == 0:
        return
    if inside.size >= FEWEST_OF_ONE_UNIT:
        known = _pilots(loss, inside)
        common = float(power_of_two(np.median(known))) if known.size else np.nan
        alike = np.abs(np.log2(known / common)) <= np.log2(ALIKE)
        if np.count_nonzero(alike) >= ENOUGH:
            entry[block.start : block.stop] = common
            one_unit[:] = True
            return
        if known.size == 0:
            return
    if inside.size <= ASKED_ONE_BY_ONE:
        told = told_units(loss, inside)
        known = np.isfinite(told)
        entry[inside[known]] = told[known]


def _pilots(loss: Loss, inside: Indices) -> Floats:
    """The units that entries of an array show, those furthest out first, until enough of them do."""
    furthest = inside[np.argsort(-np.abs(loss.theta[inside]), kind="stable")]
    known = np.zeros(0)
    for group in np.split(furthest[: ROUNDS * PILOTS], range(PILOTS, ROUNDS * PILOTS, PILOTS)):
        told = told_units(loss, group)
        known = np.append(known, told[np.isfinite(told)])
        if known.size >= ENOUGH:
            break
    return known


def begun(loss: Loss, seed: int) -> tuple[Loss, Floats | None]:
    """The loss in units that suit it, and its values on the first line of noise, if they were taken.

    For those who study all lines at once: what they begin with is seen here.
    """
    if loss.measured.lines or loss.of_many or not _may_ask(loss):
        return loss, None
    values, spacing = first_values(loss, seed, POINTS)
    if _shows_rounding_alone(loss, values):
        return loss, values[1:]
    told = in_own_units(with_glimpse(loss, values, spacing), seed)
    return (loss, values[1:]) if told is None else (told, None)


def is_lost(line: Line, place: float, wide: float) -> bool:
    """Whether f turns within a last place of theta, so that no difference is a slope of it.

    Between neighbouring points it then changes by as much as over any distance, and never straight.

    Parameters
    ----------
    line : callable
    place : float
        The least offset that moves theta.
    wide : float
        One over which f does what it can do.

    Examples
    --------
    >>> is_lost(lambda t: np.sin(1e7 * (1.7e9 + t)), 2.0**-22, 2.0**10)
    True
    >>> is_lost(lambda t: np.sin(1.7e9 + t), 2.0**-22, 2.0**10)
    False
    """
    near = line(place * np.arange(-4.0, 5.0))
    far = line(wide * np.array([-1.0, -0.3, 0.6, 1.1]))
    rises = np.diff(near)
    first, apart = np.abs(rises).max(), np.ptp(rises)
    change = float(np.max(np.abs(far - near[4]), where=np.isfinite(far), initial=0.0))
    return bool(first > 0 and apart > STRAIGHT * first and first >= change / REGULAR**2)


def told_units(loss: Loss, indices: Indices) -> Floats:
    """The units that f shows of some entries, shape (m,); NaN where it shows no other than theta does.

    Parameters
    ----------
    loss : Loss
    indices : ndarray of int, shape (m,)
        Of entries that are not zero.
    """
    own = loss.units.own(loss.theta, indices)
    offsets = own[:, None] * RUNGS
    with np.errstate(all="ignore"):
        change = loss.values(indices, offsets) - loss.base
        ladders = [_Ladder(offsets[k], change[k]) for k in range(indices.size)]
        last = np.array(
            [
                _told(ladder, abs(loss.value), partial(_change, loss, indices[k]))
                for k, ladder in enumerate(ladders)
            ]
        )
    units = power_of_two(STRETCH * last)
    told = (units <= FAR_OUT * own) & (last > 0)
    return np.where(told, np.maximum(units, LEAST_PART * own), np.nan)


class _Ladder:
    """What f does over growing offsets, shape (k,), and where it ceases to be straight.

    ``last`` is the last rung of the first straight stretch, None where there is none that ends.
    """

    def __init__(self, offsets: Floats, change: Floats):
        self.offsets, self.change = offsets, change
        secants = change / offsets
        alike = np.abs(np.diff(secants)) <= STRAIGHT * np.abs(secants[1:])
        alike &= (secants[1:] != 0) & np.isfinite(secants[1:])
        first = int(alike.argmax())
        end = first + int(np.append(~alike[first:], True).argmax())
        self.last: int | None = None
        if not alike.any() or end + 1 == offsets.size:
            return
        self.last = end
        self.straight_again = bool(alike[end:].any())
        self.size = np.abs(change[end:])
        self.size[~np.isfinite(self.size)] = np.inf
        stands = ~(self.size[1:] > REGULAR * self.size[:-1])
        still = self.size[: int(stands.argmax()) + 2].max()
        self.goes_on = bool(stands.any() and self.size.max() > SLIGHT * still)
        """Whether f goes on after it stood still, and did little by then."""
        self.still = float(still)

    def slope(self) -> float:
        assert self.last is not None
        return float(self.change[self.last] / self.offsets[self.last])


def _told(ladder: _Ladder, value: float, line: Line) -> float:
    """The last offset over which f is straight; NaN where that says nothing of its unit.

    Where f goes on after it stood still, or is straight further off as well, what it does nearer may be
    noise on top of it, or a tread of a staircase: not where that is a good part of f, without a jump.
    """
    k = ladder.last
    if k is None:
        return np.nan
    if ladder.goes_on and not ladder.still > LARGE * value:
        return np.nan
    if ladder.straight_again and not ladder.size[0] > PART_OF_VALUE * value:
        return np.nan
    if ladder.goes_on or ladder.straight_again:
        ends = float(ladder.offsets[k]), float(ladder.offsets[k + 1])
        values = float(ladder.change[k]), float(ladder.change[k + 1])
        found = halved(line, ends, values, ladder.slope(), times=JUMP_HALVINGS)
        if found.left > JUMPS * found.first:
            return np.nan
    return float(ladder.offsets[k])


def _change(loss: Loss, index: int, offsets: Floats) -> Floats:
    return loss.beside(index, offsets) - loss.base
