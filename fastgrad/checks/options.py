"""What a user asked of a check, beyond the loss, the gradient and the rule."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Options:
    """What strategies are told.

    Parameters
    ----------
    steps : ndarray, shape (n,), "adaptive" or None
        The steps of differences; before a point is known, as the user gave them.
    strategy : str
        The name of a strategy, or "auto".
    seconds : float or None
        The time limit of one point.
    seed : int
    progress : bool
        Whether to show a bar.
    """

    steps: Any = None
    strategy: str = "auto"
    seconds: float | None = None
    seed: int = 0
    progress: bool = False
