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
from fastgrad.parameters.bounds import Box, bounds_of
from fastgrad.parameters.layout import Layout


class Confined(Evaluator):
    """An evaluator that is asked for points within bounds alone.

    Parameters
    ----------
    run : Evaluator
    box : Box
    degree : int
        The order of the differences that are to be taken.
    """

    noise_gains: Floats

    def __init__(self, run: Evaluator, box: Box, degree: int = 2):
        super().__init__(run.theta)
        self.run, self.box = run, box
        self.structured, self.fallback = run.structured, run.fallback
        self.sweep_chunk = run.sweep_chunk
        self._weights = np.array([(-1.0) ** k * comb(degree + 1, k + 1) for k in range(degree + 1)])
        self.sided = np.zeros(run.theta.size, np.bool_)
        """Entries of which a value outside was asked for."""
        self.noise_gains = np.ones(run.theta.size)
        self._base: float | None = None

    @property
    def evaluations(self) -> int:  # type: ignore[override]
        return self.run.evaluations

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.run.remarks

    @property
    def ran(self) -> str:  # type: ignore[override]
        return self.run.ran

    @property
    def reference(self) -> float:  # type: ignore[override]
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

    def beside_bounds(self, layout: Layout) -> tuple[Indices, Mask, Layout]:
        """Entries of which a value outside was asked for, which lie at a bound, and what names them."""
        near = np.flatnonzero(self.sided)
        return near, self.box.at_bound(self.theta)[near], layout

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
        self.noise_gains[which] = self.gain
        values[rows, columns] = self._continued(which, -offsets[rows, columns])
        return values

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """The loss on a line, along which entries stand still that would leave their bounds."""
        return self.run.along(self._held(direction, offsets), offsets)

    def lines(self, directions: Floats, offsets: Floats) -> Floats:
        pairs = zip(directions, offsets, strict=True)
        held = [self._held(direction, steps) for direction, steps in pairs]
        return self.run.lines(np.array(held).reshape(directions.shape), offsets)

    def _held(self, direction: Floats, offsets: Floats) -> Floats:
        ends = [offsets.min(initial=0.0), offsets.max(initial=0.0)]
        points = self.theta + np.outer(ends, direction)
        leaves = ((points < self.box.low) | (points > self.box.high)).any(axis=0)
        return np.where(leaves, 0.0, direction)

    def continued_along(self, direction: Floats, offsets: Floats) -> Floats:
        """The loss on a line that all entries move along, continued from inside beyond bounds."""
        ahead, back = (float(self.box.ahead(self.theta, s * direction).min()) for s in (1, -1))

        def leaves(offsets: Floats) -> Mask:
            return np.asarray((offsets > ahead) | (-offsets > back))

        values, outside = np.full(offsets.size, np.nan), leaves(offsets)
        values[~outside] = self.run.along(direction, offsets[~outside])
        for k in np.flatnonzero(outside).tolist():
            inward = -offsets[k] * np.arange(1.0, self._weights.size)
            if not leaves(inward).any():
                base = self.run.value()
                inside = self.run.along(direction, inward)
                values[k] = self._weights[0] * base + inside @ self._weights[1:]
        return values

    def value(self) -> float:
        return self.run.value()

    def entry_noise(self, trainable: Mask | None, seed: int) -> Floats | None:
        return self.run.entry_noise(trainable, seed)

    @property
    def gain(self) -> float:
        """sd of a value continued from inside over that of one evaluation."""
        return float(np.sqrt(np.sum(self._weights**2)))

    def answered_pairs(self) -> tuple[Indices, Floats, Floats]:
        return self.run.answered_pairs()

    def certified(
        self, indices: Indices | None, gradient: Floats, again: bool = False
    ) -> tuple[str, ...]:
        return self.run.certified(indices, gradient, again)

    def _leaves(self, indices: Indices, point: Floats) -> Mask:
        low, high = self.box.low[indices][:, None], self.box.high[indices][:, None]
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


def confined(
    run: Evaluator, bounds: Any, layout: Layout, free: Mask | None, degree: int = 2
) -> Evaluator:
    """An evaluator within a user's bounds; as it is without any."""
    box = bounds_of(bounds, layout, run.theta, free)
    return run if box is None else Confined(run, box, degree)
