"""Charts: a space around one point, as numbers that may be moved one by one.

A check moves the entries of a flat vector x. A chart says what point the loss is handed for them, and
what a gradient of the user's says of the slope along each of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats, Indices
from fastgrad.errors import MutatedInputError, StructureMismatchError
from fastgrad.parameters.numbers import real_array
from fastgrad.spaces.points import same_numbers


@dataclass(frozen=True)
class Reading:
    """What a gradient says under another convention.

    Parameters
    ----------
    word : str
        The law that reports call it by.
    clause : str
        Completes "<block>: ".
    values : ndarray, shape (size,)
        The slopes along the entries, read so.
    """

    word: str
    clause: str
    values: Floats
    constants: dict[str, float] = field(default_factory=dict)


class Chart(ABC):
    """A space around one point.

    Parameters
    ----------
    shape : tuple of int
        Of the entries that are moved.
    origin : ndarray, shape (size,)
        Their values at the point.
    """

    linear = False
    """Whether the point is linear in the entries, so that a curl means something."""
    one_unit: bool | None = None
    """Whether its entries are all of one unit; None where their values tell."""
    units: Floats | None = None
    """The unit of each entry; None where its value tells."""
    kinds: Indices | None = None
    """The number of the unit of each entry, where there are several, such as radians and metres."""
    finest: Floats | None = None
    """The least step of each entry that moves the point by many of its last places."""

    def __init__(self, shape: tuple[int, ...], origin: Floats):
        self.shape, self.origin = shape, origin

    def values(self) -> Floats:
        """The values of the entries at the point, shape (size,)."""
        return self.origin

    @abstractmethod
    def point(self, x: Floats) -> Any:
        """The point that the loss is handed for these entries; its own, or a view of ``x``."""

    @abstractmethod
    def claimed(self, gradient: Any, what: str) -> tuple[Floats, float]:
        """The slopes along the entries that a gradient claims, and its rounding unit.

        Raises
        ------
        StructureMismatchError, TypeError
        """

    @abstractmethod
    def gradient(self, slopes: Floats) -> Any:
        """The gradient that has these slopes along the entries, as users write it."""

    def alike(self, values: Floats) -> Any:
        """Numbers that belong to the slopes, such as their error bars, shaped like the gradient."""
        return values.reshape(self.shape)

    @abstractmethod
    def values_of(self, given: Any, who: str) -> Floats:
        """The entries of a point that ``who`` was handed; on a space it must be as it was.

        Raises
        ------
        MutatedInputError
        """

    def native(self, x: Floats) -> Any:
        """`point` as compiled code is handed it."""
        return self.point(x)

    def compiled(self) -> tuple[Any, Floats | None] | None:
        """A compiled function of the point's numbers and x, and those numbers; None if there is none.

        It is a function of x alone where there are none.
        """
        return None

    def entry(self, index: tuple[int, ...]) -> str:
        """What follows the block's name in the name of an entry."""
        return f"[{', '.join(map(str, index))}]" if index else ""

    def readings(self, slopes: Floats) -> Iterator[Reading]:
        """The claimed slopes under other conventions."""
        return iter(())

    @property
    def dimension(self) -> float | None:
        """How many directions there are, where that is not the number of entries."""
        return None

    def projected(self, w: Floats) -> Floats | None:
        """The part of a vector along the tangent space, shape (size,); None if entries are free."""
        return None

    def remarks(self, name: str) -> Iterator[str]:
        """What a report says of the space."""
        return iter(())


class PointChart(Chart):
    """A chart around a point that is kept as it is, and never written to.

    Parameters
    ----------
    space : Space
    point : object
    name : str
        The block's, for messages.
    """

    def __init__(self, space: Any, point: Any, name: str):
        space.require(point, name)
        self.space, self.base, self.name = space, point, name
        super().__init__(*self.entries())

    @abstractmethod
    def entries(self) -> tuple[tuple[int, ...], Floats]:
        """The shape of the entries that are moved, and their values at the point, flat."""

    def values_of(self, given: Any, who: str) -> Floats:
        require_kept(self, given, who)
        return self.origin

    def compiled(self) -> tuple[Any, Floats | None] | None:
        if not isinstance(self.base, np.ndarray) or self.base.dtype.kind != "f":
            return None
        function = self.space.compiled(self.base)
        return None if function is None else (function, np.asarray(self.base, np.float64))


def require_kept(chart: Any, given: Any, who: str) -> None:
    """Raise MutatedInputError if a point that was handed out differs from the chart's own."""
    if not same_numbers(given, chart.base):
        raise MutatedInputError(
            f"{who} wrote to its point {chart.name}: expected it to leave its parameters alone"
        )


def require_shape(array: Array, shapes: list[tuple[int, ...]], what: str, said: str) -> None:
    """Raise StructureMismatchError unless an array has one of some shapes."""
    if array.shape in shapes:
        return
    expected = " or ".join(map(str, dict.fromkeys(shapes)))
    raise StructureMismatchError(f"{what}: expected shape {expected}, {said}; got {array.shape}")


def numbers(value: Any, what: str) -> Array:
    """A gradient as an array of real or complex numbers.

    Raises
    ------
    TypeError
    """
    array = np.asarray(value)
    return array if array.dtype.kind == "c" else real_array(value, what)
