"""The search: edits by their cost, the best of them combined, and pairs where one comes close."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from fastgrad.repair.edits import Edit
from fastgrad.repair.operators.table import edits_of
from fastgrad.repair.sandbox import Limits, run_apart
from fastgrad.repair.score import Score
from fastgrad.repair.sites import Scenery
from fastgrad.repair.source import Version
from fastgrad.repair.trying import Observing, Sight, Subject, Trying

DEPTH = 4
"""Edits in a row, each of which may mend several blocks."""
BEAM = 3
"""Versions that are taken further at each depth, of each kind: mending a block, coming closest, or
coming close at little cost (a factor that was fitted comes closer than the edit that is half of two)."""
CLOSE = 0.9
"""An edit comes close if the residuals shrink to this part of what they were. What mends a dead column
shrinks them to 0.63 where every entry lacks its penalty too."""
SHARED = 1.0
"""What it costs more to edit what the loss runs too."""
AFTER, AT_LEAST = 0.4, 300
"""Once a solution is found, so many more edits are tried: a part of those tried before, or these."""
SECONDS_AFTER = 2.0
"""The time that this takes at most, or that part of what was spent before: where a gradient is slow."""
MOST_TRIED = 30_000
"""Edits that are tried at most: where there is time enough, this decides and not the load."""
MEMORY = 2 << 30
LEAST_SECONDS = 0.25
SLOWEST = 20.0
"""An edit may take this many times as long as the gradient itself."""


@dataclass(frozen=True)
class State:
    """Versions of all units, and how far their gradient is off."""

    versions: tuple[Version, ...]
    score: Score | None = None
    cost: float = 0.0
    depth: int = 0

    @property
    def size(self) -> tuple[int, float]:
        """How much there is to read, and then the cost: what is simplest has least of both."""
        return sum(len(version.nodes) for version in self.versions), self.cost

    @property
    def is_right(self) -> bool:
        """Whether every block agrees."""
        return self.score is not None and all(self.score.right)

    def with_edits(self, edits: Sequence[Edit], score: Score | None) -> "State":
        """The versions with edits that do not overlap, without needless parentheses."""
        new = []
        for version in self.versions:
            own = [edit for edit in edits if edit.unit is version.unit]
            if own:
                spans = tuple(sorted(span for edit in own for span in edit.spans))
                version = Edit(version.unit, spans, -1, "", 0.0).tidy(version)
            new.append(version)
        cost = self.cost + sum(edit.cost + 1.0 for edit in edits)
        return State(tuple(new), score, cost, self.depth + 1)


@dataclass
class Search:
    """The search for versions whose gradient agrees with the differences.

    Parameters
    ----------
    subject : Subject
    laws : frozenset of str
        Laws of the error that were found.
    deadline : float
    one_call : float
        Seconds that the gradient takes; more once it is seen to run as Python.
    workers : int
    """

    subject: Subject
    laws: frozenset[str]
    deadline: float
    one_call: float
    workers: int = 2
    tried: int = 0
    began: float = field(default_factory=time.perf_counter)

    def run(self) -> Iterator[list[State]]:
        """Versions that agree, those found at a time; whoever asks again has more looked for."""
        waiting = [State(tuple(unit.original for unit in self.subject.reached.units))]
        for _ in range(DEPTH):
            following: list[State] = []
            for state in waiting:
                yield from self._expand(state, following)
                if time.perf_counter() > self.deadline or self.tried >= MOST_TRIED:
                    return
            waiting = sorted(following, key=_promise)[: 3 * BEAM]

    def _expand(self, state: State, following: list[State]) -> Iterator[list[State]]:
        """Solutions one step from a state; what is worth going on from goes to ``following``."""
        sight = self._observed(state)
        if sight is None:
            return
        edits = self._edits(state, sight)
        results: list[tuple[Edit, Score]] = []
        mending: list[tuple[Edit, Score]] = []
        solutions: list[State] = []
        last, stop_at = MOST_TRIED, self.deadline
        trying = Trying(self.subject, {version.unit: version for version in state.versions})
        for k, score in _in_order(run_apart(trying, edits, self._limits(), self.workers)):
            if self.tried >= last or (solutions and time.perf_counter() > stop_at):
                if not solutions:
                    break
                yield solutions
                solutions, last, stop_at = [], MOST_TRIED, self.deadline
            self.tried += 1
            if score is None:
                continue
            found = None
            if all(score.right):
                found = state.with_edits([edits[k]], score)
            else:
                results.append((edits[k], score))
                if not solutions and _mends(score, sight.score):
                    mending.append((edits[k], score))
                    found = self._all_together(state, mending, sight.score)
            if found is not None:
                if not solutions:
                    last = min(MOST_TRIED, self.tried + max(AT_LEAST, int(AFTER * self.tried)))
                    now = time.perf_counter()
                    stop_at = now + max(SECONDS_AFTER, AFTER * (now - self.began))
                solutions.append(found)
        if solutions:
            yield solutions
        following += self._next(state, sight.score, results)

    def _edits(self, state: State, sight: Sight) -> list[Edit]:
        """All edits of a state, cheapest first."""
        wrong = [not right for right in sight.score.right]
        if not any(wrong):
            wrong = list(self.subject.target.wrong)
        edits = [
            replace(edit, cost=edit.cost + SHARED) if edit.unit in self.subject.shared else edit
            for version, seen in zip(state.versions, sight.observed, strict=True)
            for edit in edits_of(
                Scenery(version, seen, len(wrong), self.subject.said), wrong, self.laws
            )
        ]
        return sorted(edits, key=lambda edit: edit.cost)

    def _all_together(
        self, state: State, mending: list[tuple[Edit, Score]], before: Score
    ) -> State | None:
        """Edits that between them mend every block, if they do so together too."""
        together = _together(mending, before)
        if not _covers(together, mending):
            return None
        both = self._scored(state.with_edits(together, None))
        return both if both is not None and both.is_right else None

    def _scored(self, state: State) -> State | None:
        """A state with what it is worth; None if it cannot be run."""
        sight = self._observed(state)
        if sight is None:
            return None
        return State(state.versions, sight.score, state.cost, state.depth)

    def _observed(self, state: State) -> Sight | None:
        half = max(0.0, self.deadline - time.perf_counter()) / 2
        limits = Limits(half, MEMORY, self.deadline)
        for _, sight in run_apart(Observing(self.subject), [state.versions], limits):
            if sight is not None:
                self.one_call = max(self.one_call, sight.seconds)
            return sight
        return None

    def _limits(self) -> Limits:
        return Limits(LEAST_SECONDS + SLOWEST * self.one_call, MEMORY, self.deadline)

    def _next(self, state: State, before: Score, results: list[tuple[Edit, Score]]) -> list[State]:
        """What to go on from: edits that mend blocks and spoil none, all of them together, and
        edits that come close."""
        mending, close = [], []
        for edit, score in _distinct(results, before):
            if _spoils(score, before):
                continue
            if _mends(score, before):
                mending.append((edit, score))
            elif score.total < CLOSE * before.total:
                close.append((edit, score))
        mending.sort(key=lambda found: (-sum(found[1].right), found[0].cost))
        close.sort(key=lambda found: (found[1].total, found[0].cost))
        close = close[:BEAM] + sorted(close[BEAM:], key=lambda found: found[0].cost)[:BEAM]
        together = _together(mending, before)
        both = self._scored(state.with_edits(together, None)) if len(together) > 1 else None
        states = [both] if both else []
        states += [state.with_edits([edit], score) for edit, score in (*mending[:BEAM], *close)]
        return states


def _in_order(results: Iterator[tuple[int, Score | None]]) -> Iterator[tuple[int, Score | None]]:
    """Results in the order of their numbers, so that what is found does not hang on which came first."""
    waiting: dict[int, Score | None] = {}
    due = 0
    for k, score in results:
        waiting[k] = score
        while due in waiting:
            yield due, waiting.pop(due)
            due += 1


def _spoils(score: Score, before: Score) -> bool:
    return any(was and not now for was, now in zip(before.right, score.right, strict=True))


def _mends(score: Score, before: Score) -> bool:
    return sum(score.right) > sum(before.right) and not _spoils(score, before)


def _covers(together: list[Edit], mending: list[tuple[Edit, Score]]) -> bool:
    """Whether between them several edits mend every block."""
    right = [score.right for edit, score in mending if edit in together]
    return len(together) > 1 and all(map(any, zip(*right, strict=True)))


def _promise(state: State) -> tuple[int, float, float]:
    score = state.score
    assert score is not None
    return -sum(score.right), score.total, state.cost


def _distinct(results: list[tuple[Edit, Score]], before: Score) -> Iterator[tuple[Edit, Score]]:
    """The cheapest edit of each gradient that is not the one there was."""
    known = {_rounded(before)}
    for edit, score in sorted(results, key=lambda found: found[0].cost):
        key = _rounded(score)
        if key not in known:
            known.add(key)
            yield edit, score


def _rounded(score: Score) -> tuple[str, ...]:
    return tuple(f"{value:.8e}" for value in score.values)


def _together(mending: list[tuple[Edit, Score]], before: Score) -> list[Edit]:
    """Edits of different places that each mend other blocks."""
    chosen: list[Edit] = []
    mended = {b for b, right in enumerate(before.right) if right}
    for edit, score in mending:
        new = {b for b, right in enumerate(score.right) if right} - mended
        if new and not any(_overlap(edit, other) for other in chosen):
            chosen.append(edit)
            mended |= new
    return chosen


def _overlap(one: Edit, other: Edit) -> bool:
    if one.unit is not other.unit:
        return False
    spans = sorted((a, b) for edit in (one, other) for a, b, _ in edit.spans)
    return any(first[1] > second[0] or first == second for first, second in pairwise(spans))
