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
BAD, GOOD, SHOWS, NOISE = 0, 1, 2, 3
"""What `kernels.central_gradient` says of slopes: one is none; all are; values look like rounding; the
steps of a block are lost in noise, or too long."""
LINE = 8
"""Doubles in a cache line. Rows start on one: threads share none, and BLAS sees one alignment."""
LEAST_UNIT, MOST_UNIT = 2.0**-900, 2.0**900
"""Units lie between these, where differences neither vanish nor overflow; a sum of squares that does
has lost nothing."""
EXPONENT = 0x7FF << 52
"""The bits of a number that are left of the largest power of two at most as large."""
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
        np.bitwise_and(block.view(np.int64), EXPONENT, out=own.view(np.int64))
        np.maximum(own, LEAST_UNIT, out=own)
        np.minimum(own, MOST_UNIT, out=own)
        np.copyto(own, 1.0, where=(near <= block) & (block < 1.0))
        np.maximum(own, floor, out=own)
        if counts[b] < block.size:
            of_zero = _unit(typical[b] if typical[b] > 0.0 else overall, near_block)
            np.copyto(own, of_zero, where=block == 0.0)


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
