"""Which is quicker for the work that is wanted: compiled code, or calls from Python?

NumPy's own loops use vector instructions where compiled code often does not (tanh and exp of arrays: up
to five times), and compiling takes longer than a handful of cheap calls.
"""

import time
from collections.abc import Callable
from types import FunctionType

import numpy as np

from fastgrad.errors import LossError, MutatedInputError, NondeterministicLossError
from fastgrad.evaluate.adapters import jitted_for_others
from fastgrad.evaluate.compiled import CompiledEvaluator
from fastgrad.evaluate.deadline import TookTooLong
from fastgrad.evaluate.process import available_threads
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.python import AWAY, PythonEvaluator
from fastgrad.evaluate.same_meaning import called_from_python
from fastgrad.evaluate.schedule import LEFT_SECONDS, own_seconds

COLD_SECONDS = 50e-3
"""The first call of a function in NumPy may take so much longer than the next."""
SUSPECTED = 2.0
"""Python took up to so many times as long as compiled code: it is timed with care."""
MARGIN = 1.1
"""Python must be so many times as quick: by a thread's own clock, least times differ by less."""
WORTH_SECONDS = 1e-3
"""Work that compiled code does in less is not worth the question."""
MOST_TIMED = 64
"""So many evaluations are timed together at most. What watches a call from Python costs as much as four
evaluations of 30 us: it is shared by as many as the work has."""
ROUNDS, MOST_ROUNDS = 3, 9
"""Both are timed so often, in turns, and the least of each counts: a core that is shared, or a cache
that somebody else has filled, makes a timing longer and never shorter."""
CLEAR = 1.5
"""A ratio that is beyond what decides, or short of it, by less takes `MOST_ROUNDS`."""
FAR = 4.0
"""A ratio so far beyond it, or short of it, at the second look needs no third."""
ROUND_SECONDS, ASKING_SECONDS = 20e-3, 0.25
"""A round of evaluations takes so long, unless one takes longer; and all of the question, so."""
SHORTEST_SECONDS = 1e-9
"""What a clock shows at least."""
MOST_ALIKE = 8
"""A code that was compiled for so many values of what it reads from outside is made afresh all the time:
a factory of losses, a test with a thousand parameters."""
COMPILING_SECONDS = 0.2
"""The least that compiling takes; 1.9 MiB that numba never gives back are beside it."""
AFRESH = "as compiling it once more would take longer"


def in_python(loss: FunctionType, inputs: Inputs) -> Evaluator | None:
    """The loss in Python, if its code was compiled often and its calls are few and cheap."""
    if jitted_for_others(loss) < MOST_ALIKE:
        return None
    try:
        called = called_from_python(loss, inputs, COMPILING_SECONDS)
    except TookTooLong:
        return None
    if called.error is not None or 2 * inputs.layout.size * called.seconds > COMPILING_SECONDS:
        return None
    return PythonEvaluator(loss, inputs, native=called.native, why=AFRESH)


def quicker(loss: FunctionType, run: CompiledEvaluator, inputs: Inputs) -> Evaluator:
    """The compiled loss, or the same in Python where that takes less for a gradient.

    Looked at once for types, and for sizes of what an evaluation reads.
    """
    if run.compiled.in_single:
        return run
    seen = run.compiled.in_python
    if run.workload not in seen:
        seen[run.workload] = _why_python(loss, run, inputs)
    why = seen[run.workload]
    if why is None:
        return run
    return PythonEvaluator(loss, inputs, native=run.compiled.takes_records, why=why)


def _why_python(loss: FunctionType, run: CompiledEvaluator, inputs: Inputs) -> str | None:
    """How much quicker Python is, in words; None where it is not."""
    first, evaluations = run.cost.seconds or 0.0, 2 * inputs.layout.size
    if run.compiled.python_seconds > SUSPECTED * first + COLD_SECONDS:
        return None
    if first * evaluations < WORTH_SECONDS:
        return None
    threads = 1 if run.traits.one_at_a_time else available_threads()
    in_python = PythonEvaluator(loss, inputs, native=run.compiled.takes_records)
    try:
        alone = CompiledEvaluator(loss, inputs, threads=1)
        here, there = compared((alone, in_python), MARGIN * threads, first, evaluations)
    except (LossError, MutatedInputError, NondeterministicLossError, TypeError):
        return None
    if here * evaluations < WORTH_SECONDS or there * MARGIN > here / threads:
        return None
    return f"where an evaluation takes {shown(there)}, compiled {shown(here)}"


def compared(
    runs: tuple[Evaluator, Evaluator], decides: float, expected: float, evaluations: int
) -> tuple[float, float]:
    """Seconds of an evaluation of each, told apart whatever else the machine does.

    By what this thread computes, in turns, the least of each: until it is clear on which side of
    ``decides`` their ratio lies.

    Parameters
    ----------
    runs : tuple of two Evaluators
        Of the same loss.
    decides : float
        How many times as quick the second must be.
    expected : float
        What an evaluation by the first takes, roughly.
    evaluations : int
        How many the work has.
    """
    # What takes so long may be made on another thread, whose clock this one does not see.
    clock = own_seconds if expected < LEFT_SECONDS / 2 else time.perf_counter
    least, began, count = [np.inf, np.inf], clock(), 1  # a busy machine told us what to expect
    for done in range(MOST_ROUNDS + 1):
        for k, run in enumerate(runs):
            least[k] = min(least[k], seconds_each(run, count, clock))
        if done == 0:
            count = max(min(int(ROUND_SECONDS / sum(least)), evaluations, MOST_TIMED), 1)
        beyond = least[0] / (decides * least[1])
        if done > 1 and max(beyond, 1 / beyond) > (FAR if done < ROUNDS else CLEAR):
            break
        if clock() - began > ASKING_SECONDS:
            break
    return least[0], least[1]


def seconds_each(
    run: Evaluator, count: int = MOST_TIMED, clock: Callable[[], float] = own_seconds
) -> float:
    """Seconds of an evaluation beside theta: at theta Python's generators are looked at as well."""
    away = AWAY * max(abs(run.theta[0]), 1.0)
    indices, offsets = np.zeros(1, np.int64), np.full((1, count), away)
    began = clock()
    run.coordinates(indices, offsets)
    return max(clock() - began, SHORTEST_SECONDS) / count


def shown(seconds: float) -> str:
    """A time in words."""
    return f"{1e3 * seconds:.2g} ms"
