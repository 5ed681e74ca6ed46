"""What runs on a worker: its own evaluator of a loss, made once, and parts of questions asked of it."""

import pickle
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple, TypeAlias

from fastgrad.cluster.question import Part
from fastgrad.cluster.store import Answer
from fastgrad.errors import LossError
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.compiling import seconds_compiling
from fastgrad.evaluate.process import one_blas_thread
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.vector import VectorEvaluator
from fastgrad.evaluate.vector_backends import vector_evaluator

Asked: TypeAlias = Evaluator | VectorEvaluator
"""What parts of a question are asked of."""
MOST_JOBS = 4
"""Losses that a worker keeps ready."""


class Job(NamedTuple):
    """All that an evaluator is made of."""

    loss: Callable[..., Any]
    inputs: Inputs
    running: dict[str, Any]
    """Options of `fastgrad.evaluate.backends.evaluator`, or of that of many outputs."""
    many: bool = False
    """Whether it is a function of many outputs."""

    def evaluator(self) -> Asked:
        """The loss around theta."""
        make = vector_evaluator if self.many else evaluator
        return make(self.loss, self.inputs, **self.running)


class Missing(NamedTuple):
    """This worker does not have the job yet: send it along."""


class Failed(NamedTuple):
    """What was raised instead of an answer, and its own cause, which pickle would leave behind."""

    error: Exception
    cause: BaseException | None

    def reraise(self) -> None:
        """Raise it here."""
        raise self.error from self.cause


_ready: OrderedDict[str, Asked] = OrderedDict()
_one_at_a_time = threading.RLock()
"""Evaluators are for one thread at a time, and so are losses that seed a generator."""


def work(key: str, job: Any, part: Part, threads: int | None = None) -> Answer | Missing | Failed:
    """Answer a part of a question.

    Parameters
    ----------
    key : str
        The name of the job, the same for all its parts.
    job : bytes, Job or None
        None where this worker should have it.
    part : Part
    threads : int, optional
        What compiled code may use here; by default what it finds.
    """
    with _one_at_a_time:
        if key not in _ready:
            if job is None:
                return Missing()
            try:
                made = pickle.loads(job) if isinstance(job, bytes) else job
                _ready[key] = made.evaluator()
            except Exception as error:
                return _failed(error)
            while len(_ready) > MOST_JOBS:
                _ready.popitem(last=False)
        _ready.move_to_end(key)
        _ready[key].outside = None  # of this part, whatever was asked before
        return answered(_ready[key], part, _share() if threads is None else threads)


def seconds_evaluating() -> float:
    """A clock that stands still while something is compiled, which no evaluation after it costs."""
    return time.perf_counter() - seconds_compiling()


def answered(run: Asked, part: Part, threads: int | None) -> Answer | Failed:
    """Ask an evaluator, on so many threads."""
    import numba

    before = run.evaluations
    most = numba.get_num_threads() if threads is not None else 0
    began = seconds_evaluating()
    try:
        if threads is not None:
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        with one_blas_thread if threads is not None else nullcontext():
            values = part.asked_of(run)
    except Exception as error:
        return _failed(error)
    finally:
        if threads is not None:
            numba.set_num_threads(most)
    seconds = seconds_evaluating() - began
    said = "" if run.outside is None else str(run.outside)
    return Answer(values, seconds, run.evaluations - before, said, run.remarks)


def _share() -> int | None:
    """The threads of a dask worker; None elsewhere."""
    if "distributed.worker" not in sys.modules:
        return None
    from distributed import get_worker

    try:
        return int(get_worker().state.nthreads)
    except (ValueError, AttributeError):  # a dask client's own process
        return None


def _failed(error: Exception) -> Failed:
    cause = error.__cause__
    error.__traceback__ = None
    for kept in (Failed(error, cause), Failed(error, None)):
        try:
            again = pickle.loads(pickle.dumps(kept))
            if str(again.error) == str(error):
                return kept
        except Exception:
            continue
    return Failed(LossError(f"{type(error).__name__}: {error}"), None)
