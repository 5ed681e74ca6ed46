"""A loss that is never evaluated outside bounds: beyond them its values are continued from inside.

Where x + o lies outside, f(x + o) stands for the value there of the polynomial of degree m through f(x),
f(x - o), ..., f(x - m o). A central difference of it is the one-sided difference of order m: with m = 2,
``(4 f(x + h) - 3 f(x) - f(x + 2h)) / 2h``; and its second difference is that of x, x + h and x + 2h. So
stages, kinks and bars need not know of bounds.
"""

from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.parameters.layout import Layout


class Confined(Evaluator):
    """An evaluator that is asked for points within bounds alone.

    Parameters
    ----------
    run : Evaluator
    low, high : ndarray, shape (n,)
        Infinite where there is no bound.
    degree : int
        The order of the differences that are to be taken.
    """

    def __init__(self, run: Evaluator, low: Floats, high: Floats, degree: int = 2):
        super().__init__(run.theta)
        self.run, self.low, self.high = run, low, high
        self.structured, self.fallback = run.structured, run.fallback
        self.sweep_chunk = run.sweep_chunk
        self._weights = np.array([(-1.0) ** k * comb(degree + 1, k + 1) for k in range(degree + 1)])
        self.sided = np.zeros(run.theta.size, np.bool_)
        """Entries of which a value outside was asked for."""
        self._base: float | None = None

    @property
    def evaluations(self) -> int:
        return self.run.evaluations

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.run.remarks

    @property
    def reference(self) -> float:
        return self.run.reference

    @property
    def advance(self) -> Callable[[int], None] | None:
        return self.run.advance

    @advance.setter
    def advance(self, advance: Callable[[int], None] | None) -> None:
        self.run.advance = advance

    @property
    def outside(self) -> Any:
        return self.run.outside

    @outside.setter
    def outside(self, error: Any) -> None:
        self.run.outside = error

    @property
    def at_once(self) -> int:  # type: ignore[override]
        return self.run.at_once

    @property
    def replayed(self) -> float:  # type: ignore[override]
        return self.run.replayed

    def near(self, reach: Floats) -> Mask:
        """Entries nearer to a bound than ``reach``, both of shape (n,)."""
        return np.asarray((self.theta - self.low < reach) | (self.high - self.theta < reach))

    @property
    def at_bound(self) -> Mask:
        """Entries that lie at one of their bounds, shape (n,)."""
        return np.asarray((self.theta == self.low) | (self.theta == self.high))

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """The loss beside entries, continued from inside beyond bounds; NaN where it cannot be."""
        indices = np.asarray(indices)
        point = self.theta[indices][:, None] + offsets
        outside = self._leaves(indices, point)
        if not outside.any():
            return self.run.coordinates(indices, offsets)
        values = self.run.coordinates(indices, np.where(outside, 0.0, offsets))
        rows, columns = np.nonzero(outside)
        which = indices[rows]
        self.sided[which] = True
        values[rows, columns] = self._continued(which, -offsets[rows, columns])
        return values

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """The loss on a line, along which entries stand still that would leave their bounds."""
        ends = [offsets.min(initial=0.0), offsets.max(initial=0.0)]
        points = self.theta + np.outer(ends, direction)
        leaves = ((points < self.low) | (points > self.high)).any(axis=0)
        return self.run.along(np.where(leaves, 0.0, direction), offsets)

    def value(self) -> float:
        return self.run.value()

    def entry_noise(self, trainable: Mask | None, seed: int) -> Floats | None:
        return self.run.entry_noise(trainable, seed)

    def noise_gain(self, indices: Indices) -> Floats:
        """How much noisier than the loss the values beside entries are, shape (m,)."""
        gain = float(np.sqrt(np.sum(self._weights**2)))
        return np.where(self.sided[indices], gain, 1.0)

    def answered_pairs(self) -> tuple[Indices, Floats, Floats]:
        return self.run.answered_pairs()

    def let_go(self) -> None:
        self.run.let_go()

    def certified(
        self, indices: Indices | None, gradient: Floats, again: bool = False
    ) -> tuple[str, ...]:
        return self.run.certified(indices, gradient, again)

    def _leaves(self, indices: Indices, point: Floats) -> Mask:
        low, high = self.low[indices][:, None], self.high[indices][:, None]
        return np.asarray((point < low) | (point > high))

    def _continued(self, indices: Indices, inward: Floats) -> Floats:
        """f at minus ``inward``, from f at multiples of it, shape (m,)."""
        if self._base is None:
            self._base = float(self.run.value())
        offsets = inward[:, None] * np.arange(1.0, self._weights.size)
        fits = ~self._leaves(indices, self.theta[indices][:, None] + offsets).any(axis=1)
        values = np.full(indices.size, np.nan)
        if fits.any():
            inside = self.run.coordinates(indices[fits], offsets[fits])
            values[fits] = self._weights[0] * self._base + inside @ self._weights[1:]
        return values


def confined(run: Evaluator, bounds: Any, layout: Layout, degree: int = 2) -> Evaluator:
    """An evaluator within a user's bounds; as it is without any."""
    if bounds is None:
        return run
    return Confined(run, *bounds_of(bounds, layout, run.theta), degree)


def bounds_of(bounds: Any, layout: Layout, theta: Floats) -> tuple[Floats, Floats]:
    """A user's ``(low, high)`` along the flat theta; None stands for no bound.

    Raises
    ------
    ValueError, TypeError, StructureMismatchError
        They are no pair, not shaped like theta, or theta lies outside.
    """
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise TypeError(
            "bounds: expected (low, high), each a number, None, or numbers shaped like theta"
        )
    low, high = (
        np.full(layout.size, empty) if side is None else layout.vector(side, f"bounds[{k}]")
        for k, (side, empty) in enumerate(zip(bounds, (-np.inf, np.inf), strict=True))
    )
    for k in np.flatnonzero(~((low <= theta) & (theta <= high)))[:1].tolist():
        raise ValueError(
            f"{layout.name(k)} is {theta[k]:.17g}, outside its bounds [{low[k]:g}, {high[k]:g}]: "
            "expected parameters within them to start from"
        )
    for k in np.flatnonzero(~(low < high))[:1].tolist():
        raise ValueError(
            f"bounds: {layout.name(k)} is held at {low[k]:g} by both; leave it out with trainable"
        )
    return low, high
