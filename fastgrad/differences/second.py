"""Second derivatives of a loss along lines, with error bars; Hessians and their products by them.

Along a line, the central difference of order 6 of seven values errs by its noise,
``6 sigma g / h^2``, and by what it changes of that of order 4, from the same values. Of three steps,
each line keeps the one of the narrowest bar. The bilinear form of u and v is
``(f''(u + v) - f''(u) - f''(v)) / 2``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.differences.loss import Loss
from fastgrad.numerics.bars import NOISE_SDS, OWN_ROUNDING, local_noise

MULTIPLES = np.array([1.0, -1.0, 2.0, -2.0, 3.0, -3.0])
ORDER_6 = np.array([3 / 2, 3 / 2, -3 / 20, -3 / 20, 1 / 90, 1 / 90])
"""Weights of f at these multiples of h in h^2 f'' (Fornberg, 1988, table 1)."""
AT_CENTRE_6 = -49 / 18
ORDER_4 = np.array([4 / 3, 4 / 3, -1 / 12, -1 / 12, 0.0, 0.0])
AT_CENTRE_4 = -5 / 2
STEPS = (2.0**-6, 2.0**-9, 2.0**-4)
"""Steps in units of theta: near the least bar of a loss whose derivatives are of one size (1e-9), for
one that bends more, and for a noisy one."""
GAIN = float(np.sqrt(np.sum(ORDER_6**2) + AT_CENTRE_6**2))
"""sd of ``h^2 f''`` over that of f."""
AT_ONCE = 1 << 20
"""Numbers of all directions that are asked for together, so that workers have enough to do."""
NARROW = 1e-8
"""A bar of this part of the second derivative needs no other step."""


@dataclass(frozen=True)
class Bent:
    """Second derivatives along some lines, and their bars, each of shape (m,)."""

    value: Floats
    bar: Floats


def second_derivatives(loss: Loss, directions: Iterator[Floats], count: int) -> Bent:
    """Second derivatives of a loss along ``count`` directions."""
    value, bar = np.zeros(count), np.full(count, np.inf)
    at_once = max(1, AT_ONCE // loss.theta.size)
    for start in range(0, count, at_once):
        lines = np.array(list(islice(directions, at_once)))
        left = np.arange(len(lines))
        for h in STEPS:
            values = loss.lines(lines[left], np.tile(h * MULTIPLES, (left.size, 1)))
            for k, row in zip((start + left).tolist(), values, strict=True):
                found, error = _at_step(loss, row, h)
                if error < bar[k]:
                    value[k], bar[k] = found, error
            left = left[bar[start + left] > NARROW * np.abs(value[start + left])]
            if left.size == 0:
                break
    return Bent(value, bar)


def _at_step(loss: Loss, values: Floats, h: float) -> tuple[float, float]:
    """The second derivative by the values at all multiples of a step, and its bar."""
    if not np.isfinite(values).all():
        return 0.0, np.inf
    base = loss.value
    sigma = float(local_noise(loss.noise, *values))
    sixth = float(ORDER_6 @ values + AT_CENTRE_6 * base) / h**2
    fourth = float(ORDER_4 @ values + AT_CENTRE_4 * base) / h**2
    noise = NOISE_SDS * GAIN * sigma / h**2
    return sixth, noise + abs(sixth - fourth) + OWN_ROUNDING * abs(sixth)


def hessian_of(loss: Loss) -> tuple[Floats, Floats]:
    """The Hessian of a loss by its free entries, and its bars, each of shape (m, m)."""
    indices, units = loss.indices, loss.units.entry
    m = indices.size
    own = second_derivatives(loss, (_unit(loss, i) for i in indices.tolist()), m)
    rows, columns = np.triu_indices(m, 1)
    pairs = zip(indices[rows].tolist(), indices[columns].tolist(), strict=True)
    both = second_derivatives(loss, (_unit(loss, i) + _unit(loss, j) for i, j in pairs), rows.size)
    value, bar = np.diag(own.value), np.diag(own.bar)
    value[rows, columns] = (both.value - own.value[rows] - own.value[columns]) / 2
    bar[rows, columns] = (both.bar + own.bar[rows] + own.bar[columns]) / 2
    lower = np.tril_indices(m, -1)
    value[lower], bar[lower] = value.T[lower], bar.T[lower]
    scale = np.outer(units[indices], units[indices])
    return value / scale, bar / scale


def product_of(loss: Loss, v: Floats) -> tuple[Floats, Floats]:
    """The Hessian's product with v by the free entries, and its bars, each of shape (m,)."""
    indices, units = loss.indices, loss.units.entry
    size = float(np.max(np.abs(v) / units, initial=0.0)) or 1.0
    w = v / size  # of the size of the units
    own = second_derivatives(loss, (_unit(loss, i) for i in indices.tolist()), indices.size)
    both = second_derivatives(loss, (_unit(loss, i) + w for i in indices.tolist()), indices.size)
    along = second_derivatives(loss, iter([w]), 1)
    value = (both.value - own.value - along.value) / 2
    bar = (both.bar + own.bar + along.bar) / 2
    return value * size / units[indices], bar * size / units[indices]


def _unit(loss: Loss, i: int) -> Floats:
    direction = np.zeros(loss.theta.size)
    direction[i] = loss.units.entry[i]
    return direction
