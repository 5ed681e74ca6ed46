"""Blocks of theta: their places in the flat vector, and the names of their entries."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Block:
    """One array of theta: its name, shape and place ``[start, stop)`` in the flat vector."""

    name: str
    shape: tuple[int, ...]
    start: int
    dtype: np.dtype[Any]
    scalar: bool
    """Whether it is a plain number rather than an array of shape ()."""
    labels: tuple[tuple[Any, ...], ...] = field(default=(), kw_only=True)
    """The names of its rows, and columns, where it has any."""
    names: tuple[str, ...] = field(default=(), kw_only=True)
    """What its entries are called, where the user says so."""

    @cached_property
    def float_dtype(self) -> np.dtype[Any]:
        """The dtype of its slopes: its own precision, in this machine's byte order."""
        is_float = self.dtype.kind == "f"
        return self.dtype.newbyteorder("=") if is_float else np.dtype(np.float64)

    @cached_property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def of_integers(self) -> bool:
        """Whether it is an array of integers, such as indices."""
        return self.dtype.kind in "iu" and bool(self.shape)

    @cached_property
    def stop(self) -> int:
        return self.start + self.size

    def index(self, position: int) -> tuple[int, ...]:
        """Index in the block of the entry at a position in the flat vector."""
        left, index = int(position) - self.start, []
        for length in reversed(self.shape):
            left, k = divmod(left, length)
            index.append(k)
        return tuple(reversed(index))

    def entry(self, position: int) -> str:
        """Name of the entry at a position in the flat vector, such as ``W1[3, 17]``."""
        if self.names:
            return self.names[position - self.start]
        index = self.index(position)
        if self.labels:
            index = tuple(names[k] for names, k in zip(self.labels, index, strict=True))
            said = ", ".join(f'"{k}"' if isinstance(k, str) else str(k) for k in index)
            return f"{self.name}[{said}]"
        said = ", ".join(map(str, index))
        return f"{self.name}[{said}]" if self.shape else self.name
