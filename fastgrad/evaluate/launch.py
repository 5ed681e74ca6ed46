"""What must hold around a launch of a parallel kernel, and whether one is worth it."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numba
import threadpoolctl

_lock = threading.RLock()


class _BlasLimit:
    """BLAS held to one thread while any launch is under way.

    OpenBLAS starts threads of its own in every worker: 3.2 s instead of 0.18 s was seen. The limit
    is global, so nested and concurrent launches are counted; the last to leave restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._controller: threadpoolctl.ThreadpoolController | None = None
        self._limiter: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._limiter = self._blas().limit(limits=1, user_api="blas")
            self._holders += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._limiter.restore_original_limits()

    def _blas(self) -> threadpoolctl.ThreadpoolController:
        if self._controller is None:
            import scipy.linalg.cython_blas  # noqa: F401 - numba's BLAS, which must be loaded to be found

            self._controller = threadpoolctl.ThreadpoolController()
        return self._controller


one_blas_thread = _BlasLimit()


class _LaunchCost:
    """What a parallel launch was lately seen to cost beyond its share of the work, in seconds.

    About 10 us when the cores are free and up to 10 ms when they are not, so it is measured: a
    launch that went badly is remembered for a second or so, during which small problems stay on
    the calling thread.
    """

    IDLE = 50e-6
    """Assumed before anything was seen; also what a forgotten bad launch returns to."""
    WORST = 10e-3
    """What exceeds this is a core shared with somebody else, not the cost of launching."""
    HALF_LIFE = 0.5

    def __init__(self) -> None:
        self._excess = 0.0
        self._seen = 0.0

    def __call__(self) -> float:
        age = time.perf_counter() - self._seen
        return self.IDLE + self._excess * 0.5 ** (age / self.HALF_LIFE)

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
    if _state.unsafe_after_fork or numba.config.NUMBA_NUM_THREADS == 1:
        return 1
    return int(numba.get_num_threads())


@contextmanager
def parallel_launch() -> Iterator[None]:
    """Around a parallel launch: one at a time where the threading layer demands it."""
    _state.launched = True
    with _one_at_a_time():
        yield


def _one_at_a_time() -> AbstractContextManager[Any]:
    """A lock, unless the layer is known to take concurrent launches (workqueue aborts on one)."""
    try:
        layer = numba.threading_layer()
    except ValueError:  # nothing was launched yet, so the layer is not chosen
        return _lock
    return _lock if layer == "workqueue" else nullcontext()


class _ProcessState:
    def __init__(self) -> None:
        self.launched = False
        self.unsafe_after_fork = False

    def after_fork(self) -> None:
        # GNU OpenMP ends a forked child at its first launch if the parent had launched.
        self.unsafe_after_fork = self.launched


_state = _ProcessState()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_state.after_fork)
