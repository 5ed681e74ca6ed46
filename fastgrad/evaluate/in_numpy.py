"""What kernels do, in NumPy: bit for bit the same, and nothing to compile.

A kernel takes up to a second to compile on a machine where it never was; a small problem asks for a
thousandth of that. See `on_demand`, which chooses.
"""

import ctypes
import math
from functools import lru_cache
from typing import Any

import numpy as np

from fastgrad.arrays import CHUNK, Floats, Indices, Mask

RAISED, WROTE, INTERRUPTED = 1, 2, 3
"""What a byte of ``failed`` says: the loss raised, wrote to its parameters, or got a Ctrl-C."""
LANES = 64
"""Sums are kept in so many lanes, one beside the other."""
BAD, GOOD, SHOWS, NOISE = 0, 1, 2, 3
"""What `kernels.central_gradient` says of slopes: one is none; all are; values look like rounding; the
steps of a block are lost in noise, or too long."""
LINE = 8
"""Doubles in a cache line. Rows start on one: threads share none, and BLAS sees one alignment."""
LEAST_UNIT, MOST_UNIT = 2.0**-900, 2.0**900
"""Units lie between these, where differences neither vanish nor overflow; a sum of squares that does
has lost nothing."""
ODD = 0x9E3779B97F4A7C15
"""Spreads the places of words over all bits."""

_c_function = ctypes.CFUNCTYPE(
    ctypes.c_double, ctypes.c_size_t, ctypes.c_ssize_t, ctypes.c_size_t, ctypes.c_size_t
)


def c_function(address: int) -> Any:
    """The loss at an address, of the signature `kernels.LOSS_SIGNATURE`; it lets go of the GIL."""
    return _c_function(address)


def address_of(array: Any) -> int:
    """The address of the first byte of an array."""
    return int(array.__array_interface__["data"][0])


def release(loss: int, arguments: int) -> None:
    """Give back the arguments bound at an address."""
    c_function(loss)(0, -1, 0, arguments)


