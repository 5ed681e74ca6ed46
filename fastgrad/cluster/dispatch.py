"""Parts of a question in flight: sent, waited for in any order, and sent again where a worker died.

What kills every worker that takes it is sent alone, in ever smaller pieces, until one evaluation is
left: that one is named.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from fastgrad.cluster.engines import Engine, Sent
from fastgrad.cluster.pace import Pace
from fastgrad.cluster.question import Question, Span
from fastgrad.cluster.store import Answer
from fastgrad.cluster.worker import Failed, Missing
from fastgrad.errors import ExecutorError

AHEAD = 2
"""Parts in flight for each worker: one that it works on, one that waits there."""
PIECES = 8
"""A part that kills is cut into so many: of 20 evaluations, 8 and 3 deaths more find the one."""
PATIENCE = 1.0
"""Seconds after which waiting is begun anew, so that Ctrl-C is heard on every system."""


class BrokenError(Exception):
    """The executor does not answer any more; the cause is its own error."""


@dataclass(frozen=True)
class Errand:
    """A question on its way to workers, and who takes the answers."""

    engine: Engine
    sent: Sent
    question: Question
    take: Callable[[Span, Answer], None]
    """Called with each part and its answer, in the order of completion."""
    pace: Pace


class Dispatch:
    """One errand under way.

    Parameters
    ----------
    errand : Errand
    spans : list of Span
        What is asked of the question.
    """

    def __init__(self, errand: Errand, spans: list[Span]):
        self.errand = errand
        self.deadly: list[Span] = []
        """Single evaluations that killed every worker."""
        self._to_do = deque(spans)
        self._suspects: deque[Span] = deque()
        self._in_flight: dict[Any, Span] = {}
        self._arrived: SimpleQueue[Any] = SimpleQueue()
        self._failed: tuple[Span, Failed] | None = None

    def run(self) -> None:
        """Send everything, and take every answer.

        Raises
        ------
        BrokenError
            The executor broke: what had been answered was taken.
        Exception
            What the first evaluation raised that raised, as here.
        """
        try:
            while self._feed() or self._in_flight:
                self._settle(*self._next())
            while self._suspects:
                self._try_alone(self._suspects.popleft())
        finally:
            if self._in_flight:  # a Ctrl-C, or an executor that broke
                self.errand.engine.cancel(list(self._in_flight))
        if self._failed is not None:
            self._failed[1].reraise()

    def _feed(self) -> bool:
        """Send parts while workers wait for some; whether any was sent."""
        began = len(self._in_flight)
        workers = self.errand.engine.workers
        while self._to_do and len(self._in_flight) < AHEAD * workers and self._failed is None:
            self._send(self._cut(workers))
        return len(self._in_flight) > began

    def _cut(self, workers: int) -> Span:
        span, grain = self._to_do.popleft(), self.errand.question.grain
        left = span.size + sum(other.size for other in self._to_do)
        size = self.errand.pace.size(left, workers)
        size = min(span.size, max(grain, size // grain * grain))
        if size < span.size:
            self._to_do.appendleft(Span(span.start + size, span.stop))
        return Span(span.start, span.start + size)

    def _send(self, span: Span, again: bool = False) -> None:
        engine = self.errand.engine
        submit = engine.again if again else engine.submit
        part = self.errand.question.part(span)
        try:
            future = submit(self.errand.sent, part)
        except ExecutorError:  # it cannot be sent
            raise
        except Exception as error:
            raise BrokenError from error
        self._in_flight[future] = span
        future.add_done_callback(self._arrived.put)

    def _next(self) -> tuple[Any, Span]:
        while True:
            try:
                future = self._arrived.get(timeout=PATIENCE)
            except Empty:
                try:
                    self.errand.engine.require_workers()
                except Exception as error:
                    raise BrokenError from error
                continue
            return future, self._in_flight.pop(future)

    def _settle(self, future: Any, span: Span) -> None:
        """Take an answer, or what came in its place."""
        try:
            answer = future.result()
        except Exception as error:
            if not self.errand.engine.killed(error):
                raise BrokenError from error
            self._suspects.append(span)
            return
        if isinstance(answer, Missing):
            self._send(span, again=True)
        elif isinstance(answer, Failed):
            if self._failed is None or span.start < self._failed[0].start:
                self._failed = span, answer
        else:
            self.errand.pace.saw(span.size, answer.seconds)
            self.errand.take(span, answer)

    def _try_alone(self, span: Span) -> None:
        """Send pieces of a part that killed one by one, so that it is plain which of them kills."""
        grain = self.errand.question.grain
        size = max(grain, -(-span.size // (PIECES * grain)) * grain)
        for start in range(span.start, span.stop, size):
            piece = Span(start, min(start + size, span.stop))
            self._send(piece)
            while self._in_flight:
                self._settle(*self._next())
            if self._suspects and self._suspects[-1] == piece and piece.size <= grain:
                self.deadly.append(self._suspects.pop())
