"""Whether a parallel launch is safe here, and whether it is worth it."""

import os
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numba

from fastgrad.evaluate.state import one_blas_thread


class _LaunchCost:
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


launch_cost = _LaunchCost()


def pays(work: float, threads: int) -> bool:
    """Whether ``work`` seconds are better shared by ``threads`` threads than done on this one."""
    return threads > 1 and work * (1 - 1 / threads) > 4 * launch_cost()


NEVER_PAYS = 4 * _LaunchCost.IDLE
"""Work that no number of threads is worth waking for, in seconds."""


def available_threads() -> int:
    """How many threads a kernel may use here; 1 where a parallel launch would end the process."""
    if _process.forked_from_threads or numba.config.NUMBA_NUM_THREADS == 1:
        return 1
    return int(numba.get_num_threads())


def parallel_launch() -> AbstractContextManager[Any]:
    """Around whatever launches threads: a lock where numba's threading layer needs one.

    workqueue aborts the process on two launches at once.
    """
    return _process.lock if _threading_layer() in (None, "workqueue") else nullcontext()


def require_threads_after_fork() -> None:
    """For a loss that is parallel itself: raise RuntimeError where that would end the process."""
    if _process.forked_from_threads and _threading_layer() == "omp":
        raise RuntimeError(
            "the loss is parallel itself, and this process was forked from one that had started "
            "numba's threads, where GNU OpenMP ends it at its next launch: expected a loss without "
            'parallel=True, or processes started with multiprocessing\'s "spawn"'
        )


def _threading_layer() -> str | None:
    """numba's threading layer; None while none is chosen, because nothing was launched."""
    try:
        return str(numba.threading_layer())
    except ValueError:
        return None


class _Process:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.forked_from_threads = False
        """GNU OpenMP ends such a child at its first launch."""

    def after_fork(self) -> None:
        # Only the forking thread lives on; what the others held would stay held.
        self.lock = threading.RLock()
        one_blas_thread.after_fork()
        self.forked_from_threads |= _threading_layer() is not None


_process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.after_fork)
