"""Long compiled work in slabs: each as long, and on as many threads, as pays."""

import time
from collections.abc import Callable

from fastgrad.evaluate.launch import (
    NEVER_PAYS,
    available_threads,
    launch_cost,
    parallel_launch,
    pays,
)
from fastgrad.evaluate.state import one_blas_thread

SLAB_SECONDS = 0.1
"""Between two slabs Ctrl-C is answered, progress shown and time limits kept."""
FIRST_SLAB_SECONDS = 0.01
"""A slab sized by an earlier call's cost, before there is a better one."""

LONG = 50e-3
"""A single evaluation of so many seconds measures the cost; an interruption matters little."""
MEASURING_SECONDS = 1e-3
"""Of a slab that is kept on this thread in order to measure."""
BRIEF = 50e-3
"""Work that a launch on busy cores may take longer for than this thread alone."""
TURN_SECONDS = 50e-6
"""Threads that finish first wait for a turn of so long at most."""
STALE = 0.2
"""Seconds after which brief work is measured again before it is given to threads."""


class Cost:
    """Seconds of one evaluation on one thread, learnt from the slabs that were made.

    Several evaluations on this thread measure it. Anything else takes at least its share, so it
    can only lower the cost: otherwise a launch that waited for a busy core would look like work
    that is worth a launch, and the next would wait as long.
    """

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._measured = float("-inf")
        self._launched = False
        """The first launch may load a kernel and start threads, and is no measure of others."""

    def saw(self, evaluations: int, threads: int, seconds: float) -> None:
        """So many evaluations took so many seconds on so many threads."""
        each = seconds * threads / evaluations
        if threads == 1 and (evaluations > 1 or seconds > LONG):
            self.seconds, self._measured = each, time.perf_counter()
            return
        if threads > 1 and self.seconds is not None and self._launched and seconds < BRIEF:
            launch_cost.saw(seconds - self.seconds * evaluations)
        self._launched |= threads > 1
        self.seconds = each if self.seconds is None else min(self.seconds, each)

    def threads(self, evaluations: int) -> int:
        """On how many threads so many evaluations are best made."""
        work = 0.0 if self.seconds is None else self.seconds * evaluations
        if work < NEVER_PAYS:
            return 1
        threads = available_threads()
        return threads if pays(work, threads) else 1

    def turn(self, evaluations: int, threads: int) -> int:
        """How many evaluations a thread best takes at a time."""
        if self.seconds is None:
            return 1
        return max(1, min(evaluations // threads, int(TURN_SECONDS / max(self.seconds, 1e-9))))

    def to_measure(self, evaluations: int) -> int:
        """How many of so many evaluations to make on this thread first, for a measurement."""
        if self.seconds is None or evaluations < 4:
            return 0
        age = time.perf_counter() - self._measured
        if age < STALE or (self.seconds * evaluations > BRIEF and age < float("inf")):
            return 0
        return max(2, min(evaluations // 8, int(MEASURING_SECONDS / self.seconds)))


def in_slabs(
    count: int,
    cost: Cost,
    launch: Callable[[int, int, int], None],
    done: Callable[[int, int], None],
    grow: Callable[[int], None],
    threads: int | None = None,
    first_alone: bool = False,
) -> None:
    """Make all evaluations, or whatever ``cost`` is the cost of.

    Parameters
    ----------
    launch : callable
        ``launch(start, stop, threads)`` makes some.
    done : callable
        ``done(start, stop)`` after each slab: what it checks, counts and shows.
    grow : callable
        ``grow(threads)`` before a launch on so many.
    threads : int, optional
        By default as many as numba may use and as pays.
    first_alone : bool
        Make the first slab a single evaluation.
    """
    start = 0
    seen: float | None = None
    while start < count:
        left = count - start
        on = cost.threads(left) if threads is None else threads
        if cost.seconds is None:
            size = 1
        elif first_alone and start == 0:
            size, on = 1, 1
        elif threads is None and on > 1 and (measuring := cost.to_measure(left)):
            size, on = measuring, 1
        else:
            slab = FIRST_SLAB_SECONDS if seen is None else SLAB_SECONDS
            size = int(slab * on / max(cost.seconds, seen or 0.0, 1e-9))
        stop = start + min(left, max(size, on))
        grow(on)
        seconds = _seconds(launch, start, stop, on)
        cost.saw(stop - start, on, seconds)
        if stop - start > 1:
            seen = seconds * on / (stop - start)
        done(start, stop)
        start = stop


def _seconds(launch: Callable[[int, int, int], None], start: int, stop: int, threads: int) -> float:
    if threads == 1:
        began = time.perf_counter()
        launch(start, stop, 1)
        return time.perf_counter() - began
    with one_blas_thread, parallel_launch():
        began = time.perf_counter()
        launch(start, stop, threads)
        return time.perf_counter() - began
