"""State of the process that running a loss would change, and what puts it back."""

import pickle
import random
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import threadpoolctl
from numba import _helperlib

if TYPE_CHECKING:
    from fastgrad.evaluate.adapters import Traits

_generators: Any = _helperlib  # whose stubs do not tell of these functions


class _BlasLimit:
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
        """In the child the other threads, and what they held, exist no more."""
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

            controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
            self._libraries = list(controller.lib_controllers)
        return self._libraries


one_blas_thread = _BlasLimit()


def state_kept(traits: "Traits", arguments: tuple[Any, ...]) -> AbstractContextManager[Any]:
    """Whatever a loss of these traits would change, put back at the end."""
    if not traits.uses_random:
        return one_blas_thread if traits.uses_blas else nullcontext()
    with ExitStack() as stack:
        if traits.uses_blas:
            stack.enter_context(one_blas_thread)
        stack.enter_context(_numba_random_state_kept())
        if traits.uses_python:
            stack.enter_context(python_random_state_kept())
        for argument in arguments:
            if isinstance(argument, np.random.Generator):
                stack.enter_context(_generator_state_kept(argument))
        return stack.pop_all()


@contextmanager
def _numba_random_state_kept() -> Iterator[None]:
    """The two generators of compiled code, on this thread."""
    pointers = _generators.rnd_get_np_state_ptr(), _generators.rnd_get_py_state_ptr()
    before = [_generators.rnd_get_state(pointer) for pointer in pointers]
    try:
        yield
    finally:
        for pointer, state in zip(pointers, before, strict=True):
            _generators.rnd_set_state(pointer, state)


@contextmanager
def python_random_state_kept() -> Iterator[None]:
    """The global generators of NumPy and of Python."""
    before = _python_random_state()
    try:
        yield
    finally:
        np.random.set_state(before[0])
        random.setstate(before[1])


def python_random_fingerprint() -> bytes:
    """Changes when a number is drawn from, or a seed given to, a global generator."""
    return pickle.dumps(_python_random_state())


def _python_random_state() -> tuple[Any, Any]:
    return np.random.get_state(legacy=False), random.getstate()


@contextmanager
def _generator_state_kept(generator: np.random.Generator) -> Iterator[None]:
    """A generator that was passed to a loss."""
    before = generator.bit_generator.state
    try:
        yield
    finally:
        generator.bit_generator.state = before
