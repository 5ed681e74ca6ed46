"""The arrays that a report was judged by, block by block."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastgrad.arrays import Floats, Indices

Words = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class BlockArrays:
    """One block, in its own shape; NaN (and an empty verdict) where an entry was not checked.

    ``allowance`` is the largest ``|analytic - numeric|`` that does not disagree: the error bar and
    the tolerance.
    """

    analytic: Floats
    numeric: Floats
    error_bar: Floats
    step: Floats
    allowance: Floats
    verdict: Words

    @property
    def excess(self) -> Floats:
        """``(analytic - numeric) / allowance``: beyond 1 on either side, an entry disagrees."""
        with np.errstate(all="ignore"):
            residual = self.analytic - self.numeric
            made = np.where(residual == 0, 0.0, residual / self.allowance)
        bad = ~np.isfinite(self.analytic) & (self.verdict != "")
        return np.asarray(np.where(bad, np.inf, made))


class Place(NamedTuple):
    """The shape of a block, and its place in the flat vector."""

    shape: tuple[int, ...]
    start: int
    stop: int


class Kept:
    """What a check has seen: its entries in the order of the flat vector, and its directions.

    Parameters
    ----------
    places : mapping of str to Place
        The blocks, by name.
    indices : ndarray, shape (m,)
        The entries checked one by one, increasing.
    columns : mapping of str to ndarray, shape (m,)
        What is known of them, by the names of `BlockArrays`.
    readings : tuple of (str, float, float)
        Directions: through what, ``v . (a - g)`` as measured, and its bar.
    """

    def __init__(
        self,
        places: Mapping[str, Place],
        indices: Indices,
        columns: Mapping[str, NDArray[Any]],
        readings: tuple[tuple[str, float, float], ...] = (),
    ):
        for column in columns.values():
            column.setflags(write=False)
        self.places = places
        self.indices = indices
        self.columns = columns
        self.readings = readings

    def __deepcopy__(self, memo: object) -> "Kept":
        return self  # never written to

    def block(self, name: str | None) -> BlockArrays:
        """The arrays of a block; of the only one, where there is one.

        Raises
        ------
        ValueError
            There is no such block, or none was named of several.
        """
        if name is None and len(self.places) == 1:
            (name,) = self.places
        if name is None or name not in self.places:
            near = difflib.get_close_matches(str(name), self.places, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected {_names(self.places)}"
            raise ValueError(f"block={name!r}: {hint}")
        shape, start, stop = self.places[name]
        first, last = np.searchsorted(self.indices, [start, stop])
        inside = self.indices[first:last] - start
        arrays = {}
        for column in fields(BlockArrays):
            known = self.columns[column.name][first:last]
            empty: Any = "" if column.name == "verdict" else np.nan
            made = np.full(stop - start, empty, known.dtype)
            made[inside] = known
            arrays[column.name] = made.reshape(shape)
        return BlockArrays(**arrays)


def _names(places: Mapping[str, Place]) -> str:
    listed = [repr(name) for name in places]
    return f"one of {', '.join(listed[:5])}{', ...' if len(listed) > 5 else ''}"
