"""What kernels do with the entries of directions, in NumPy: bit for bit the same; see `on_demand`."""

from typing import Any

import numpy as np

from fastgrad.arrays import CHUNK, Floats

LANES = 64
"""Sums are kept in so many lanes, one beside the other."""


def entries_drawn(out: Floats, random: Any, upper_bits: Any, share: float, scale: float) -> None:
    """Entries of a direction that is not written out: ``_drawn`` and ``_sign_drawn`` of `kernels`."""
    units = (upper_bits.astype(np.uint64) << np.uint64(48)).view(np.float64)
    fill_direction(out, random, units, scale == 0.0, scale)
    out *= share


def project(values: Floats, way: tuple[Any, ...], sums: Floats) -> None:
    """`kernels.project`."""
    _, random, units, spans, shares, scale = way
    for k, first in enumerate(range(0, values.size, CHUNK)):
        products = np.zeros(min(CHUNK, values.size - first))
        for (start, stop), share in zip(spans.tolist(), shares, strict=True):
            own = slice(max(start, first), min(stop, first + products.size))
            if own.start < own.stop:
                part = products[own.start - first : own.stop - first]
                entries_drawn(part, random[own], units[own], share, scale)
                part *= values[own]
        sums[k] = _sum_in_lanes(products), _sum_in_lanes(products * products)


def project_written_out(values: Floats, direction: Floats, sums: Floats) -> None:
    """The same of a direction that is written out."""
    for k, first in enumerate(range(0, values.size, CHUNK)):
        part = slice(first, first + CHUNK)
        products = values[part] * direction[part]
        sums[k] = _sum_in_lanes(products), _sum_in_lanes(np.square(products, out=products))


def _sum_in_lanes(x: Floats) -> float:
    whole = x.size // LANES * LANES
    lanes = x[:whole].reshape(-1, LANES).sum(axis=0)
    lanes[: x.size - whole] += x[whole:]
    return float(np.cumsum(lanes)[-1])


def fill_direction(out: Floats, random: Any, units: Floats, exact: bool, scale: float) -> None:
    """`kernels.fill_direction`."""
    u = random * 2.0**-15
    if exact:
        np.copysign(1.0, u, out=out)
    else:
        np.abs(u, out=out)
        out += 0.5
        out *= scale
        np.copysign(out, u, out=out)
    out *= units
