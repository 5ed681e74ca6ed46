"""What was found: of an entry, of a block, at a step; and why a block is wrong."""

from dataclasses import dataclass

STATES = ("stale", "accumulates", "random")
"""Laws of a gradient whose answers at one theta differ: said before all else."""
BAR, RTOL = "within its bar", "within rtol"
"""How an entry agrees."""


@dataclass(frozen=True)
class EntryCheck:
    """One entry: ``verdict`` is "agrees", "disagrees", "inconclusive", "kink: valid subgradient" or
    "kink: outside"; ``step`` is the step of the difference that judged it."""

    name: str
    block: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error_bar: float
    step: float
    verdict: str
    note: str


@dataclass(frozen=True)
class BlockCheck:
    """One block: the largest ``|a - D|``, the norm ratio, and how small an error would be seen.

    ``detection_limit`` is the largest bar over the rms of the block's differences (over the rms of
    all differences where the block's own are zero within their bars, as ``limit_of`` then says).
    ``kinks`` counts the entries at a kink, ``worst`` names the entry furthest off.
    """

    name: str
    shape: tuple[int, ...]
    size: int
    checked: int
    verdict: str
    relative_error: float
    max_error: float
    detection_limit: float
    limit_of: str
    kinks: int
    worst: str
    diagnosis: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """Why a block is wrong: a law of its residual, the law's constants, and a sentence."""

    block: str
    law: str
    constants: dict[str, float]
    sentence: str

    @property
    def explains(self) -> bool:
        """Whether there is a law, and not only a place."""
        words = self.law.split("+")
        lawless = {"unexplained", "tolerance"} & set(words)
        return not lawless and not words[0].startswith("wrong-")


@dataclass(frozen=True)
class ConvergenceRow:
    """Error of the difference along one direction at one step; ``ratio`` to the row before."""

    step: float
    error: float
    ratio: float
    reading: str
