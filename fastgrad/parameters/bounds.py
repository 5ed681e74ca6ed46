"""Bounds of theta: a box that no evaluation leaves, and how far one may go in it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.parameters.layout import Layout

MARGIN = 4.0
"""Last places of a point that are kept free before a bound: rounding moves points along lines by one."""
ROOM = 2.0**-9
"""An entry of a direction is turned around that would leave the box within this part of it."""


@dataclass(frozen=True)
class Box:
    """A box that theta may move in.

    Parameters
    ----------
    low, high : ndarray, shape (n,)
        Infinite where there is no bound.
    """

    low: Floats
    high: Floats

    @classmethod
    def unbounded(cls, size: int) -> "Box":
        """All of R^n."""
        return cls(np.full(size, -np.inf), np.full(size, np.inf))

    def within(self, other: "Box") -> "Box":
        """What lies in both."""
        return Box(np.maximum(self.low, other.low), np.minimum(self.high, other.high))

    def at_bound(self, theta: Floats) -> Mask:
        """Entries that lie at one of their bounds, shape (n,)."""
        return np.asarray((theta == self.low) | (theta == self.high))

    def near(self, theta: Floats, reach: Floats) -> Mask:
        """Entries nearer to a bound than ``reach``, shape (n,)."""
        return np.asarray((theta - self.low < reach) | (self.high - theta < reach))

    def ahead(self, theta: Floats, direction: Floats) -> Floats:
        """The t up to which entry i of ``theta + t direction`` stays inside, shape (n,)."""
        forward = direction > 0
        bound = np.where(forward, self.high, self.low)
        ends = np.where(np.isfinite(bound), np.maximum(np.abs(bound), np.abs(theta)), 0.0)
        room = np.abs(bound - theta) - MARGIN * np.spacing(np.maximum(ends, np.abs(direction)))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.maximum(room, 0.0) / np.abs(direction)
        return np.where(direction == 0.0, np.inf, t)

    def turned(self, theta: Floats, direction: Floats) -> Floats:
        """The direction with entries turned around that have more room on the other side.

        Along it all entries can go forward, by `ROOM` of it if the box is that wide.
        """
        ahead, back = self.ahead(theta, direction), self.ahead(theta, -direction)
        return np.where((ahead < ROOM) & (back > ahead), -direction, direction)


def bounds_of(bounds: Any, layout: Layout, theta: Floats, free: Mask | None = None) -> Box | None:
    """A user's ``(low, high)`` along the flat theta; None stands for no bound.

    Parameters
    ----------
    free : ndarray of bool, shape (n,), optional
        What may vary: constants may be held by both bounds.

    Raises
    ------
    ValueError, TypeError, StructureMismatchError
        They are no pair, not shaped like theta, or theta lies outside.
    """
    if bounds is None:
        return None
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise TypeError(
            "bounds: expected (low, high), each a number, None, or numbers shaped like theta"
        )
    low, high = (
        np.full(layout.size, empty) if side is None else layout.vector(side, f"bounds[{k}]")
        for k, (side, empty) in enumerate(zip(bounds, (-np.inf, np.inf), strict=True))
    )
    layout.require_unbounded(np.isfinite(low) | np.isfinite(high))
    for k in np.flatnonzero(~((low <= theta) & (theta <= high)))[:1].tolist():
        raise ValueError(
            f"{layout.name(k)} is {theta[k]:.17g}, outside its bounds [{low[k]:g}, {high[k]:g}]: "
            "expected parameters within them to start from"
        )
    held = ~(low < high) if free is None else ~(low < high) & free
    for k in np.flatnonzero(held)[:1].tolist():
        raise ValueError(
            f"bounds: {layout.name(k)} is held at {low[k]:g} by both; leave it out with trainable"
        )
    return Box(low, high)
