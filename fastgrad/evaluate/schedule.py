"""Long compiled work in slabs: each as long, and on as many threads, as pays by what launches cost."""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np

from fastgrad.evaluate.compiling import seconds_compiling
from fastgrad.evaluate.interrupts import left_if_interrupted, may_be_interrupted
from fastgrad.evaluate.on_demand import OnDemand
from fastgrad.evaluate.process import available_threads, one_blas_thread, parallel_launch

Launch: TypeAlias = Callable[[int, int, int], None]
"""``launch(start, stop, threads)`` makes the evaluations ``start`` to ``stop``."""

own_seconds = time.perf_counter if sys.platform == "win32" else time.thread_time
"""A clock of what this thread computes, which stands still while others have its core. That of Windows
moves in steps of 15.6 ms, longer than what is timed."""

SLAB_SECONDS = 0.1
"""Between two slabs Ctrl-C is answered, progress shown and time limits kept."""
FIRST_SLAB_SECONDS = 0.01
"""A slab sized by an earlier call's cost, before there is a better one."""

LEFT_SECONDS = 0.5
"""A slab that takes longer, or nobody knows how long, is made on a thread that can be left behind."""
LONG_SECONDS = 50e-3
"""A single evaluation that takes so long measures the cost; an interruption matters little."""
MEASURING_SECONDS = 1e-3
"""A slab that is kept on this thread in order to measure takes so long."""
BRIEF_SECONDS = 50e-3
"""Work that a launch on busy cores may take longer for than this thread alone is briefer."""
TURN_SECONDS = 50e-6
"""Threads that finish first wait for a turn of so long at most."""
STALE_SECONDS = 0.2
"""Brief work is measured again after so long, before it is given to threads."""
WORTH_A_LAUNCH = 4
"""A launch is made where it saves so many times what it costs."""


class LaunchCost:
    """What a parallel launch was lately seen to cost beyond its share of the work, in seconds.

    About 10 us when the cores are free and up to 10 ms when they are not, so it is measured: a
    launch that went badly is remembered for half a second or so, during which small problems stay on
    the calling thread.
    """

    IDLE = 50e-6
    """Assumed before anything was seen; also what a forgotten bad launch returns to."""
    WORST = 10e-3
    """What exceeds this is a core shared with somebody else, not the cost of launching."""
    HALF_LIFE = 0.1

    def __init__(self) -> None:
        self._excess = 0.0
        self._seen = 0.0

    def __call__(self) -> float:
        age = time.perf_counter() - self._seen
        return float(self.IDLE + self._excess * 0.5 ** (age / self.HALF_LIFE))

    def saw(self, seconds: float) -> None:
        self._excess = min(max(0.0, seconds), self.WORST)
        self._seen = time.perf_counter()


launch_cost = LaunchCost()
"""What a launch costs this process."""


def pays(work: float, threads: int) -> bool:
    """Whether ``work`` seconds are better shared by ``threads`` threads than done on this one."""
    return threads > 1 and work * (1 - 1 / threads) > WORTH_A_LAUNCH * launch_cost()


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
        """Whether there was one: the first may load a kernel and start threads, and is no measure."""

    def saw(self, evaluations: int, threads: int, seconds: float) -> None:
        """So many evaluations took so many seconds on so many threads."""
        each = seconds * threads / evaluations
        if threads == 1 and (evaluations > 1 or seconds > LONG_SECONDS):
            self.seconds, self._measured = each, time.perf_counter()
            return
        if threads > 1 and self.seconds is not None and self._launched and seconds < BRIEF_SECONDS:
            launch_cost.saw(seconds - self.seconds * evaluations)
        self._launched |= threads > 1
        self.seconds = each if self.seconds is None else min(self.seconds, each)

    def threads(self, evaluations: int) -> int:
        """The number of threads on which so many evaluations are best made."""
        work = 0.0 if self.seconds is None else self.seconds * evaluations
        if work < WORTH_A_LAUNCH * LaunchCost.IDLE:  # no number of threads pays: spare the question
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
        if age < STALE_SECONDS or (
            self.seconds * evaluations > BRIEF_SECONDS and age < float("inf")
        ):
            return 0
        return max(2, min(evaluations // 8, int(MEASURING_SECONDS / self.seconds)))


class Work(NamedTuple):
    """What is made in slabs: how some of it is made, and what is done before and after."""

    launch: Launch
    done: Callable[[int, int], None]
    """``done(start, stop)`` after each slab: what it checks, counts and shows."""
    grow: Callable[[int], None]
    """``grow(threads)`` before a launch on so many."""
    may_be_left: bool = False
    """Whether a long evaluation may go on on another thread when this one is interrupted."""
    shared: OnDemand | None = None
    """The kernel for several threads, where it may be that nobody has compiled it."""

    def affordable(self, threads: int, seconds: float) -> int:
        """So many threads for work of so long; one, where the kernel costs more than it saves."""
        if threads == 1 or self.shared is None:
            return threads
        return threads if self.shared.pays(seconds * (1 - 1 / threads)) else 1

    def forgone(self, threads: int, seconds: float) -> None:
        """Count what it took that a slab was not made on so many threads."""
        if self.shared is not None:
            self.shared.paid += seconds * (1 - 1 / threads)


def in_slabs(
    count: int, cost: Cost, work: Work, threads: int | None = None, first_alone: bool = False
) -> None:
    """Make all evaluations, or whatever ``cost`` is the cost of.

    Parameters
    ----------
    count : int
        How many there are.
    work : Work
    threads : int, optional
        By default as many as numba may use and as pays.
    first_alone : bool
        Make the first slab a single evaluation.
    """
    start = 0
    seen: float | None = None
    while start < count:
        left = count - start
        wanted = cost.threads(left) if threads is None else threads
        on = wanted
        if threads is None:
            on = work.affordable(wanted, left * (cost.seconds or 0.0))
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
        work.grow(on)
        one = partial(_seconds, work.launch, start, stop, on)
        expected = np.inf if cost.seconds is None else cost.seconds * (stop - start) / on
        elsewhere = work.may_be_left and expected > LEFT_SECONDS and may_be_interrupted()
        seconds = left_if_interrupted(one) if elsewhere else one()
        cost.saw(stop - start, on, seconds)
        if on < wanted:
            work.forgone(wanted, seconds)
        if stop - start > 1:
            seen = seconds * on / (stop - start)
        work.done(start, stop)
        start = stop


def _seconds(launch: Launch, start: int, stop: int, threads: int) -> float:
    """How long a launch took, which is made with what it needs around it."""
    if threads == 1:
        return _timed(launch, start, stop, 1)
    with one_blas_thread, parallel_launch():
        return _timed(launch, start, stop, threads)


def _timed(launch: Launch, start: int, stop: int, threads: int) -> float:
    """How long a launch took, less what was compiled in it: a kernel, when it is first called."""
    compiling, began = seconds_compiling(), time.perf_counter()
    launch(start, stop, threads)
    return time.perf_counter() - began - (seconds_compiling() - compiling)
