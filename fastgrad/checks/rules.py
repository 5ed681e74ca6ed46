"""What may be said of an entry: the inequality of `check_grad`, in one place.

With ``r = a - D``, B the error bar of D and ``tau = rtol |D|``, an entry

- agrees if ``|r| <= B`` or ``|r| + B <= tau``, and B is useful;
- disagrees if ``|r| - B > tau``, and it is no kink (`fastgrad.numerics.kinks`).

B is useful, all in units of theta (`fastgrad.evaluate.units`), if it is at most `USEFUL_BAR` of

- ``|D|``, and in an array of one unit of the rms of its D;
- elsewhere of 1e-6 of the largest D of all, if it also tells the entry from zero;
- where a and D are zero within B, of what the entry does to the loss an eighth of its unit away;

or if the whole block is zero within its bars, and B is at most `USEFUL_BAR_OF_ZERO` of the rms of all D.
"""

from dataclasses import dataclass
from enum import IntEnum
from numbers import Real

import numpy as np

from fastgrad.arrays import Floats, Mask

USEFUL_BAR = 0.01
"""A bar wider than this part of the scale says nothing about the entry."""
USEFUL_BAR_OF_ZERO = 1e-4
"""The same for a block whose gradient is zero, of the rms of all D."""

SEVERITY = ("disagrees", "inconclusive", "agrees")
"""Verdicts of blocks, points and reports, worst first."""


class Verdict(IntEnum):
    """What differences say of one entry."""

    AGREES = 0, "agrees"
    DISAGREES = 1, "disagrees"
    INCONCLUSIVE = 2, "inconclusive"
    KINK_VALID = 3, "kink: valid subgradient"
    KINK_OUTSIDE = 4, "kink: outside"

    words: str
    """The verdict as reports spell it."""

    def __new__(cls, number: int, words: str = "") -> "Verdict":
        made = int.__new__(cls, number)
        made._value_, made.words = number, words
        return made


WORDS = np.array([verdict.words for verdict in Verdict])
"""Verdicts as reports spell them, by their numbers."""


@dataclass(frozen=True)
class Rule:
    """When an error ``|a - D|``, shape (m,), matters beside its bar and the scale of its entry."""

    rtol: float

    def __post_init__(self) -> None:
        if not isinstance(self.rtol, Real):
            raise TypeError(f"rtol={self.rtol!r} is {type(self.rtol).__name__}: expected a number")
        if not 0 <= self.rtol < np.inf:
            raise ValueError(f"rtol={self.rtol!r}: expected a number from 0 up")

    def tolerates(self, error: Floats, bar: Floats, scale: Floats) -> Mask:
        """Whether the error is surely within the tolerance: ``|r| + B <= tau``."""
        return np.asarray(error + bar <= self.rtol * scale)

    def refuses(self, error: Floats, bar: Floats, scale: Floats) -> Mask:
        """Whether the error is surely beyond the tolerance: ``|r| - B > tau``."""
        return np.asarray(error - bar > self.rtol * scale)
