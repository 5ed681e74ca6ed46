"""What f does between two offsets of a line, halved up: a jump stays what it is, a kink vanishes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats

HALVINGS = 24
"""How often the place where f leaves a plateau is halved."""
JUMPS = 0.1
"""What is left of the change of f after so many halvings is a jump from this part on: a kink leaves
2^-24 of it."""
GROWING, GROWTH = 8, 2.0**4
"""What is left beside a pole grows by more than that in the last so many halvings, as it doubles but for
where in the interval the pole lies; a jump stays what it is."""

Line = Callable[[Floats], Floats]
"""f at offsets from x, shape (k,) -> (k,)."""


@dataclass(frozen=True)
class Halved:
    """What is left of a change of f beside a slope after halving towards the larger part of it."""

    at: float
    """The nearer end, by its distance."""
    first: float
    left: float
    before: float
    """What was left `GROWING` halvings before."""

    @property
    def grows(self) -> bool:
        """Whether what is left has begun to double, as beside a pole: f is smooth on this side of it."""
        return self.left > GROWTH * self.before

    @property
    def lasts(self) -> bool:
        """Whether it stays what it is, as a jump does."""
        return self.before / GROWTH < self.left <= GROWTH * self.before


def halved(
    line: Line,
    ends: tuple[float, float],
    values: tuple[float, float],
    slope: float,
    floor: float = 0.0,
    times: int = HALVINGS,
) -> Halved:
    """Halve the interval between two offsets.

    Parameters
    ----------
    ends, values : (float, float)
        The offsets, the nearer first, and f there.
    floor : float
        A change of f that is none: there the search ends, and nothing is left.
    """
    (near, far), (f_near, f_far) = ends, values
    changes = [abs(f_far - f_near - slope * (far - near))]
    for _ in range(times):
        if changes[-1] <= floor:
            return Halved(abs(near), changes[0], 0.0, changes[0])
        middle = (near + far) / 2
        if middle in (near, far):
            break
        f_middle = float(line(np.array([middle]))[0])
        inner = abs(f_middle - f_near - slope * (middle - near))
        outer = abs(f_far - f_middle - slope * (far - middle))
        if inner >= outer or not np.isfinite(outer):
            far, f_far = middle, f_middle
        else:
            near, f_near = middle, f_middle
        changes.append(abs(f_far - f_near - slope * (far - near)))
    before = changes[-1 - GROWING] if len(changes) > GROWING else changes[0]
    return Halved(abs(near), changes[0], changes[-1], before)
