"""Ctrl-C while compiled code runs, which nothing stops: it is left behind on a thread of its own."""

import threading
from collections.abc import Callable
from typing import TypeVar

from fastgrad.evaluate.compiling import add_compiling, seconds_compiling

Result = TypeVar("Result")

LEFT = (
    "interrupted; the evaluation that was under way is compiled code, which cannot be stopped: a thread "
    "is left behind that ends with it"
)
POLL_SECONDS = 0.2
"""A wait that Ctrl-C ends nowhere but on POSIX is cut into waits of so long."""


def left_if_interrupted(call: Callable[[], Result]) -> Result:
    """``call()`` on another thread, which is left to end by itself if this one gets a Ctrl-C.

    Raises
    ------
    KeyboardInterrupt
        Saying so.
    """
    returned: list[tuple[Result, float]] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append((call(), seconds_compiling()))
        except BaseException as error:
            raised.append(error)
        finally:
            over.set()

    over = (
        threading.Event()
    )  # join() takes an interrupted thread for one that has ended (bpo-45274)
    thread = threading.Thread(target=run, name="fastgrad evaluation", daemon=True)
    try:
        thread.start()  # it may be interrupted when the other runs already
        while not over.wait(POLL_SECONDS):
            pass
    except KeyboardInterrupt:
        if over.is_set():
            raise
        raise KeyboardInterrupt(LEFT) from None
    if raised:
        raise raised[0]
    result, compiling = returned[0]
    add_compiling(compiling)
    return result


def may_be_interrupted() -> bool:
    """Whether Ctrl-C comes to this thread."""
    return threading.current_thread() is threading.main_thread()
