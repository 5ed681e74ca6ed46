"""What a profile says of a claimed slope: the ruling, and the slopes and the jump that it rests on."""

from dataclasses import dataclass
from enum import StrEnum


class Ruling(StrEnum):
    """What a profile says of a claimed slope."""

    RIGHT = "right"
    WRONG = "wrong"
    KINK = "kink"
    """Between the one-sided slopes of a kink at x."""
    OPEN = "open"


@dataclass(frozen=True)
class Jump:
    """A place where f jumps, or a kink if ``size`` is 0."""

    at: float
    size: float
    side: float = 1.0
    """1 above x, -1 below."""


@dataclass(frozen=True)
class Judgment:
    """A ruling with the slope that it rests on, and the slope at other steps that it overrules.

    ``slope``, ``bar`` and ``step`` are of the run that holds the claim, or else of the plateau that
    excludes it; not a number where nothing is resolved.
    """

    ruling: Ruling
    slope: float
    bar: float
    step: float
    other: tuple[float, float] | None = None
    """Another slope, and its step."""
    jump: Jump | None = None
    resolved: float = float("inf")
    """The finest step at which f is resolved."""
    sides: tuple[float, float] | None = None
    """One-sided slopes, of a kink."""
