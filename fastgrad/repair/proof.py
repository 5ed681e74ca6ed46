"""The proof of an edit: the gradient agrees at other points and with other data, by the check's rules.

What agrees at theta alone may do so by chance: a 24 that is the number of examples, an activation
that is another one there.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.points import points_of
from fastgrad.parameters.layout import flatten
from fastgrad.repair.sandbox import Limits, run_apart
from fastgrad.repair.search import MEMORY, SLOWEST, State
from fastgrad.repair.trial import Spot
from fastgrad.repair.trying import Asking, Subject
from fastgrad.results import GradientCheck

Recheck = Callable[[Any, Any, tuple[Any, ...]], GradientCheck]
"""``recheck(gradient, theta, args)``: the full check of a gradient's values somewhere else."""

Gradients = list[Floats | None]
"""The gradient at each of some spots; None where it raises."""

POINTS = 2
"""Random points at which an edit must agree, beside theta."""
SPARE = 3
"""More of them, where a check says that it cannot tell."""
COMPILING = 30.0
"""Seconds that njit may take to compile an edit and what it calls."""
FEWEST_ROWS = 4
"""A batch is not divided below twice as many rows."""
SAME = 1e-9
TOLD_APART = 1e-6
"""A proved gradient differs from a simpler one by this part of its largest entry, to be shown as well:
where a rounding to four decimals is taken off, one to eight is no other way to mend it."""


@dataclass(frozen=True)
class Proved:
    """A state that agrees everywhere, where that was, and how many others are the same there."""

    state: State
    verified: tuple[str, ...]
    equivalent: int


@dataclass
class Proof:
    """The places at which states are proved, and the way there.

    Parameters
    ----------
    subject : Subject
    theta : structure
        As the user gave it.
    recheck : callable
    deadline : float
    one_call : float
    """

    subject: Subject
    theta: Any
    recheck: Recheck
    deadline: float
    one_call: float

    def __post_init__(self) -> None:
        spot = self.subject.spot
        flat_points = [
            flatten(point.theta)[1]
            for point in points_of(self.theta, POINTS + SPARE + 1, None, (1, flatten))[1:]
        ]
        self.here = replace(spot, label="at theta")
        self.points = [Spot(flat, spot.args, "at a random point") for flat in flat_points]
        self.parts = [Spot(spot.flat, args, label) for args, label in parts_of_the_batch(spot.args)]

    def proved(self, states: Sequence[State]) -> list[Proved]:
        """Those of the states that agree everywhere; equal ones as one, the cheapest of them."""
        spots = [self.here, *self.points, *self.parts]
        states = sorted(states, key=lambda state: state.size)
        groups: list[list[tuple[State, Gradients]]] = []
        for k, values in self._asked(states, spots, compiled=False):
            if values is None:
                continue
            for group in groups:
                if _alike(group[0][1], values):
                    group.append((states[k], values))
                    break
            else:
                groups.append([(states[k], values)])
        found: list[Proved] = []
        shown: list[Gradients] = []
        for group in groups:
            state, values = group[0]
            near = [k for k, other in enumerate(shown) if _alike(values, other, TOLD_APART)]
            if near:
                known = found[near[0]]
                found[near[0]] = replace(known, equivalent=known.equivalent + len(group))
                continue
            if self.subject.reached.compiled:
                values = dict(self._asked([state], spots, compiled=True)).get(0)
            verified = () if values is None else self._verified(spots, values)
            if verified:
                shown.append(group[0][1])
                found.append(Proved(state, verified, len(group) - 1))
            if time.perf_counter() > self.deadline:
                break
        return found

    def _asked(
        self, states: Sequence[State], spots: Sequence[Spot], compiled: bool
    ) -> list[tuple[int, Gradients | None]]:
        """The gradients of some states at all spots, None where one does not run."""
        seconds = COMPILING if compiled else 1.0 + SLOWEST * self.one_call * len(spots)
        job = Asking(self.subject, spots, compiled)
        limits = Limits(seconds, MEMORY, self.deadline)
        return list(run_apart(job, [state.versions for state in states], limits))

    def _verified(self, spots: Sequence[Spot], values: Sequence[Floats | None]) -> tuple[str, ...]:
        """The places where the gradient agrees; empty if it does not wherever it must."""
        known = dict(zip(map(id, spots), values, strict=True))
        if self._verdict(self.here, known[id(self.here)]) != "agrees":
            return ()
        agreed = 0
        for spot in self.points:
            verdict = self._verdict(spot, known[id(spot)])
            if verdict == "disagrees":
                return ()
            agreed += verdict == "agrees"
            if agreed == POINTS:
                break
        if agreed < POINTS:
            return ()
        said = ["at theta", f"at {POINTS} random points"]
        for spot in self.parts:
            verdict = self._verdict(spot, known[id(spot)])
            if verdict == "disagrees":
                return ()
            if verdict == "agrees":
                said.append(spot.label)
        return tuple(said)

    def _verdict(self, spot: Spot, values: Floats | None) -> str:
        if values is None:
            return "inconclusive" if spot in self.parts else "disagrees"
        theta = (
            self.theta
            if spot is self.here
            else self.subject.gradient.layout.rebuild(spot.flat.copy())
        )
        try:
            return self.recheck(values, theta, spot.args).verdict
        except Exception:  # the loss is not defined there
            return "inconclusive"


def _alike(
    one: Sequence[Floats | None], other: Sequence[Floats | None], part: float = SAME
) -> bool:
    for a, b in zip(one, other, strict=True):
        if (a is None) != (b is None):
            return False
        if a is not None and b is not None:
            size = max(float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)))
            if not np.allclose(a, b, rtol=part, atol=part * size, equal_nan=True):
                return False
    return True


def parts_of_the_batch(args: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The arguments with some of the rows of all arrays of the most usual length."""
    lengths = [a.shape[0] for a in args if isinstance(a, np.ndarray) and a.ndim]
    if not lengths:
        return
    rows = max(lengths, key=lambda length: (lengths.count(length), length))
    if rows < 2 * FEWEST_ROWS:
        return
    rng = np.random.default_rng(2)
    some = np.sort(rng.choice(rows, rows // 2 + 1, replace=False))
    part = tuple(
        a[some] if isinstance(a, np.ndarray) and a.ndim and a.shape[0] == rows else a for a in args
    )
    yield part, f"with {some.size} of the {rows} rows"
