"""An evaluator whose answers may come from workers, or from the file of an earlier run.

Whatever answers, a value is known by the question and its place in it: the order in which answers
come, who gave them and when makes no difference to it.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.cluster.dispatch import BrokenError, Dispatch, Errand
from fastgrad.cluster.engines import Engine, Sent
from fastgrad.cluster.pace import Pace
from fastgrad.cluster.question import Question, Span, left_over
from fastgrad.cluster.store import Answer, Answers
from fastgrad.cluster.worker import Asked, Failed, Job, answered, seconds_evaluating
from fastgrad.errors import ExecutorError, LossError
from fastgrad.evaluate.explain import place, place_along
from fastgrad.evaluate.protocol import OUTSIDE, Evaluator
from fastgrad.evaluate.vector import VectorEvaluator
from fastgrad.numerics.stencils import Stencil

EVERYTHING = 1 << 62
"""Entries asked for at a time: workers need not wait for one another before all is done. A file has the
same questions with an executor and without."""
REPEATS = 16
"""Questions of so many evaluations may be repeats at one point, which are to be made in one call."""
WORTH_SENDING = 0.2
"""Seconds of work from which it goes to workers: a screen's two evaluations of 0.1 s each."""


class Spread(Evaluator):
    """A loss around one flat theta, evaluated here, on workers, or long ago.

    Parameters
    ----------
    run : Evaluator or VectorEvaluator
        The loss, or the function of many outputs, in this process: values then have one more axis.
    job : Job
        What workers make theirs of.
    engine : Engine or None
        What sends to workers.
    kept : Answers
        What is known already, and keeps what becomes known.
    """

    def __init__(self, run: Asked, job: Job, engine: Engine | None, kept: Answers):
        super().__init__(run.theta)
        self._asked, self.engine, self._kept = run, engine, kept
        self.run = run.recorder if isinstance(run, VectorEvaluator) else run
        self._width = (run.outputs.layout.size,) if isinstance(run, VectorEvaluator) else ()
        self.structured, self.fallback = self.run.structured, self.run.fallback
        self.leaves_state = self.run.leaves_state
        self.chunk = self.sweep_chunk = EVERYTHING
        self.answers: list[tuple[Question, Floats]] = []
        """What was asked beside entries, and the values as far as they came (else NaN)."""
        self._sent, self._pace = Sent(job), Pace()
        self._said: tuple[str, ...] = ()
        self._deadly: set[int] = set()
        """Entries beside which the loss kills its process."""
        self._kills = False
        """Whether it does so anywhere."""
        self._afar = self._replayed = 0
        self._workers = 1

    @property
    def at_once(self) -> int:  # type: ignore[override]
        """How many evaluations workers make at once."""
        return 1 if self.engine is None else self.engine.workers

    @property
    def remarks(self) -> tuple[str, ...]:
        said = () if self.outside is None else super().remarks[-1:]
        own = (remark for remark in self.run.remarks if not remark.startswith(OUTSIDE))
        return tuple(dict.fromkeys((*own, *self._said, *said)))

    @property
    def ran(self) -> str:  # type: ignore[override]
        where = self.run.ran
        if self._afar:
            name = "" if self.engine is None else f" of a {self.engine.words}"
            where = f"{where.partition(',')[0]}, on {self._workers} workers{name}"
        if self._replayed:
            where += f"; {self._replayed:,} evaluations were in the checkpoint"
        return where

    @property
    def reference(self) -> float:  # type: ignore[override]
        return self.run.reference

    def value(self) -> float:
        return self.run.value() if self.structured else super().value()

    def entry_noise(self, trainable: Mask | None, seed: int) -> Floats | None:
        return self.run.entry_noise(trainable, seed)

    def retire(self) -> None:
        """Evaluate here from now on, and let workers forget the loss."""
        self.engine = None
        self._sent.there = None

    def gradient(self, stencil: Stencil, watch: bool = False) -> Floats | None:
        return self.run.gradient(stencil) if self.structured else None

    def certified(
        self, indices: Indices | None, gradient: Floats, again: bool = False
    ) -> tuple[str, ...]:
        return self.run.certified(indices, gradient, again)

    def answered_pairs(self) -> tuple[Indices, Floats, Floats]:
        """Entries with finite values at both of some step h and -h, at the first such h of each."""
        found = [pairs_of(question, values) for question, values in self.answers]
        if not found:
            return super().answered_pairs()
        places, h, pairs = (np.concatenate(parts) for parts in zip(*found, strict=True))
        finite = np.flatnonzero(np.isfinite(pairs.reshape(h.size, -1)).all(axis=1))
        indices, first = np.unique(places[finite], return_index=True)
        return indices, h[finite[first]], pairs[finite[first]]

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k).

        Raises
        ------
        ExecutorError
            The executor broke.
        Exception
            As the evaluator of this process.
        """
        indices, offsets = np.asarray(indices), np.asarray(offsets)
        return self._ask(Question(indices, offsets, self.structured))

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,).

        Raises
        ------
        ExecutorError, Exception
            As `coordinates`.
        """
        return self._ask(Question(np.asarray(direction), np.asarray(offsets)))

    def lines(self, directions: Floats, offsets: Floats) -> Floats:
        """``values[i, j]``: the loss at ``theta + offsets[i, j] directions[i]``, shape (m, k).

        Raises
        ------
        ExecutorError, Exception
            As `coordinates`.
        """
        return self._ask(Question(np.asarray(directions), np.asarray(offsets)))

    def _ask(self, question: Question) -> Floats:
        values = np.full((question.size, *self._width), np.nan)
        if self.engine is not None and question.beside_entries:
            self.answers.append((question, values))
        noticed: list[tuple[Span, Answer]] = []

        def take(span: Span, answer: Answer) -> None:
            values[span.start : span.stop] = answer.values.reshape(span.size, *self._width)
            noticed.append((span, answer))
            self.evaluations += answer.evaluations
            if self.advance is not None:
                self.advance(span.size)

        def take_and_keep(span: Span, answer: Answer) -> None:
            keep(span, answer)
            take(span, answer)

        known, keep = self._kept.about(question)
        for span, answer in known:
            self.replayed += answer.seconds
            self._replayed += answer.evaluations
            self._pace.saw(span.size, answer.seconds)
            take(span, answer)
        missing = left_over(question.size, [span for span, _ in known])
        if missing:
            self._make(question, missing, take_and_keep)
        self._notice(noticed)
        return values.reshape(*question.offsets.shape, *self._width)

    def _make(self, question: Question, missing: list[Span], take: Any) -> None:
        """Evaluate what is not known: here what is brief, and the first of all, to learn the cost."""
        if self._deadly and question.beside_entries:
            missing = list(self._without_deadly(question, missing, take))
        if self.engine is not None and self._pace.seconds is None and question.size > REPEATS:
            missing = self._tried(question, missing, take)
        seconds = (self._pace.seconds or 0.0) * sum(span.size for span in missing)
        brief = seconds < WORTH_SENDING and not self._kills  # which is not to kill this process
        if self.engine is None or brief:
            self._here(question, missing, take)
            return
        self._workers = max(self._workers, self.engine.workers)

        def take_from_afar(span: Span, answer: Answer) -> None:
            self._afar += span.size
            take(span, answer._replace(evaluations=span.size))

        dispatch = Dispatch(
            Errand(self.engine, self._sent, question, take_from_afar, self._pace), missing
        )
        try:
            dispatch.run()
        except BrokenError as broke:
            raise self._broken(broke.__cause__, question) from broke.__cause__
        for span in dispatch.deadly:
            take(span, self._convicted(question, span))

    def _here(self, question: Question, missing: list[Span], take: Any) -> None:
        """Evaluate in this process; in parts of a second where they are kept."""
        in_parts = self._kept.kept
        for whole in missing:
            start = whole.start
            while start < whole.stop:
                left = whole.stop - start
                size = self._pace.size(left) if in_parts else left
                size = min(left, max(question.grain, size // question.grain * question.grain))
                span = Span(start, start + size)
                self._take_own(question, span, take)
                start = span.stop

    def _tried(self, question: Question, missing: list[Span], take: Any) -> list[Span]:
        """Evaluate twice, as the first time something may be loaded or compiled; what is left."""
        for _ in range(2):
            if missing:
                self._pace = Pace()
                first, *others = missing
                cut = min(first.start + question.grain, first.stop)
                self._take_own(question, Span(first.start, cut), take)
                missing = [Span(cut, first.stop), *others] if cut < first.stop else others
        return missing

    def _take_own(self, question: Question, span: Span, take: Any) -> None:
        advance, rates = self.advance, []
        mark = seconds_evaluating()

        def saw(count: int) -> None:
            nonlocal mark
            now = seconds_evaluating()
            rates.append((now - mark) / count)
            mark = now
            if advance is not None:
                advance(count)

        self.run.advance = saw
        try:
            answer = answered(self._asked, question.part(span), None)
        finally:
            self.run.advance = None
        if isinstance(answer, Failed):
            answer.reraise()
            return
        self._pace.saw(span.size, answer.seconds)
        if rates:  # what a clock is to learn of it later: without what was loaded or compiled
            answer = answer._replace(seconds=min(rates) * span.size)
        self.advance = None  # each evaluation was told of when it was made
        try:
            take(span, answer)
        finally:
            self.advance = advance

    def _notice(self, answers: Iterable[tuple[Span, Answer]]) -> None:
        """Keep what was noticed on the way, in the order of the question."""
        for _, answer in sorted(answers, key=lambda pair: pair[0]):
            if answer.outside and self.outside is None:
                own = self.run.outside  # which knows its cause
                same = own is not None and str(own) == answer.outside
                self.outside = own if same else LossError(answer.outside)
            new = (remark for remark in answer.remarks if not remark.startswith(OUTSIDE))
            self._said = tuple(dict.fromkeys((*self._said, *new)))

    def _without_deadly(self, question: Question, missing: list[Span], take: Any) -> Iterable[Span]:
        """What is left without entries at which the loss is known to kill its process."""
        bad = np.repeat(np.isin(question.places, list(self._deadly)), question.offsets.shape[1])
        for span in missing:
            edges = np.flatnonzero(np.diff(bad[span.start : span.stop])) + 1 + span.start
            for start, stop in zip([span.start, *edges], [*edges, span.stop], strict=True):
                piece = Span(int(start), int(stop))
                if bad[piece.start]:
                    take(piece, self._nothing(piece))
                else:
                    yield piece

    def _convicted(self, question: Question, span: Span) -> Answer:
        """The answer for evaluations that killed every worker which took them."""
        entry, offset = question.entry(span.start)
        layout = self._sent.job.inputs.layout
        self._kills = True
        at = place_along(offset) if entry is None else place(layout, entry, offset)
        if entry is not None:
            self._deadly.add(entry)
        said = f"the loss killed every worker that evaluated it, at {at}"
        return self._nothing(span)._replace(evaluations=span.size, outside=said)

    def _nothing(self, span: Span) -> Answer:
        return Answer(np.full((span.size, *self._width), np.nan))

    def _broken(self, error: BaseException | None, question: Question) -> ExecutorError:
        assert self.engine is not None
        values = self.answers[-1][1] if question.beside_entries else np.full((1, 1), np.nan)
        made = int(np.count_nonzero(~np.isnan(values.reshape(len(values), -1)).all(axis=1)))
        why = why_broken(self.engine, error)
        self.engine = None
        return ExecutorError(f"{made:,} of {question.size:,} evaluations made: {why}", why)


def pairs_of(question: Question, values: Floats) -> tuple[Indices, Floats, Floats]:
    """Entries that were asked for at some h > 0 and -h, h, and the values there, shape (m, 2, ...)."""
    places, offsets = np.asarray(question.places), question.offsets
    above = np.arange(places.size) * offsets.shape[1]
    below, h = above + 1, offsets[:, 0]
    if offsets.shape[1] == 1:  # each by itself: pairs are neighbours in this order
        order = np.lexsort((-h, np.abs(h), places))
        above, below = order[:-1], order[1:]
    at, flat = np.repeat(places, offsets.shape[1]), offsets.ravel()
    below = np.minimum(below, flat.size - 1)
    use = (at[above] == at[below]) & (flat[above] > 0) & (flat[below] == -flat[above])
    above, below = above[use], below[use]
    return at[above], flat[above], np.stack([values[above], values[below]], axis=1)


def why_broken(engine: Engine, error: BaseException | None) -> str:
    """What became of an executor, and what to do, in a line."""
    said = str(error).partition("\n")[0]
    told = type(error).__name__ if type(error).__name__.startswith("Broken") else f"{error!r}"
    advice = "" if engine.replaces_workers else "; pass a dask Client, which replaces workers"
    return f"the executor broke ({told if said else type(error).__name__}){advice}"
