"""How long numba has been compiling: time that no evaluation is to answer for."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Stopwatch:
    """Seconds that each thread has spent under numba's compiler lock, waiting for it included.

    The lock is held while code is compiled, and while it is loaded from the disk cache; it may be
    taken by a thread that has it.
    """

    def __init__(self) -> None:
        self.of = threading.local()

    @property
    def seconds(self) -> float:
        """What this thread has spent."""
        return float(getattr(self.of, "seconds", 0.0))

    def add(self, seconds: float) -> None:
        """Count as this thread's what another has spent."""
        self.of.seconds = self.seconds + seconds

    def start(self) -> None:
        """Count from now on, unless that is done already."""
        depth = getattr(self.of, "depth", 0)
        if depth == 0:
            self.of.began = time.perf_counter()
        self.of.depth = depth + 1

    def stop(self) -> None:
        """Count no more, if this ends what began the count."""
        self.of.depth = getattr(self.of, "depth", 1) - 1
        if self.of.depth == 0:
            self.of.seconds = self.seconds + time.perf_counter() - self.of.began


_stopwatch = _Stopwatch()


def listen() -> None:
    """Hear of numba's compiler from now on, if numba is loaded; whatever loads it calls this."""
    if _heard or "numba" not in sys.modules:
        return
    from numba.core import event

    class Heard(event.Listener):
        def on_start(self, _: Any) -> None:
            _stopwatch.start()

        def on_end(self, _: Any) -> None:
            _stopwatch.stop()

    _heard.append(Heard())
    event.register("numba:compiler_lock", _heard[0])


_heard: list[Any] = []
"""What numba tells; empty until it is loaded."""


@contextmanager
def counted_as_compiling() -> Iterator[None]:
    """A context whose time counts as compiling: what another library compiles at a first call."""
    _stopwatch.start()
    try:
        yield
    finally:
        _stopwatch.stop()


@contextmanager
def said_after(seconds: float, sentence: str) -> Iterator[None]:
    """A context that says a sentence on stderr if it lasts so long."""
    timer = threading.Timer(seconds, lambda: print(sentence, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Clock:
    """What a check took since this was made: compiling, and the rest."""

    def __init__(self) -> None:
        listen()
        self._began, self._compiling = time.perf_counter(), seconds_compiling()

    @property
    def seconds(self) -> float:
        """All of it."""
        return time.perf_counter() - self._began

    def said(self, ran: str) -> str:
        """The last line of a report: where it ran, and what that took; nothing if that is not known."""
        if not ran:
            return ""
        compiled = seconds_compiling() - self._compiling
        left = max(self.seconds - compiled, 0.0)
        return f"{ran}; compiled in {compiled:.2g} s, the rest in {left:.2g} s."


def add_compiling(seconds: float) -> None:
    """Count what another thread compiled on behalf of this one."""
    _stopwatch.add(seconds)


def seconds_compiling() -> float:
    """Seconds that this thread has spent compiling since the start of the process."""
    return getattr(_stopwatch.of, "seconds", 0.0)  # asked around every launch
