"""What an evaluator is asked, as a value: it has a key, and parts that anyone can answer."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from fastgrad.arrays import Floats, Indices

KEY_BYTES = 16
"""The length of a key: two of 2^32 questions share one with a probability of 2^-65."""


class Span(NamedTuple):
    """The evaluations ``start`` to ``stop`` of a question."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many they are."""
        return self.stop - self.start


class Part(NamedTuple):
    """Some evaluations of a question: indices or directions, and offsets; never values of theta."""

    places: Any
    """Entries, shape (m,), a direction, shape (n,), or directions, shape (m, n)."""
    offsets: Floats
    """Shape (m, k) beside entries and on lines, (k,) on one line."""

    def asked_of(self, run: Any) -> Floats:
        """The loss at these points, shape (evaluations,), or (evaluations, outputs)."""
        if self.offsets.ndim == 1:
            return run.along(self.places, self.offsets)
        ask = run.coordinates if self.places.ndim == 1 else run.lines
        values = ask(self.places, self.offsets)
        return np.asarray(values.reshape(self.offsets.size, *values.shape[2:]))


@dataclass(frozen=True)
class Question:
    """One call of `Evaluator.coordinates`, `Evaluator.along` or `Evaluator.lines`.

    Parameters
    ----------
    places : ndarray
        Entries, shape (m,), a direction, shape (n,), or directions, shape (m, n).
    offsets : ndarray
        Shape (m, k) beside entries and on lines, (k,) on one line.
    whole_rows : bool
        Whether all offsets of an entry are asked for together, as a structure needs them.
    """

    places: Indices | Floats
    offsets: Floats
    whole_rows: bool = False

    @property
    def size(self) -> int:
        """How many evaluations it takes."""
        return self.offsets.size

    @property
    def beside_entries(self) -> bool:
        """Whether it is about entries; else about lines."""
        return self.offsets.ndim == 2 and self.places.ndim == 1

    @property
    def grain(self) -> int:
        """Evaluations that stay together."""
        return self.offsets.shape[1] if self.whole_rows and self.beside_entries else 1

    @cached_property
    def key(self) -> bytes:
        """A digest of all that is asked."""
        found = blake2b(digest_size=KEY_BYTES)
        found.update(repr((self.places.dtype.kind, self.offsets.shape)).encode())
        found.update(np.ascontiguousarray(self.places).data)
        found.update(np.ascontiguousarray(self.offsets).data)
        return found.digest()

    def part(self, span: Span) -> Part:
        """Some of its evaluations."""
        if self.offsets.ndim == 1:
            return Part(self.places, self.offsets[span.start : span.stop])
        k = self.offsets.shape[1]
        if self.grain == k or (span.start % k == 0 and span.stop % k == 0):
            rows = slice(span.start // k, span.stop // k)
            return Part(self.places[rows], self.offsets[rows])
        which = np.arange(span.start, span.stop)
        return Part(self.places[which // k], self.offsets.reshape(-1)[which][:, None])

    def entry(self, evaluation: int) -> tuple[int | None, float]:
        """The entry (None: all, on a line) and the offset of one of its evaluations."""
        offset = float(self.offsets.reshape(-1)[evaluation])
        if not self.beside_entries:
            return None, offset
        return int(self.places[evaluation // self.offsets.shape[1]]), offset


def left_over(size: int, known: list[Span]) -> list[Span]:
    """The spans of ``size`` evaluations that none of the known ones covers."""
    found, start = [], 0
    for span in sorted(known):
        if span.start > start:
            found.append(Span(start, span.start))
        start = max(start, span.stop)
    return [*found, Span(start, size)] if start < size else found
