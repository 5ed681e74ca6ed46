"""A time limit that knows what evaluations cost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fastgrad.arrays import Indices
from fastgrad.differences.loss import Loss
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.numerics.stencils import CENTRAL

ENTRIES_TIMED = 512
TRIALS = 3
PILOT = 0.02
"""Part of the time left that one trial of timing entries may take."""
CLOSE_CALL = 4.0
"""A sweep that may take a fourth of the time left is timed on entries before it is begun."""


class Budget:
    """A deadline, and what evaluations were measured to cost.

    Parameters
    ----------
    run : Evaluator
        Whose evaluations are counted and timed.
    seconds : float or None
        From now; None for no limit.
    """

    def __init__(self, run: Evaluator, seconds: float | None):
        self.run = run
        self.seconds = seconds
        self.evaluation = 0.0
        """Seconds of one evaluation, by the cheapest stretch seen."""
        self._latest = 0.0
        self.entry: float | None = None
        """Seconds of two evaluations for one entry, where they were timed."""
        self.pairs = 1.0
        """How often a sweep evaluates an entry twice."""
        self.gradient = 0.0
        """Seconds of one call of the gradient under test."""
        self._began = self._mark = time.perf_counter()
        self._evaluations = run.evaluations

    def learn(self) -> None:
        """Take the time since the last call as the cost of the evaluations made since."""
        now, made = time.perf_counter(), self.run.evaluations - self._evaluations
        if made:
            self._latest = (now - self._mark) / made
            self.evaluation = min(self.evaluation or self._latest, self._latest)
        self._mark, self._evaluations = now, self.run.evaluations

    def allows_a_sweep(self, loss: Loss) -> bool:
        """Whether all entries of a loss fit; timed on a few of them where that is not plain."""
        free = loss.indices
        dearest = 2 * max(self.evaluation, self._latest) * self.pairs * free.size
        if self.run.structured or dearest > self.left() / CLOSE_CALL:
            self._learn_entries(loss, free)
        return self.sweep_seconds(free.size) <= self.left()

    def _learn_entries(self, loss: Loss, free: Indices) -> None:
        """Time entries: a structured loss's cost less than evaluations, another's may cost more."""
        structured = self.run.structured
        count = ENTRIES_TIMED if structured else 1
        for _ in range(TRIALS):  # the first may compile
            some = free[np.unique(np.linspace(0, free.size - 1, count).astype(np.intp))]
            began = time.perf_counter()
            self.run.coordinates(some, CENTRAL[2].offsets(loss.steps(some)))
            seconds = time.perf_counter() - began
            if structured:
                self._began += seconds
            self.entry = seconds / some.size
            allowed = int(np.clip(PILOT * self.left() / max(self.entry, 1e-9), 1, ENTRIES_TIMED))
            if not structured and allowed <= 2 * count:
                break
            count = max(count, allowed)
        self._mark, self._evaluations = time.perf_counter(), self.run.evaluations

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Time that does not count: the gradient under test."""
        began = time.perf_counter()
        yield
        self.gradient = time.perf_counter() - began
        self._began += self.gradient
        self._mark += self.gradient

    def left(self) -> float:
        """Seconds left."""
        if self.seconds is None:
            return float("inf")
        return self.seconds - (time.perf_counter() - self._began)

    def allows(self, evaluations: int = 2) -> bool:
        """Whether so many more evaluations fit."""
        return evaluations * self.evaluation <= self.left()

    def sweep_seconds(self, entries: int) -> float:
        """How long a sweep would take."""
        entry = 2 * self.evaluation if self.entry is None else self.entry
        return entries * entry * self.pairs

    def plan(self, entries: int, sweeps: bool) -> str:
        """What is about to be done, and why."""
        sweep = f"a sweep of {entries:,} entries takes about {self.sweep_seconds(entries):.2g} s"
        within = "" if self.seconds is None else f" (budget {self.seconds:g} s)"
        return f"{sweep}{within}: {'sweeping' if sweeps else 'screening along random directions'}."
