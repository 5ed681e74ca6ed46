"""Numbers that a factor may come from: lengths of the data, sizes of a block, single parameters."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

LOSS = "J"
"""The symbol of the loss's own value."""

PARAMETER = "theta"
"""That of a parameter that is one number."""

LARGEST_PARAMETER = 1e100
"""No square is taken of a larger one, nor of the inverse of a smaller."""


class Size(NamedTuple):
    """A number that is in the data, such as the rows of an argument, and what it is."""

    value: float
    symbol: str
    said: str

    @property
    def leads(self) -> bool:
        """Whether it is the leading dimension of an argument, the usual m of a mean."""
        return self.symbol == "m"


def sizes_of(
    dims: Sequence[int | Size], name: str, shape: tuple[int, ...], value: float = 0.0
) -> tuple[Size, ...]:
    """Lengths of the loss's arrays, the sizes of a block, the value of the loss."""
    found = [
        m
        if isinstance(m, Size)
        else Size(m, "m", f"m = {m} is the length of an argument of the loss")
        for m in dims
    ]
    found += [Size(prod(shape), "", f"{prod(shape):,} is the number of entries of {name}")]
    axes = shape if len(shape) > 1 else ()
    found += [Size(k, "", f"{k} is the size of axis {d} of {name}") for d, k in enumerate(axes)]
    if value and np.isfinite(value):
        found.append(Size(value, LOSS, f"the loss is {value:.6g}"))
    first: dict[float, Size] = {}
    for size in found:
        first.setdefault(size.value, size)
    return tuple(size for value, size in first.items() if value not in (0, 1))


def numbers_of(parameters: Iterable[tuple[str, float]]) -> tuple[Size, ...]:
    """Parameters that are one number each, by name: a factor may be made of one."""
    return tuple(
        Size(value, PARAMETER, name)
        for name, value in parameters
        if 1 / LARGEST_PARAMETER < abs(value) < LARGEST_PARAMETER
    )
