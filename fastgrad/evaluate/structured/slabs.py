"""Long compiled work in slabs: each as long, and on as many threads, as pays."""

import time
from collections.abc import Callable

from fastgrad.evaluate.compiled import SLAB_SECONDS
from fastgrad.evaluate.launch import (
    NEVER_PAYS,
    available_threads,
    launch_cost,
    parallel_launch,
    pays,
)
from fastgrad.evaluate.state import one_blas_thread

FIRST_ROWS = 4
"""Rows of the first slab, which measures what a row costs."""


def in_slabs(
    rows: int,
    launch: Callable[[int, int, int], None],
    done: Callable[[int, int], None],
    cost: float | None,
    threads: int | None = None,
) -> float | None:
    """Launch all rows; the measured seconds of a row on one thread.

    Parameters
    ----------
    launch : callable
        ``launch(start, stop, threads)`` does some rows.
    done : callable
        ``done(start, stop)`` after each slab: what it checks, counts and shows.
    cost : float, optional
        Seconds of a row, if known from earlier.
    threads : int, optional
        By default as many as numba may use and as pays.
    """
    start = 0
    while start < rows:
        left = rows - start
        stop, count = min(rows, start + FIRST_ROWS), 1
        if cost is not None:
            count = _threads(cost * left) if threads is None else threads
            stop = min(rows, start + max(count, int(SLAB_SECONDS * count / max(cost, 1e-9))))
        began = time.perf_counter()
        if count > 1:
            with one_blas_thread, parallel_launch():
                launch(start, stop, count)
        else:
            launch(start, stop, 1)
        seconds = time.perf_counter() - began
        if count > 1 and cost is not None:
            launch_cost.saw(seconds - cost * (stop - start) / count)
        cost = seconds * count / (stop - start)
        done(start, stop)
        start = stop
    return cost


def _threads(work: float) -> int:
    if work < NEVER_PAYS:
        return 1
    return count if pays(work, count := available_threads()) else 1
