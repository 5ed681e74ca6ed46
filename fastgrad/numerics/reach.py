"""How far an entry must go for a loss to change by so much: its unit, where nothing else tells it.

Of an entry at zero among others in seconds and in metres nothing says in what it is measured. What does
is the loss: its unit is the step over which f changes by what the units of the others change it by.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats, Indices

BRACKET = 2.0**4
"""The step is sought to within this factor: a unit need be no better known."""
SILENT = 2.0**30
"""The factor by which a step grows over which f does not move at all."""
FURTHEST = 2.0**67
"""The furthest it goes while f does not move: 2^50 units, where default steps of 2^-17 were given."""
HINTED_AT = 2.0**200
"""The same where something hints at where it moves."""
LONGEST_LEAP = 2.0**20
"""The most that a step changes by where f moves, whose change grows with the step or its square."""
SHORTEST_LEAP = 2.0**2
STILL_GROWS, OVER = 4.0, 2.0**10
"""f has turned, as a sine does, if it changes by at most `STILL_GROWS` times as much over a step `OVER`
times as long. Then that is all that the entry can do."""
PART = 2.0**-3
"""Part of that which f changes by over a step at which it has not turned yet."""
ROUNDS = 16


class Reach(NamedTuple):
    """How far some entries must go, arrays of shape (m,)."""

    step: Floats
    """NaN where f does not move, however far."""
    still: Floats
    """The longest step over which it did not."""


def reaches(
    sample: Callable[[Indices, Floats], Floats],
    steps: Floats,
    changes: Floats,
    goal: float,
    floor: Floats,
    hints: Floats | None = None,
) -> Reach:
    """Steps over which f changes by about ``goal``, or by most of what it ever does.

    Where f is no slope but a bend, as at an optimum or a kink, the change counts all the same.

    Parameters
    ----------
    sample : callable
        ``sample(which, steps)``: the larger change of f over steps, shape (k,), on both sides of entries
        ``which``; infinite where f is not finite.
    steps, changes : ndarray, shape (m,)
        Steps to begin with, and the changes over them.
    goal : float
    floor : ndarray, shape (m,)
        Changes that may be noise.
    hints : ndarray, shape (m,), optional
        Steps that are looked at first where they are longer than what f does not move over.

    Examples
    --------
    >>> def cubes(which, steps):
    ...     return (1e-12 * steps) ** 3
    >>> steps, none = np.array([1.0]), np.zeros(1)
    >>> found = reaches(cubes, steps, cubes(none, steps), 1.0, none)
    >>> bool(0.25e12 < found.step[0] < 4e12)
    True
    """
    hints = np.zeros(steps.size) if hints is None else hints
    each = zip(*(part.tolist() for part in (steps, changes, floor, hints)), strict=True)
    found = np.array([_Search(goal, *one) for one in each], dtype=object)
    for _ in range(ROUNDS):
        which = np.array([k for k, one in enumerate(found) if one.following is not None], np.intp)
        if which.size == 0:
            break
        at = np.array([found[k].following for k in which])
        for k, change in zip(which.tolist(), sample(which, at).tolist(), strict=True):
            found[k].learn(found[k].following, change)
    results = [(one.result, one.still) for one in found]
    return Reach(*np.array(results).reshape(-1, 2).T)


class _Search:
    """The search along one entry, by what f changed by over steps."""

    def __init__(self, goal: float, step: float, change: float, floor: float, hint: float):
        self.goal, self.floor, self.furthest = goal, floor, FURTHEST * step
        self.seen: dict[float, float] = {}
        self.following: float | None = None
        self.learn(step, change)
        if not self._moves(step) and step < hint <= HINTED_AT * step:
            self.following = hint

    def learn(self, step: float, change: float) -> None:
        """Take what f changed by over a step, and choose the next one."""
        self.seen[step] = change if np.isfinite(change) else np.inf
        self._notice_that_it_turned()
        low, high = self._ends()
        self.following = self._next(low, high)

    @property
    def result(self) -> float:
        low, high = self._ends()
        if low is None or high is None:
            return float("nan")
        return float(np.sqrt(low * high))

    @property
    def still(self) -> float:
        return max((step for step in self.seen if not self._moves(step)), default=0.0)

    def _moves(self, step: float) -> bool:
        return self.seen[step] > self.floor

    def _notice_that_it_turned(self) -> None:
        steps = sorted(step for step in self.seen if self._moves(step))
        for near in steps:
            for far in steps:
                here, there = self.seen[near], self.seen[far]
                if far >= OVER * near and there <= STILL_GROWS * here:
                    self.goal = min(self.goal, PART * max(here, there))

    def _ends(self) -> tuple[float | None, float | None]:
        """The longest step over which f changes by less than it should, before the first of more."""
        reached = [step for step, change in self.seen.items() if change >= self.goal]
        high = min(reached, default=None)
        below = [step for step in self.seen if high is None or step < high]
        return max(below, default=None), high

    def _next(self, low: float | None, high: float | None) -> float | None:
        if high is None:
            assert low is not None
            grows = self.goal / self.seen[low] if self._moves(low) else SILENT
            most = LONGEST_LEAP if self._moves(low) else SILENT
            step = low * min(max(grows, SHORTEST_LEAP), most)
            return step if step <= self.furthest or self._moves(low) else None
        if low is None:
            shrinks = np.sqrt(self.seen[high] / self.goal)
            wider = min((step for step in self.seen if step > high), default=high)
            if wider > high and self.seen[wider] <= STILL_GROWS * self.seen[high]:
                shrinks = OVER  # f stands still there, or turns
            step = high / float(np.clip(shrinks, SHORTEST_LEAP, LONGEST_LEAP))
            return step if step >= high / FURTHEST and step > 0 else None
        if high <= BRACKET * low:
            return None
        return self._between(low, high)

    def _between(self, low: float, high: float) -> float:
        """The step at which a power law through both ends reaches the goal, not too near to either."""
        middle = np.sqrt(low * high)
        if self._moves(low) and np.isfinite(self.seen[high]):
            part = np.log(self.goal / self.seen[low]) / np.log(self.seen[high] / self.seen[low])
            middle = low * (high / low) ** part
        margin = min(np.sqrt(BRACKET) / 2, np.sqrt(high / low))
        return float(np.clip(middle, low * margin, high / margin))
