"""Second derivatives of a loss along lines, with error bars; Hessians and their products by them.

Along a line, the difference of order 6 errs by its noise, ``6 sigma g / h^2``, and by what it changes of
one of a lower order, from the same values. It is central where both sides are there, and one-sided where
a bound or the edge of the domain is in the way. Of some steps, each line keeps the one of the narrowest
bar. The bilinear form of u and v is ``(f''(u + v) - f''(u) - f''(v)) / 2``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.differences.loss import Loss
from fastgrad.numerics.bars import NOISE_SDS, OWN_ROUNDING
from fastgrad.numerics.rounding import local_noise
from fastgrad.parameters.bounds import Box

BY_ACCIDENT = 0.25
"""5 of 12,000 true errors of one-sided Hessians were outside their bars with 0, none from 1/8 up."""


@dataclass(frozen=True)
class Curving:
    """Weights of f at 0 and at multiples of h in ``h^2 f''``: of order 6, and of lower ones.

    Fornberg (1988), tables 1 and 3.
    """

    multiples: Floats
    weights: Floats
    """A row for each order, the sixth first."""
    at_zero: Floats
    """Weights of f(0), one for each order."""

    @cached_property
    def gain(self) -> float:
        """sd of ``h^2 f''`` over that of f."""
        return float(np.sqrt(np.sum(self.weights[0] ** 2) + self.at_zero[0] ** 2))

    def read(self, values: Floats, at_zero: float, h: float) -> tuple[float, float]:
        """f'', and what truncation leaves of it, from f at ``multiples`` of h and at 0.

        Orders may agree by accident: next to the difference of the first two counts a part of that of
        the next two.
        """
        sixth, *lower = ((self.weights @ values + self.at_zero * at_zero) / h**2).tolist()
        left = abs(sixth - lower[0])
        for above, below in pairwise(lower):
            left += BY_ACCIDENT * abs(above - below)
        return sixth, left


BOTH_SIDES = Curving(
    np.array([1.0, -1.0, 2.0, -2.0, 3.0, -3.0]),
    np.array(
        [
            [3 / 2, 3 / 2, -3 / 20, -3 / 20, 1 / 90, 1 / 90],
            [4 / 3, 4 / 3, -1 / 12, -1 / 12, 0.0, 0.0],
        ]
    ),
    np.array([-49 / 18, -5 / 2]),
)
ONE_SIDE = Curving(
    np.arange(1.0, 8.0),
    np.array(
        [
            [-223 / 10, 879 / 20, -949 / 18, 41.0, -201 / 10, 1019 / 180, -7 / 10],
            [-87 / 5, 117 / 4, -254 / 9, 33 / 2, -27 / 5, 137 / 180, 0.0],
            [-77 / 6, 107 / 6, -13.0, 61 / 12, -5 / 6, 0.0, 0.0],
        ]
    ),
    np.array([469 / 90, 203 / 45, 15 / 4]),
)
STEPS = (2.0**-6, 2.0**-9, 2.0**-4)
"""Steps in units of theta: near the least bar of a loss whose derivatives are of one size (1e-9), for
one that bends more, and for a noisy one."""
CLOSE_STEPS = (2.0**-12, 2.0**-15)
"""Steps for lines on which there is room for none of those."""
AT_ONCE = 1 << 20
"""Numbers of all directions that are asked for together, so that workers have enough to do."""
NARROW = 1e-8
"""A bar of this part of the second derivative needs no other step."""


@dataclass(frozen=True)
class Bent:
    """Second derivatives along some lines."""

    value: Floats
    bar: Floats
    side: Indices
    """The side on which each was taken, 1 or -1; 0 for both. All of shape (m,)."""


@dataclass(frozen=True)
class Matrix:
    """A Hessian, or its product with a vector, by the free entries."""

    value: Floats
    bar: Floats
    sided: Indices
    """Free entries that were moved to one side alone."""


def second_derivatives(loss: Loss, directions: Iterator[Floats], box: Box, count: int) -> Bent:
    """Second derivatives of a loss along ``count`` directions, within a box."""
    found = Bent(np.zeros(count), np.full(count, np.inf), np.zeros(count, np.intp))
    at_once = max(1, AT_ONCE // loss.theta.size)
    for start in range(0, count, at_once):
        lines = np.array(list(islice(directions, at_once)))
        room = [box.ahead(loss.theta, sign * lines).min(axis=1) for sign in (1.0, -1.0)]
        own = slice(start, start + at_once)
        part = Bent(found.value[own], found.bar[own], found.side[own])
        left = np.arange(len(lines))
        for h in (*STEPS, *CLOSE_STEPS):
            if h in CLOSE_STEPS:
                left = left[~np.isfinite(part.bar[left])]
            _at_step(loss, (lines, room), h, left, part)
            left = left[part.bar[left] > NARROW * np.abs(part.value[left])]
            if left.size == 0:
                break
    return found


def _at_step(
    loss: Loss, within: tuple[Floats, list[Floats]], h: float, left: Indices, found: Bent
) -> None:
    """Read some lines at one step, on both sides if f is finite there, or else on one.

    What has a narrower bar than before takes its place in ``found``.
    """
    lines, (ahead, back) = within
    for side in (0, 1, -1):
        stencil = ONE_SIDE if side else BOTH_SIDES
        offsets = h * stencil.multiples * (side or 1)
        asked = left[(offsets.max() <= ahead[left]) & (-offsets.min() <= back[left])]
        if asked.size == 0:
            continue
        values = loss.lines(lines[asked], np.tile(offsets, (asked.size, 1)))
        finite = np.isfinite(values).all(axis=1)
        for k, row in zip(asked[finite].tolist(), values[finite], strict=True):
            value, bar = _read(stencil, loss, row, h)
            if bar < found.bar[k]:
                found.value[k], found.bar[k], found.side[k] = value, bar, side
        left = np.setdiff1d(left, asked[finite])
        if left.size == 0:
            break


def _read(stencil: Curving, loss: Loss, values: Floats, h: float) -> tuple[float, float]:
    sigma = float(local_noise(loss.noise, *values))
    value, truncation = stencil.read(values, loss.value, h)
    noise = NOISE_SDS * stencil.gain * sigma / h**2
    return value, noise + truncation + OWN_ROUNDING * abs(value)


class _Lines:
    """The lines of single entries, each towards where there is room, and second derivatives on them.

    Parameters
    ----------
    loss : Loss
    box : Box
    """

    def __init__(self, loss: Loss, box: Box):
        self.loss, self.box = loss, box
        self.indices = loss.indices
        self._moves = box.turned(loss.theta, loss.units.entry.copy())
        lines = (self.unit(k) for k in range(self.indices.size))
        self.own = second_derivatives(loss, lines, box, self.indices.size)
        back = self.indices[self.own.side < 0]
        self._moves[back] *= -1
        self.signs = np.sign(self._moves[self.indices])
        """The sides that entries are moved to, where both are not there."""

    def unit(self, k: int) -> Floats:
        """The direction of the free entry number k."""
        direction = np.zeros(self.loss.theta.size)
        direction[self.indices[k]] = self._moves[self.indices[k]]
        return direction

    def inward(self, w: Floats) -> Floats:
        """A direction whose entries go where there is room."""
        turned = self.box.turned(self.loss.theta, w)
        sided = self.indices[self.own.side != 0]
        turned[sided] = np.copysign(w[sided], self._moves[sided])
        return turned

    def along(self, directions: Iterator[Floats], count: int) -> Bent:
        return second_derivatives(self.loss, directions, self.box, count)


def hessian_of(loss: Loss, box: Box) -> Matrix:
    """The Hessian of a loss by its free entries, and its bars, each of shape (m, m)."""
    lines = _Lines(loss, box)
    own, units = lines.own, loss.units.entry[loss.indices]
    rows, columns = np.triu_indices(units.size, 1)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    both = lines.along((lines.unit(i) + lines.unit(j) for i, j in pairs), rows.size)
    value, bar = np.diag(own.value), np.diag(own.bar)
    value[rows, columns] = (both.value - own.value[rows] - own.value[columns]) / 2
    value[rows, columns] *= lines.signs[rows] * lines.signs[columns]
    bar[rows, columns] = (both.bar + own.bar[rows] + own.bar[columns]) / 2
    lower = np.tril_indices(units.size, -1)
    value[lower], bar[lower] = value.T[lower], bar.T[lower]
    scale = np.outer(units, units)
    return Matrix(value / scale, bar / scale, loss.indices[own.side != 0])


def product_of(loss: Loss, v: Floats, box: Box) -> Matrix:
    """The Hessian's product with v by the free entries, and its bars, each of shape (m,).

    What of v points outside is taken on the other side, and subtracted.
    """
    lines = _Lines(loss, box)
    own, units = lines.own, loss.units.entry[loss.indices]
    size = float(np.max(np.abs(v) / loss.units.entry, initial=0.0)) or 1.0
    w = v / size  # of the size of the units
    turned = lines.inward(w)
    value, bar = np.zeros((2, units.size))
    for sign, same in ((1.0, turned == w), (-1.0, turned != w)):
        part = np.where(same, turned, 0.0)
        if sign < 0 and not part.any():
            break
        both = lines.along((lines.unit(k) + part for k in range(units.size)), units.size)
        along = lines.along(iter([part]), 1)
        value += sign * lines.signs * (both.value - own.value - along.value) / 2
        bar += (both.bar + own.bar + along.bar) / 2
    return Matrix(value * size / units, bar * size / units, loss.indices[own.side != 0])
