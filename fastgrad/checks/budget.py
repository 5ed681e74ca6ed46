"""A time limit that knows what evaluations cost. Compiling is not evaluating: it does not count."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Indices
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.evaluate.compiling import seconds_compiling
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.numerics.stencils import CENTRAL

ENTRIES_TIMED = 512
TRIALS = 3
PILOT = 0.02
"""Part of the time left that one trial of timing entries may take."""
CLOSE_CALL = 4.0
"""A sweep that may take a fourth of the time left is timed on entries before it is begun."""

SPARE = 1.3
"""What a budget that would do has to spare: evaluations take unlike times."""
TICK = 1e-6
"""What a thread's time is known to, at best."""


class Work(NamedTuple):
    """What this thread has computed so far, in seconds, and how often it waited or was put aside."""

    seconds: float
    waits: int
    preemptions: int


try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:  # only Linux tells of threads

    def at_work() -> Work | None:
        """Nothing is known of this thread."""
        return None
else:

    def at_work() -> Work | None:
        """What the system knows of this thread; None where it does not tell."""
        usage = getrusage(RUSAGE_THREAD)
        return Work(time.thread_time(), usage.ru_nvcsw, usage.ru_nivcsw)


def _own(seconds: float, before: Work | None, after: Work | None) -> float:
    """The time of a stretch without what other processes took of it.

    On a busy machine a microsecond's work takes as long as the queue for the processor: with seventeen
    processes on two cores one check of nine was taken for too dear to sweep. What waits of itself (for a
    disk, a device, threads) is as slow as it is.
    """
    if before is None or after is None or after.waits > before.waits:
        return seconds
    if after.preemptions == before.preemptions:
        return seconds
    return min(seconds, max(after.seconds - before.seconds, TICK))


def would_do(seconds: float) -> str:
    """The budget in which evaluations of so many seconds fit: two digits, rounded up."""
    needed = SPARE * seconds
    unit = 10.0 ** (np.floor(np.log10(needed)) - 1)
    return f"budget={np.ceil(needed / unit) * unit:g} would do"


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
        """Seconds of one evaluation, by the cheapest stretch lately seen."""
        self.entry: float | None = None
        """Seconds of two evaluations for one entry, where they were timed."""
        self.pairs = 1.0
        """How often a sweep evaluates an entry twice."""
        self.gradient = 0.0
        """Seconds of one call of the gradient under test."""
        self._kept = 0.0
        """Seconds kept for what comes later."""
        self._one_by_one = False
        """Whether evaluations are made one at a time, and so were timed each."""
        self._began = self._now()
        self._made = run.evaluations

    @staticmethod
    def _now() -> float:
        return time.perf_counter() - seconds_compiling()

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Evaluations made within tell what one costs.

        What the first of all takes beyond that is no evaluation (code is loaded, a library
        compiles), and does not count.
        """
        stretches: list[tuple[float, int]] = []
        mark, worked = self._now() + self.run.replayed, at_work()

        def saw(count: int) -> None:
            nonlocal mark, worked
            now, work = self._now() + self.run.replayed, at_work()
            stretches.append((_own(now - mark, worked, work), count))
            mark, worked = now, work

        first = self.evaluation == 0.0
        self.run.advance = saw
        try:
            yield
        finally:
            self.run.advance = None
        if not stretches:
            return
        self.evaluation = min(seconds / count for seconds, count in stretches)
        self._one_by_one = all(count == 1 for _, count in stretches)
        if first and len(stretches) > 1 and not self.run.replayed:
            self._began += max(0.0, stretches[0][0] - self.evaluation * stretches[0][1])

    def allows_a_sweep(self, loss: Loss, reserve: int = 0) -> bool:
        """Whether all entries of a loss fit, and so many evaluations more; timed if it is close."""
        free = loss.indices
        close = self.sweep_seconds(free.size) > self.left() / CLOSE_CALL
        alone = self.run.at_once == 1
        if self.run.structured or (close and alone and not self._one_by_one):
            self._learn_entries(loss, free)
        return self.sweep_seconds(free.size) + reserve * self.evaluation <= self.left()

    def _learn_entries(self, loss: Loss, free: Indices) -> None:
        """Time entries: a structured loss's cost less than evaluations, another's may cost more."""
        structured = self.run.structured
        count = ENTRIES_TIMED if structured else 1
        for _ in range(TRIALS):  # the first may compile
            some = free[np.unique(np.linspace(0, free.size - 1, count).astype(np.intp))]
            began, worked = self._now(), at_work()
            self.run.coordinates(some, CENTRAL[2].offsets(Entries(loss, some).steps()))
            seconds = _own(self._now() - began, worked, at_work())
            if structured:
                self._began += seconds
            self.entry = seconds / some.size
            allowed = int(np.clip(PILOT * self.left() / max(self.entry, 1e-9), 1, ENTRIES_TIMED))
            if not structured and allowed <= 2 * count:
                break
            count = max(count, allowed)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Time that does not count: the gradient under test."""
        began = self._now()
        yield
        self.gradient = self._now() - began
        self._began += self.gradient

    def left(self) -> float:
        """Seconds left."""
        if self.seconds is None:
            return float("inf")
        return self.seconds - self._kept - (self._now() - self._began)

    @contextmanager
    def keeping(self, evaluations: int) -> Iterator[None]:
        """So many evaluations are kept for what comes after."""
        self._kept = evaluations * self.evaluation
        try:
            yield
        finally:
            self._kept = 0.0

    @property
    def mean(self) -> float:
        """Seconds that an evaluation took so far on the average, with what is done beside it."""
        made = self.run.evaluations - self._made
        spent = 0.0 if self.seconds is None else self.seconds - self.left()
        return max(self.evaluation, spent / made if made else 0.0)

    def allows(self, evaluations: int = 2) -> bool:
        """Whether so many more evaluations fit."""
        return evaluations * self.evaluation <= self.left()

    def sweep_seconds(self, entries: int) -> float:
        """How long a sweep would take."""
        entry = 2 * self.evaluation / self.run.at_once if self.entry is None else self.entry
        return entries * entry * self.pairs

    def about_a_sweep(self, entries: int) -> str:
        """What a sweep would cost, for those who made none."""
        return (
            f"A sweep of every entry would take {2 * entries:,} evaluations, about "
            f"{self.sweep_seconds(entries):.2g} s."
        )

    def plan(self, entries: int, sweeps: bool) -> str:
        """What is about to be done, and why."""
        sweep = f"a sweep of {entries:,} entries takes about {self.sweep_seconds(entries):.2g} s"
        within = "" if self.seconds is None else f" (budget {self.seconds:g} s)"
        return f"{sweep}{within}: {'sweeping' if sweeps else 'screening along random directions'}."
