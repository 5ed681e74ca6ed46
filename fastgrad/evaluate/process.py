"""The process that a loss runs in: the state that it would change, its threads, and forks."""

import os
import sys
import threading
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from fastgrad.evaluate.generators import (
    generators_kept,
    numba_random_state_kept,
    python_random_state_kept,
)

if TYPE_CHECKING:
    from fastgrad.evaluate.traits import Traits


class BlasLimit:
    """BLAS held to one thread while any launch is under way.

    OpenBLAS starts threads of its own in every worker: 3.2 s instead of 0.18 s was seen. The limit
    is global, so nested and concurrent launches are counted; the last to leave restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._libraries: list[Any] | None = None
        self._before: list[int] = []

    def after_fork(self) -> None:
        """Forget, in the child, the other threads and what they held: they exist no more."""
        self._lock = threading.Lock()
        if self._holders:
            self._holders = 0
            self._set(self._before)

    def __enter__(self) -> None:
        with self._lock:
            if self._holders == 0:
                libraries = self._blas()
                self._before = [library.get_num_threads() for library in libraries]
                try:
                    self._set([1] * len(libraries))
                except BaseException:  # a Ctrl-C
                    self._set(self._before)
                    raise
            self._holders += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._set(self._before)

    def _set(self, counts: list[int]) -> None:
        for library, count in zip(self._blas(), counts, strict=True):
            # threadpoolctl 3.8 lets one thread set limits and does nothing for any other; here
            # the thread that restores need not be the one that set.
            getattr(library, "_real_set_num_threads", library.set_num_threads)(count)

    def _blas(self) -> list[Any]:
        if self._libraries is None:
            import scipy.linalg.cython_blas  # noqa: F401 - numba's BLAS, not found unless loaded
            import threadpoolctl

            controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
            self._libraries = list(controller.lib_controllers)
        return self._libraries


one_blas_thread = BlasLimit()


class Forks:
    """What this process knows of the one that it was forked from.

    Only the forking thread lives on in a child; what the others held would stay held.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held around launches where `parallel_launch` says so."""
        self.state_lock = threading.RLock()
        """Held by a loss whose arguments hold state, while it runs."""
        self.forked_from_threads = False
        """Whether numba's threads had started there: GNU OpenMP ends a child at its first launch."""

    def after_fork(self) -> None:
        """Let go of what other threads held, and take note."""
        self.lock, self.state_lock = threading.RLock(), threading.RLock()
        one_blas_thread.after_fork()
        self.forked_from_threads |= threading_layer() is not None


forks = Forks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forks.after_fork)


def available_threads() -> int:
    """How many threads a kernel may use here; 1 where a parallel launch would end the process."""
    import numba

    if forks.forked_from_threads or numba.config.NUMBA_NUM_THREADS == 1:
        return 1
    return int(numba.get_num_threads())


def parallel_launch() -> AbstractContextManager[Any]:
    """A context for whatever launches threads: a lock where numba's threading layer needs one.

    workqueue aborts the process on two launches at once. numba's threads are started before: loaded
    from a cache by one thread while another linked its own code, a parallel kernel was seen to end the
    process with "Symbol not found: allocate_sched".
    """
    import numba

    if threading_layer() is None:
        with forks.lock:
            numba.get_num_threads()
    return forks.lock if threading_layer() == "workqueue" else nullcontext()


def require_threads_after_fork() -> None:
    """Raise RuntimeError where a loss that is parallel itself would end the process."""
    if forks.forked_from_threads and threading_layer() == "omp":
        raise RuntimeError(
            "the loss is parallel itself, and this process was forked from one that had started "
            "numba's threads, where GNU OpenMP ends it at its next launch: expected a loss without "
            'parallel=True, or processes started with multiprocessing\'s "spawn"'
        )


def threading_layer() -> str | None:
    """numba's threading layer; None while none is chosen, because nothing was launched."""
    numba = sys.modules.get("numba")
    if numba is None:
        return None
    try:
        return str(numba.threading_layer())
    except ValueError:
        return None


NOTHING_KEPT = nullcontext()
"""The context of most losses, made once: it is entered at every launch."""


def state_kept(traits: "Traits", arguments: tuple[Any, ...]) -> AbstractContextManager[Any]:
    """A context that puts back whatever a loss of these traits would change."""
    if not traits.uses_random:
        return one_blas_thread if traits.uses_blas else NOTHING_KEPT
    with ExitStack() as stack:
        if traits.uses_blas:
            stack.enter_context(one_blas_thread)
        stack.enter_context(numba_random_state_kept())
        if traits.uses_python:
            stack.enter_context(python_random_state_kept())
        stack.enter_context(generators_kept(arguments))
        return stack.pop_all()