def coordinates(
    loss: int,
    arguments: int,
    theta: Floats,
    work: Floats,
    indices: Indices,
    offsets: Floats,
    values: Floats,
    failed: Any,
    start: int,
    stop: int,
) -> None:
    """`kernels.coordinates_serial`."""
    function, row, n = c_function(loss), memoryview(work[0]), theta.size
    here, flags = address_of(work), address_of(failed)
    which = indices[np.arange(start, stop) // offsets.shape[1]]
    points = theta[which] + offsets.reshape(-1)[start:stop]
    found = []
    try:
        for e, i, x in zip(range(start, stop), which.tolist(), points.tolist(), strict=True):
            before = row[i]
            row[i] = x
            found.append(function(here, n, flags + e, arguments))
            if row[i] != x:
                failed[e] = WROTE
            row[i] = before
    except BaseException:  # a Ctrl-C between two evaluations
        work[0, :n] = theta
        raise
    values.reshape(-1)[start:stop] = found


def line(
    loss: int,
    arguments: int,
    theta: Floats,
    work: Floats,
    way: tuple[Any, ...],
    offsets: Floats,
    values: Floats,
    failed: Any,
    start: int,
    stop: int,
    watch: bool,
) -> None:
    """`kernels.line_serial`, of ways that are written out."""
    function, row, direction = c_function(loss), work[0, : theta.size], way[0]
    here, flags = address_of(work), address_of(failed)
    for j in range(start, stop):
        np.multiply(direction, offsets[j], out=row)
        row += theta
        given = row.tobytes() if watch else b""
        values[j] = function(here, theta.size, flags + j, arguments)
        if watch and row.tobytes() != given:
            failed[j] = WROTE


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


class _Memory:
    """Bytes at an address, as NumPy reads them."""

    def __init__(self, address: int, count: int, kind: str):
        self.__array_interface__ = {
            "data": (address, True),
            "shape": (count,),
            "typestr": kind,
            "version": 3,
        }


def checksums(spans: Any, sums: Any) -> None:
    """`kernels.checksums`."""
    nbytes = int(spans[0, 1]) if len(spans) > 1 else 0
    if nbytes % 8 or not 0 < nbytes <= CHUNK or (spans[:, 1] != nbytes).any():
        _one_by_one(spans, sums)
        return
    lowest = int(spans[:, 0].min())
    starts = spans[:, 0] - lowest
    if np.bitwise_or.reduce(starts) % 8:
        _one_by_one(spans, sums)
        return
    starts //= 8
    between = np.asarray(_Memory(lowest, int(starts.max()) + nbytes // 8, "<u8"))
    words = between.take(starts[:, None] + _places(nbytes // 8))  # nothing else is touched
    words ^= words >> np.uint64(32)
    words *= _odd(0, words.shape[1])
    words.sum(axis=1, out=sums)


def _one_by_one(spans: Any, sums: Any) -> None:
    for k, (address, nbytes) in enumerate(spans.tolist()):
        count = nbytes // 8
        total = 0
        for start in range(0, count, CHUNK):
            size = min(CHUNK, count - start)
            total += _scrambled(np.asarray(_Memory(address + 8 * start, size, "<u8")), start)
        if nbytes % 8:
            rest = np.asarray(_Memory(address + 8 * count, nbytes % 8, "|u1"))
            total += _scrambled(rest.astype(np.uint64), 8 * count)
        sums[k] = total & 0xFFFFFFFFFFFFFFFF


def _scrambled(words: Any, start: int) -> int:
    return int((_spread(words) * _odd(start, words.size)).sum())


def _spread(words: Any) -> Any:
    return words ^ (words >> np.uint64(32))


@lru_cache(maxsize=4)
def _places(count: int) -> Any:
    return np.arange(count)


@lru_cache(maxsize=4)
def _odd(start: int, count: int) -> Any:
    places = np.arange(start, start + count, dtype=np.uint64)
    return (places * np.uint64(ODD)) | np.uint64(1)


def fill_units(
    units: Floats, theta: Floats, stops: Indices, one_unit: Mask, settings: tuple[float, ...]
) -> None:
    """`kernels.fill_units`."""
    fewest, below, part, near_block, near_entry, near_beside, pure = settings
    sizes = np.abs(theta)
    blocks = list(zip([0, *stops[:-1].tolist()], stops.tolist(), strict=True))
    typical, counts = [], []
    for b, (start, stop) in enumerate(blocks):
        block = sizes[start:stop]
        rms = _rms(block)
        count = int(np.count_nonzero(block))
        there = block if count == block.size else block[block != 0.0]
        close = np.count_nonzero(there >= below * rms)
        unlike = 0 < count < block.size and close < part * count
        typical.append(_middle(there) if unlike else rms)
        counts.append(count)
        one_unit[b] = count >= fewest and close >= part * count
        if one_unit[b] and near_block <= rms <= pure:
            near_entry = near_beside
    overall = typical[0] if len(blocks) == 1 else _rms(sizes)
    for b, (start, stop) in enumerate(blocks):
        block, own = sizes[start:stop], units[start:stop]
        floor = _unit(typical[b], near_block) if one_unit[b] else 0.0
        near = 1.0 if floor > 0.0 else near_entry
        exponents = np.frexp(block)[1]
        exponents -= 1
        np.maximum(exponents, -900, out=exponents)
        np.minimum(exponents, 900, out=exponents)
        np.ldexp(1.0, exponents, out=own)
        np.copyto(own, 1.0, where=(near <= block) & (block < 1.0))
        np.maximum(own, floor, out=own)
        if counts[b] < block.size:
            of_zero = _unit(typical[b] if typical[b] > 0.0 else overall, near_block)
            np.copyto(own, of_zero, where=block == 0.0)


def fill_steps(
    units: Floats, theta: Floats, stops: Indices, one_unit: Mask, step: float, order: int
) -> None:
    """`kernels.fill_steps`."""
    starts = np.append(0, stops[:-1])
    for b in np.flatnonzero(one_unit):
        part = slice(starts[b], stops[b])
        most = _band(theta[part], order)
        if most < math.inf:
            np.minimum(units[part], most, out=units[part])
    if not one_unit.all():
        own, size = np.repeat(~one_unit, stops - starts), np.abs(theta)
        own &= (size >= SMALLER) & (size < 1.0)
        small = size < SMALL
        near_one = own & ~small & (units == 1.0)
        units[own & small & (units < SMALL)] = SMALL
        units[near_one] = OF_NEAR_ONE
    units *= step


SMALLER, SMALL, OF_NEAR_ONE = 2.0**-5, 2.0**-3, 2.0**-1
"""Entries in units of their own: those from one of these up to the next are differenced in the unit of
the latter, and those from the second up to 1 in that of the third."""
NARROW = 2.0**6
"""Entries about a point so many times as far away as they are wide, and as 1, are about an offset."""


def _band(block: Floats, order: int) -> float:
    """The largest unit of a block of one unit: of one about an offset, between its width and that."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        middle = float(np.cumsum(block)[-1]) / block.size
        away = block - middle
        apart = float(np.cumsum(away * away)[-1])
    width = max(math.sqrt(apart / block.size), 1.0)
    if apart == 0.0 or not NARROW * width <= abs(middle) < math.inf:
        return math.inf
    wide, far = math.frexp(width)[1] - 1, math.frexp(middle)[1] - 1
    return math.ldexp(1.0, (order * wide + far) // (order + 1))


PLACES = 0.25, 0.6180339887498949, 0.8541019662496845
"""Parts of the length of a block of one unit at which entries are asked for noise: its first and last
are often dead."""
NOISY = 2.0**-13
"""Middles of values on both sides that differ by this part of what a step changes: noise then leaves
four digits of a difference, or f bends on a scale of 1/60 of its unit."""
SAME_NOISE = 4.0
"""Over a longer step middles differ by so many times as much at most if that is noise, and slopes from
those of the default by so many times their noise."""


def asked_in(stops: Indices, one_unit: Mask) -> Indices:
    """The entries of every block of one unit that are asked for noise, shape (b, p).

    Examples
    --------
    >>> asked_in(np.array([2, 10, 110]), np.array([False, True, True])).tolist()
    [[4, 6, 8], [35, 71, 95]]
    """
    starts = np.append(0, stops[:-1])[one_unit]
    sizes = stops[one_unit] - starts
    return np.asarray(starts[:, None] + (sizes[:, None] * np.array(PLACES)).astype(np.int64))


def middles(values: Floats) -> Floats:
    """The middles of f above and below entries, along the last axis."""
    return np.asarray(values[..., 0] / 2 + values[..., 1] / 2)


def lengthening(values: Floats) -> float:
    """How much longer a step is to be if the middles of entries differ by noise; 1 if they hardly do.

    Where noise and the truncation of what varies on 1/16 of a unit are alike: the cube root of
    ``3 r / (16 h)^2``, r the noise by the largest change.

    Parameters
    ----------
    values : ndarray, shape (p, 2)
        f above and below.
    """
    middle = middles(values)
    apart = float(middle.max() - middle.min())
    change = float(np.abs(values[:, 0] - values[:, 1]).max())
    if not NOISY * change < apart < math.inf:
        return 1.0
    exponent = math.frexp(apart / change)[1] - 1 if change > 0.0 else 0
    return math.ldexp(1.0, (min(exponent, 0) + LONGEST_EXPONENT) // 3)


LONGEST_EXPONENT = 27
"""``log2(3 / (16 * 2^-17)^2)``: steps of 2^-8 at most."""


def is_noise(values: Floats, found: Floats, h: Floats, wide: Floats) -> bool:
    """Whether what middles differ by is as much over longer steps, and slopes are the same but for it.

    Parameters
    ----------
    values, found : ndarray, shape (p, 2)
        f above and below entries, over the default steps and over longer ones.
    h, wide : ndarray, shape (p,)
        These.
    """
    if not np.isfinite(found).all():
        return False
    before, after = middles(values), middles(found)
    apart = float(before.max() - before.min())
    with np.errstate(over="ignore", invalid="ignore"):
        slope = (values[:, 0] - values[:, 1]) / (2 * h)
        other = (found[:, 0] - found[:, 1]) / (2 * wide)
        same = bool(np.all(np.abs(other - slope) <= SAME_NOISE * apart / h))
    return same and bool(after.max() - after.min() <= SAME_NOISE * apart)


def _rms(sizes: Floats) -> float:
    """rms of sizes, free of overflow; added up in their order, as a kernel does."""
    if sizes.size == 0:
        return 0.0
    with np.errstate(over="ignore", under="ignore"):
        total = float(np.cumsum(sizes * sizes)[-1])
        if LEAST_UNIT < total < MOST_UNIT:
            return math.sqrt(total / sizes.size)
        largest = float(sizes.max())
        if largest == 0.0:
            return 0.0
        parts = sizes / largest
        return largest * math.sqrt(float(np.cumsum(parts * parts)[-1]) / sizes.size)


def _middle(sizes: Floats) -> float:
    """The geometric mean of sizes."""
    total = 0.0
    for size in sizes.tolist():
        total += math.log(size)
    return math.exp(total / sizes.size)


def _unit(size: float, near_one: float) -> float:
    """The largest power of two at most ``size``; 1 for what is near it from below."""
    if size == 0.0 or near_one <= size < 1.0:
        return 1.0
    return math.ldexp(1.0, min(max(math.frexp(size)[1] - 1, -900), 900))
