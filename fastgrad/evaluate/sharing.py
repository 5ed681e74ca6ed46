"""May several threads run a loss at once? What its types tell, and what its values show."""

import time
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.evaluate.adapters import CompiledLoss
from fastgrad.evaluate.held_state import fingerprint
from fastgrad.evaluate.instances import why_not_copied
from fastgrad.evaluate.process import available_threads, forks
from fastgrad.evaluate.schedule import Cost, Launch

SHOWING_SECONDS = 1.0
"""Work from which it pays to show that a loss only reads its state: that compiles for about as long."""
COMPARE_SECONDS = 1.0
"""Values made on several threads are held against those of one so often."""
COMPARED = 4
"""How many of them."""
COMPARED_PART = 32
"""Comparisons take one part in so many of the time at most: those of long evaluations are seldom."""
FIRST_COMPARISONS = 3
"""So many launches are all compared."""
COMPARED_FIRST = 256
"""How many of the values of these, if they take no longer than `COMPARE_FIRST_SECONDS`: a buffer that
is shared unseen was found to spoil one value of 80, and none in the launch before."""
COMPARE_FIRST_SECONDS = 0.25


class Sharing:
    """What is known of a loss that threads share, and what was seen when it ran.

    Parameters
    ----------
    compiled : CompiledLoss
    arguments : tuple
        The loss's other arguments, as compiled code takes them.
    cost : Cost
        Of an evaluation.
    """

    def __init__(self, compiled: CompiledLoss, arguments: tuple[Any, ...], cost: Cost):
        self.compiled, self.arguments, self.cost = compiled, arguments, cost
        self.held_back = False
        """Whether more threads would have paid, and must not share it."""
        self.under_way = False
        """Whether the evaluations under way were made on several threads."""
        self.most = 1
        """Number of threads that ran it at a time, at most."""
        self.instances = False
        """Whether every thread has an instance of its own of what holds state."""
        self.why_no_instances = ""

    def saw(self, threads: int) -> None:
        """A launch on so many threads is made."""
        self.most = max(self.most, threads)
        self.under_way |= threads > 1

    def must_not(self, launch: Launch, count: int, threads: int | None) -> bool:
        """Whether threads must not share it, as far as is known before ``count`` evaluations."""
        compiled, traits = self.compiled, self.compiled.traits
        if traits.one_at_a_time or compiled.races:
            self.held_back |= compiled.races
            return True
        if not traits.has_state:
            return False
        work = (self.cost.seconds or 0.0) * count if compiled.may_be_shared else 0.0
        if compiled.leaves_state is None and work > SHOWING_SECONDS:
            before = self.state()
            launch(0, 1, 1)
            launch(count - 1, count, 1)
            compiled.leaves_state = before is not None and before == self.state()
        if compiled.leaves_state:
            return False
        if threads == 1 or self.cost.threads(count) == 1:
            return True
        self.instances = self._can_have_instances(count)
        self.held_back |= not self.instances
        return not self.instances

    def _can_have_instances(self, count: int) -> bool:
        """Whether to give each of the threads that make ``count`` evaluations its own state."""
        if (self.cost.seconds or 0.0) * count <= SHOWING_SECONDS:
            return False
        with forks.state_lock:
            self.why_no_instances = why_not_copied(self.arguments, self.compiled.value_types)
        return not self.why_no_instances

    def state(self, like: Any = ()) -> tuple[int, ...] | None:
        """A fingerprint of what the arguments hold beside arrays, unless there is none to compare."""
        if like is None:
            return None
        with forks.state_lock:  # a typed container must not grow while it is read
            return fingerprint(self.arguments, self.compiled.value_types)

    def spoiled(
        self, launch: Launch, values: Floats | None, before: tuple[int, ...] | None
    ) -> bool:
        """Whether threads changed the state there was before, or made other values than one alone.

        ``values`` are None where equal points need not give equal values.
        """
        if not self.under_way:
            return False
        alike = values is None or not self._differ(launch, values)
        if alike and before == self.state(before):
            return False
        self.compiled.races = self.held_back = True
        self.instances = False
        return True

    def _differ(self, launch: Launch, values: Floats) -> bool:
        """Whether some values that threads made differ from those that this thread makes alone.

        Looked at when a loss is first shared, and again every `COMPARE_SECONDS`; not surely seen, where
        threads disturb each other seldom.
        """
        now = time.perf_counter()
        often = self.compiled.comparisons < FIRST_COMPARISONS
        pause = max(COMPARE_SECONDS, COMPARED_PART * COMPARED * (self.cost.seconds or 0.0))
        if not (often or now - self.compiled.compared >= pause):
            return False
        self.compiled.comparisons += 1
        most = COMPARED
        if often:
            most = int(COMPARE_FIRST_SECONDS / max(self.cost.seconds or 0.0, 1e-9))
            most = min(max(most, COMPARED), COMPARED_FIRST)
        self.compiled.compared = now
        made = values.reshape(-1)
        sample = np.unique(np.linspace(0, made.size - 1, most).astype(np.int64))
        theirs = made[sample]
        for k in sample.tolist():
            launch(k, k + 1, 1)
        return theirs.tobytes() != made[sample].tobytes()

    def words(self) -> str:
        """The last line of a report: where it ran."""
        traits = self.compiled.traits
        if self.most > 1:
            own = ", each with an instance of its own" if self.instances else ""
            return f"Ran compiled, on {self.most} threads{own}"
        if traits.uses_python:
            why = "as it asks Python for something"
        elif traits.launches_threads:
            why = "as it launches threads itself"
        elif traits.one_at_a_time:
            why = "as threads would share its generator"
        elif self.held_back:
            why = "as threads would share its state"
        elif available_threads() == 1:
            why = "all that numba has here"
        else:
            why = "as more would not have paid"
        return f"Ran compiled, on one thread, {why}"
