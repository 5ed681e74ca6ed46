"""Jobs that may loop for ever, crash or eat all memory, run in children of this process.

A child is a fork: it has the user's objects as they are, and whatever it does to them is lost with
it. It reads no input, writes no file and starts no process.
"""

import os
import pickle
import resource
import selectors
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

GRACE, BESIDE = 0.5, 4.0
"""A silent child is killed after so many seconds and so many times its own limit, which is of CPU time:
one that sleeps, that a loop in C holds, or that swallows the alarm; beside others it may be slow."""
FORBIDDEN = (
    "os.", "shutil.", "subprocess.", "socket.", "urllib.", "ftplib.", "smtplib.", "webbrowser.",
    "tempfile.", "sqlite3.", "signal.", "pty.", "syslog.", "winreg.", "ctypes.dlopen",
)  # fmt: skip
"""Audit events that a child refuses, by how they begin; reading files stays allowed, for imports."""
HARMLESS = ("os.listdir", "os.scandir", "os.walk")
HEADER = struct.Struct("=Q")


@dataclass(frozen=True)
class Limits:
    """What one job may take, and when all of them must be done.

    Parameters
    ----------
    seconds : float
        Of one job, of CPU time.
    memory : int
        Bytes beyond those of this process.
    deadline : float
        Of all jobs, by `time.perf_counter`.
    """

    seconds: float
    memory: int
    deadline: float


class OutOfTimeError(BaseException):
    """The limit of one job; no Exception, so that ``except Exception`` lets it through."""


@dataclass
class _Child:
    """One process, the jobs that it has still to do, and what it has sent so far."""

    todo: list[int]
    pid: int = 0
    pipe: int = -1
    received: bytearray = field(default_factory=bytearray)
    heard: float = 0.0


def available() -> bool:
    """Whether this system can fork."""
    return hasattr(os, "fork")


def run_apart(
    job: Callable[[Any], Any], items: Sequence[Any], limits: Limits, workers: int = 1
) -> Iterator[tuple[int, Any]]:
    """``(k, job(items[k]))`` as they are done, each child in the order of its items.

    A job that raises, loops or crashes gives None. When the deadline comes, or the caller stops
    asking, the children are killed and the rest is not done.
    """
    children = [_Child(list(range(w, len(items), workers))) for w in range(workers)]
    selector = selectors.DefaultSelector()
    live = [child for child in children if child.todo]
    try:
        for child in live:
            _start(child, job, items, limits)
            selector.register(child.pipe, selectors.EVENT_READ, child)
        while live:
            now = time.perf_counter()
            if now > limits.deadline:
                return
            for key, _ in selector.select(min(GRACE / 5, limits.deadline - now)):
                yield from _receive(key.data)
            for child in list(live):
                if child.pid and not _silent(child, limits):
                    continue
                _stop(child, selector)
                if child.todo:
                    yield child.todo.pop(0), None  # the one it was at
                if child.todo:
                    _start(child, job, items, limits)
                    selector.register(child.pipe, selectors.EVENT_READ, child)
                else:
                    live.remove(child)
    finally:
        for child in live:
            _stop(child, selector)
        selector.close()


def _silent(child: _Child, limits: Limits) -> bool:
    return not child.todo or time.perf_counter() - child.heard > BESIDE * limits.seconds + GRACE


def _start(child: _Child, job: Callable[[Any], Any], items: Sequence[Any], limits: Limits) -> None:
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, RuntimeWarning):  # Python's and JAX's, of threads,
            warnings.simplefilter("ignore", kind)  # of which the child needs none
        pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            _work(job, items, child.todo, writing, limits)
        finally:
            os._exit(0)
    os.close(writing)
    child.pid, child.pipe, child.heard = pid, reading, time.perf_counter()
    child.received.clear()


def _stop(child: _Child, selector: selectors.BaseSelector) -> None:
    if not child.pid:
        return
    selector.unregister(child.pipe)
    os.close(child.pipe)
    os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    child.pid = 0


def _receive(child: _Child) -> Iterator[tuple[int, Any]]:
    data = os.read(child.pipe, 1 << 20)
    child.heard = time.perf_counter() if data else 0.0  # 0: it is dead
    child.received += data
    while len(child.received) >= HEADER.size:
        (length,) = HEADER.unpack_from(child.received)
        if len(child.received) < HEADER.size + length:
            return
        result = pickle.loads(bytes(child.received[HEADER.size : HEADER.size + length]))
        del child.received[: HEADER.size + length]
        yield child.todo.pop(0), result


def _work(
    job: Callable[[Any], Any], items: Sequence[Any], todo: list[int], pipe: int, limits: Limits
) -> None:
    """What a child does: its jobs in order, each within its limit."""
    _confine(pipe, limits)
    for k in todo:
        signal.setitimer(signal.ITIMER_PROF, limits.seconds)
        try:
            result = job(items[k])
        except KeyboardInterrupt:
            return
        except BaseException:  # whatever an edit may do
            result = None
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
        message = pickle.dumps(result)
        os.write(pipe, HEADER.pack(len(message)) + message)


def _confine(pipe: int, limits: Limits) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, _out_of_time)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = _memory_now() + limits.memory
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    sys.addaudithook(_refuse)


def _out_of_time(signum: int, frame: Any) -> None:
    raise OutOfTimeError


def _memory_now() -> int:
    """Bytes of address space in use."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # no Linux: what it has at most is near enough
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    """The audit hook of a child: nothing is written and nothing started."""
    if event == "open":
        if isinstance(args[1], str) and set(args[1]) & set("wax+"):
            raise PermissionError("a file is opened for writing")
        if isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError("a file is opened for writing")
    elif event.startswith(FORBIDDEN) and not event.startswith(HARMLESS):
        raise PermissionError(event)
