"""How many evaluations make a part: about a second's worth, by what they were measured to cost."""

from math import ceil

PART_SECONDS = 1.0
"""What a part is to take: what a crash loses, and progress waits for."""
LEAST_SECONDS = 0.1
"""The shortest part: one of 200 in a row took 3.7 to 4.4 ms through a dask Client of two workers, one by
itself 17 to 20 ms, on two idle cores."""
CLIENT_SECONDS = 5e-3
"""What a part costs the process that sends it: for many workers parts are longer, so it keeps up."""
HALVES = 2
"""The last parts are shorter: each worker is to have so many of what is left."""
LEARNS = 0.5
"""The weight of the latest part in what an evaluation costs."""


class Pace:
    """Seconds of one evaluation, as learnt from those that were made."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    def saw(self, evaluations: int, seconds: float) -> None:
        """So many evaluations took so long."""
        if evaluations:
            each = seconds / evaluations
            known = each if self.seconds is None else self.seconds
            self.seconds = known + LEARNS * (each - known)

    def size(self, left: int, workers: int = 1) -> int:
        """Evaluations of the next part, of so many that are left; all where nothing is known."""
        if not self.seconds:
            return left
        most = max(PART_SECONDS, workers * CLIENT_SECONDS) / self.seconds
        if workers > 1:
            least = LEAST_SECONDS / self.seconds
            most = min(most, max(least, ceil(left / (HALVES * workers))))
        return max(1, min(left, int(most)))
