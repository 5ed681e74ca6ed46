"""Which is quicker for the work that is wanted: compiled code, or calls from Python?

NumPy's own loops use vector instructions where compiled code often does not (tanh and exp of arrays: up
to five times), and compiling takes longer than a handful of cheap calls.
"""

import time
from types import FunctionType

import numpy as np

from fastgrad.errors import LossError, MutatedInputError, NondeterministicLossError
from fastgrad.evaluate.adapters import jitted_for_others
from fastgrad.evaluate.compiled import CompiledEvaluator
from fastgrad.evaluate.deadline import TookTooLong
from fastgrad.evaluate.meaning import called_from_python
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.python import AWAY, PythonEvaluator

COLD_SECONDS = 50e-3
"""The first call of a function in NumPy may take so much longer than the next."""
SUSPECTED = 2.0
"""Python took up to so many times as long as compiled code: it is timed with care."""
MARGIN = 1.25
"""Python must be so many times as quick: two timings of the same were seen to differ by less."""
WORTH_SECONDS = 1e-3
"""Work that compiled code does in less is not worth the question."""
ROUNDS, TIMED = 3, 4
"""So often so many evaluations are timed; the least counts."""
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
    here = seconds_each(CompiledEvaluator(loss, inputs, threads=1))
    if here * evaluations < WORTH_SECONDS:
        return None
    in_python = PythonEvaluator(loss, inputs, native=run.compiled.takes_records)
    try:
        there = seconds_each(in_python, rounds=1)
        if there > SUSPECTED * here:
            return None
        there = min(there, seconds_each(in_python))
    except (LossError, MutatedInputError, NondeterministicLossError, TypeError):
        return None
    threads = 1 if run.traits.one_at_a_time else run.cost.threads(evaluations)
    if there * MARGIN > here / threads:
        return None
    return f"where an evaluation takes {shown(there)}, compiled {shown(here)}"


def seconds_each(run: Evaluator, rounds: int = ROUNDS) -> float:
    """Seconds of an evaluation beside theta: at theta Python's generators are looked at as well."""
    away = AWAY * max(abs(run.theta[0]), 1.0)
    indices, offsets = np.zeros(1, np.int64), np.full((1, TIMED), away)
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        run.coordinates(indices, offsets)
        found.append((time.perf_counter() - began) / TIMED)
    return min(found)


def shown(seconds: float) -> str:
    """A time in words."""
    return f"{1e3 * seconds:.2g} ms"
