"""Whole tasks, each a call of a function, in any order, on whatever executor: results by position."""

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from fastgrad.cluster.dispatch import AHEAD, PATIENCE
from fastgrad.cluster.engines import Engine
from fastgrad.cluster.spread import why_broken


class Done(NamedTuple):
    """What became of a task: a result, or the error in its place."""

    result: Any = None
    error: Exception | None = None
    why: str = ""
    """What became of the executor, where that is why there is no result."""


def in_any_order(
    engine: Engine,
    function: Callable[[Any], Any],
    items: Sequence[Any],
    heard: Callable[[int, Done], None] = lambda position, done: None,
) -> list[Done]:
    """``function(item)`` of every item, on workers; what became of each, in the order of the items.

    Parameters
    ----------
    heard : callable
        Called as each is done, with its position.
    """
    found = [Done()] * len(items)
    arrived: SimpleQueue[Any] = SimpleQueue()
    in_flight: dict[Any, int] = {}
    to_do = list(range(len(items)))[::-1]

    def took(position: int, done: Done) -> None:
        found[position] = done
        heard(position, done)

    try:
        while to_do or in_flight:
            while to_do and len(in_flight) < AHEAD * engine.workers:
                position = to_do.pop()
                try:
                    future = engine.call(function, items[position])
                except Exception as error:
                    took(position, Done(error=error, why=why_broken(engine, error)))
                    continue
                in_flight[future] = position
                future.add_done_callback(arrived.put)
            if not in_flight:
                break
            try:
                future = arrived.get(timeout=PATIENCE)
            except Empty:
                try:
                    engine.require_workers()
                except Exception as error:
                    for position in sorted((*in_flight.values(), *to_do)):
                        took(position, Done(error=error, why=why_broken(engine, error)))
                    break
                continue
            took(in_flight.pop(future), _result(engine, future))
    finally:
        if in_flight:
            engine.cancel(list(in_flight))
    return found


def _result(engine: Engine, future: Any) -> Done:
    try:
        return Done(future.result())
    except Exception as error:
        if engine.killed(error):
            return Done(error=error, why="it killed every worker that took it")
        return Done(error=error, why=why_broken(engine, error))
