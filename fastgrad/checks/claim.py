"""The gradient under test: what it says at theta and along directions, and in what precision."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask, chunks
from fastgrad.evaluate.drawn_directions import Direction, Drawn
from fastgrad.numerics.bars import ROUNDING
from fastgrad.numerics.norms import HUGE, TINY, norm


@dataclass(frozen=True)
class Claim:
    """The gradient under test at one theta; never written to.

    Parameters
    ----------
    values : ndarray, shape (n,)
    unit : ndarray, shape (blocks,)
        The rounding unit in which each block was given.
    function : callable or None
        ``function(point) -> gradient``, both of shape (n,), where the gradient can be asked again.
    corrections : mapping
        Differences that stand for entries found to be wrong: ``{position: (D, bar)}``.
    scatter : ndarray, shape (n,), or None
        By how much each entry differed from call to call, where that is but noise.
    """

    values: Floats
    unit: Floats
    function: Callable[[Floats], Floats] | None = None
    corrections: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    scatter: Floats | None = None

    def rounding(self, positions: Indices, a: Floats, block: Indices, units: Floats) -> Floats:
        """The rounding of the entries at some positions, in units, and what calls differ by.

        Measured by at least the typical entry: one that is zero by cancellation was summed from
        larger terms.

        Parameters
        ----------
        a : ndarray, shape (m,)
            These entries in their units.
        block : ndarray, shape (m,)
            Their blocks.
        units : ndarray, shape (m,)
        """
        size = np.where(np.isfinite(a), np.abs(a), 0.0)
        typical = float(np.median(size[size > 0])) if size.any() else 0.0
        rounding = np.maximum(ROUNDING, self.unit[block]) * np.maximum(size, typical)
        return rounding if self.scatter is None else rounding + self.scatter[positions] * units

    @cached_property
    def is_finite(self) -> bool:
        """Whether all of its values are."""
        return bool(np.isfinite(self.values).all())

    def finite(self) -> "Claim":
        """The same with 0 for what is not finite."""
        if self.is_finite:
            return self
        return replace(self, values=np.where(np.isfinite(self.values), self.values, 0.0))

    def movable(self, free: Mask | None) -> Mask | None:
        """The entries that directions move: free ones of which it is finite; None for all."""
        movable = free
        if not self.is_finite:
            finite = np.isfinite(self.values)
            movable = finite if movable is None else finite & movable
        return None if movable is None or movable.all() else movable

    def without(self, part: Floats, scatter: Floats) -> "Claim":
        """The same less a part of known error, shape (n,), that is uncertain by ``scatter``."""
        unsure = scatter if self.scatter is None else self.scatter + scatter
        return replace(self, values=self.values - part, scatter=unsure)

    def along(self, v: Direction) -> tuple[float, float, float]:
        """``v . a``, the norm of its terms, and the bar that corrections bring, chunk by chunk."""
        if isinstance(v, Drawn):
            if not self.corrections and self.scatter is None:
                total, squares = v.dot(self.values)
                if TINY < squares < HUGE:
                    return total, math.sqrt(squares), 0.0
            v = v.array
        total, length = 0.0, 0.0
        for part in chunks(0, v.size):
            products = self._part(part) * v[part]
            total += float(products.sum())
            length = float(np.hypot(length, norm(products)))  # no BLAS: its threads cost to wake
        bar = sum(abs(float(v[i])) * known for i, (_, known) in self.corrections.items())
        if self.scatter is not None:
            bar += float(np.abs(v * self.scatter).sum())
        return total, length, bar

    def _part(self, part: slice) -> Floats:
        """Some of the values, less what was corrected."""
        values = self.values[part]
        inside = [i for i in self.corrections if part.start <= i < part.stop]
        if inside:
            values = values.copy()
            for i in inside:
                values[i - part.start] = self.corrections[i][0]
        return values
