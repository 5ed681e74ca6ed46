"""What notices that somebody wrote to arguments: checksums of the arrays among them.

Every backend asks here, and whoever calls other functions of the user's.
"""

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import numpy as np

from fastgrad.arrays import Array
from fastgrad.errors import MutatedInputError
from fastgrad.evaluate.on_demand import checksums
from fastgrad.parameters.trees import children

WHOLE_BYTES = 1 << 18
"""Arrays up to here are read whole, in some 20 us."""
SAMPLES, SAMPLE_BYTES = 64, 1 << 10
"""Spans of a larger array, and the size of each: 10 us, most of it waiting for memory."""
READINGS = 3
"""All bytes of the arguments are read before and after evaluations that cost so many readings."""
BYTES_A_SECOND = 5e9
"""Speed of a checksum from memory: 320 MB were read twice in 79 ms."""
WORD = 8
_places = np.random.default_rng()
_parts = np.arange(SAMPLES)


class ArgumentGuard:
    """Checksums of the arrays among some arguments, from before anybody could write to them.

    Parameters
    ----------
    arguments : tuple
        Arrays, alone or in structures; anything else is not looked at.
    name : callable
        ``name(k)`` is what to call argument k in a message.
    who : str
        Whoever might write to them.
    sampled : bool
        Whether of arrays beyond `WHOLE_BYTES` only samples are read, in other places for every guard:
        writing to a part p of an array is missed with probability (1 - p)^`SAMPLES` or less.
    """

    def __init__(
        self,
        arguments: tuple[Any, ...],
        name: Callable[[int], str],
        who: str = "the loss",
        sampled: bool = False,
    ):
        self._arguments, self._name, self._who = arguments, name, who
        self._look(sampled)

    def _look(self, sampled: bool) -> None:
        """Find the arrays, choose what is read of each, and read it."""
        self._arrays = [
            (k, *place) for k, value in enumerate(self._arguments) for place in arrays_in(value, "")
        ]
        self._nbytes = sum(array.nbytes for *_, array in self._arrays)
        read = _samples if sampled else _whole
        spans = [read(array) for *_, array in self._arrays]
        self._spans = np.concatenate(spans) if spans else np.zeros((0, 2), np.int64)
        self._counts = [len(its) for its in spans]
        self.left_out = self._nbytes - int(self._spans[:, 1].sum())
        """Bytes that are not read."""
        self._before = self._checksums()

    @property
    def is_large(self) -> bool:
        """Whether samples would leave something out, or may."""
        return self._nbytes > WHOLE_BYTES

    def is_cheap(self, seconds: float) -> bool:
        """Whether reading everything costs little beside evaluations of so many seconds."""
        return seconds > READINGS * self._nbytes / BYTES_A_SECOND

    def again(self, sampled: bool) -> "ArgumentGuard":
        """A guard of the same arguments from now on, that reads all of them, or samples."""
        guard = copy(self)
        if self.is_large or any(type(value) is not np.ndarray for value in self._arguments):
            guard._look(sampled)
        else:  # the same is read
            guard._before = guard._checksums()
        return guard

    def unchanged(self) -> bool:
        """Whether all is as it was."""
        return not self._arrays or self._checksums().tobytes() == self._before.tobytes()

    def changed(self) -> list[int]:
        """The arguments that are other arrays than before; none if what changed lies in structures."""
        now = np.flatnonzero(self._checksums() != self._before)
        places = [self._arrays[self._array_of(j)][:2] for j in now]
        if any(path for _, path in places):
            return []
        return list(dict.fromkeys(k for k, _ in places))

    def check(self) -> None:
        """Raise `MutatedInputError`, naming the array, if one has changed."""
        now = self._checksums()
        if now.tobytes() != self._before.tobytes():
            changed = np.flatnonzero(now != self._before)[0]
            k, path, array = self._arrays[self._array_of(changed)]
            raise MutatedInputError(
                f"{self._who} wrote to its argument {self._name(k)}{path} (array of shape "
                f"{array.shape}), which is no longer what it was: expected it to leave its inputs "
                "alone; copy what it changes first. (An argument that every call overwrites before "
                "it reads it is scratch: it does not count, and scratch= names it.)"
            )

    def _array_of(self, k: np.intp) -> int:
        """The array that span k is of."""
        return int(np.searchsorted(np.cumsum(self._counts), k, side="right"))

    def _checksums(self) -> Array:
        sums = np.empty(len(self._spans), np.uint64)
        if self._arrays:
            checksums(self._spans, sums)
        return sums


def arrays_in(value: Any, path: str, writeable: bool = True) -> Iterator[tuple[str, Array]]:
    """The arrays in a structure, each with its path; by default those that can be written to."""
    if isinstance(value, np.ndarray):
        if (value.flags.writeable or not writeable) and value.size:
            yield path, value
        return
    if hasattr(value, "_numba_type_"):  # a typed Dict, which another thread may be filling
        return
    for key, child in children(value):
        yield from arrays_in(child, f"{path}.{key}", writeable)


def span(array: Array) -> tuple[int, int]:
    """Address and number of the bytes from an array's first to its last, whatever its strides."""
    if array.flags.c_contiguous:
        return array.__array_interface__["data"][0], array.nbytes
    reach = [(size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True)]
    below = sum(r for r in reach if r < 0)
    above = sum(r for r in reach if r > 0)
    return array.__array_interface__["data"][0] + below, above - below + array.itemsize


def _whole(array: Array) -> Array:
    return np.array([span(array)], np.int64)


def _samples(array: Array) -> Array:
    """Spans of an array of which a part is read, each at a random place in its own part."""
    address, nbytes = span(array)
    if nbytes <= WHOLE_BYTES:
        return _whole(array)
    part = nbytes // SAMPLES // WORD * WORD
    spans = np.empty((SAMPLES, 2), np.int64)
    spans[:, 0] = _places.integers(0, (part - SAMPLE_BYTES) // WORD, SAMPLES)
    spans[:, 0] *= WORD
    spans[:, 0] += _parts * part
    spans[:, 0] += address
    spans[:, 1] = SAMPLE_BYTES
    return spans
