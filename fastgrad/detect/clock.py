"""A time limit that knows what evaluations cost, and says what fits."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.screen import GLOBAL, PER_BLOCK
from fastgrad.detect.tabulate import preliminary
from fastgrad.evaluate import Evaluator
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import default_steps
from fastgrad.params import Layout
from fastgrad.results import GradientCheck

SET_UP = 45
"""Evaluations before the directions of a screen: repeats, noise, and a step."""
ENTRIES_TIMED = 512
TRIALS = 3
PILOT = 0.02
"""Part of the time left that one trial of timing entries may take."""
CLOSE = 4.0
"""A sweep that may take a fourth of the time left is timed on entries before it is begun."""
ADAPTIVE = 6.0
"""Pairs of evaluations an entry with a step of its own takes."""


class Clock:
    """A time limit that knows what an evaluation costs.

    Parameters
    ----------
    run : Evaluator
    budget : float or None
        Seconds, from now.
    """

    def __init__(self, run: Evaluator, budget: float | None):
        self.run = run
        self.budget = budget
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

    def allows_a_sweep(self, mask: NDArray[np.bool_] | None, entries: int) -> bool:
        """Whether so many entries fit; timed on a few of them where that is not plain."""
        dearest = 2 * max(self.evaluation, self._latest) * self.pairs * entries
        if self.run.reference or dearest > self.left() / CLOSE:
            self._learn_entries(mask)
        return self.sweep_seconds(entries) <= self.left()

    def _learn_entries(self, mask: NDArray[np.bool_] | None) -> None:
        """Time entries: a structured loss's cost less than evaluations, another's may cost more."""
        structured = bool(self.run.reference)
        free = np.arange(self.run.theta.size) if mask is None else np.flatnonzero(mask)
        count = ENTRIES_TIMED if structured else 1
        for _ in range(TRIALS):  # the first may compile
            some = free[np.unique(np.linspace(0, free.size - 1, count).astype(np.intp))]
            h = default_steps(self.run.theta[some], CENTRAL[2].step)
            began = time.perf_counter()
            self.run.coordinates(some, CENTRAL[2].offsets(h))
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

    def left(self) -> float:
        """Seconds left."""
        if self.budget is None:
            return float("inf")
        return self.budget - (time.perf_counter() - self._began)

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
        within = "" if self.budget is None else f" (budget {self.budget:g} s)"
        return f"{sweep}{within}: {'sweeping' if sweeps else 'screening along random directions'}."

    def allows_a_screen(self, blocks: int) -> bool:
        return self.allows(screen_evaluations(blocks))

    def refusal(
        self, layout: Layout, value: float, rtol: float, seed: int, label: str
    ) -> GradientCheck:
        """The report where the budget does not even allow a screen."""
        needed = 1.2 * screen_evaluations(len(layout.blocks)) * self.evaluation
        remark = (
            f"The budget of {self.budget:g} s does not allow a screen: one evaluation takes "
            f"{self.evaluation:.2g} s, and about {screen_evaluations(len(layout.blocks))} are "
            f"needed; budget={needed:.2g} would do."
        )
        report = preliminary(layout, float(np.spacing(abs(value))), rtol, seed, (remark,))
        return replace(report, label=label, evaluations=self.run.evaluations)


def screen_evaluations(blocks: int) -> int:
    """What a screen that finds nothing takes."""
    return SET_UP + 2 * (GLOBAL + PER_BLOCK * blocks)
