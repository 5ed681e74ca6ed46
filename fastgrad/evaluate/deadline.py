"""A call from Python that is given up after some seconds."""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import numba

Result = TypeVar("Result")

AGAIN_SECONDS = 0.2
"""A call that swallows the interruption is interrupted again after so long."""
COMPILER_FOLDER = os.path.dirname(numba.__file__)
"""The folder of code that must not be interrupted: it would leave its tables half filled."""


class TookTooLong(BaseException):
    """A call was given up; no Exception, which a function may catch."""


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """``call()``, on this thread.

    Between two bytecodes another thread raises `TookTooLong` in this one; what runs in C ends first.

    Raises
    ------
    TookTooLong
    """
    thread = threading.get_ident()
    finished, lock = threading.Event(), threading.Lock()
    over: list[bool] = []  # filled in one step, which nothing interrupts half-way
    raised: list[bool] = []

    def watch() -> None:
        left = seconds
        while not finished.wait(left):
            with lock:
                if over:
                    return
                if not _compiles(thread):
                    raised.append(True)
                    _raise_in(thread)
            left = AGAIN_SECONDS

    try:
        threading.Thread(target=watch, daemon=True).start()  # which it may interrupt already
        return call()
    finally:
        last = False
        while True:
            try:
                over.append(True)
                with lock:  # whatever was about to be raised has been
                    pass
                if not raised:
                    break
                last = True
                _raise_in(thread)  # in the place of one that is still to come
                while True:
                    pass
            except TookTooLong:  # it came when the call was over
                if last:
                    break
        finished.set()


def _raise_in(thread: int) -> None:
    """Raise `TookTooLong` in a thread at its next bytecode.

    One that is to come cannot be taken back with a null pointer: CPython 3.11 would look for it at
    every bytecode from then on, and never return to a program that is profiled.
    """
    exception = ctypes.py_object(TookTooLong)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)


def _compiles(thread: int) -> bool:
    """Whether a thread is inside numba."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename.startswith(COMPILER_FOLDER):
            return True
        frame = frame.f_back
    return False
