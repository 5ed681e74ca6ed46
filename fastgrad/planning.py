"""plan: what a check would cost, from a handful of evaluations, before it is begun."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.checks.budget import Budget
from fastgrad.checks.screen.cost import SET_UP, screen_evaluations
from fastgrad.checks.sweep import EACH_ENTRY, GLANCED, SECOND_LOOKS, STUDY
from fastgrad.cluster.engines import engine_of
from fastgrad.cluster.pace import CLIENT_SECONDS, PART_SECONDS
from fastgrad.differences.entries import Entries
from fastgrad.differences.glimpse import LINE_EVALUATIONS, glimpsed
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured
from fastgrad.differences.repeats import REPEATS, repeat_loss
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.signature import as_arguments, positions, root_name
from fastgrad.evaluate.units import Units
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.parameters.layout import Layout
from fastgrad.report.document import Column, Document, Sentences, Table
from fastgrad.spaces.placed import placed

PILOT_SECONDS = 0.2
"""What timing entries may take; at least one is timed."""
SWEEP_ARRAYS = 35
"""Arrays like theta that a sweep holds at its peak: 34.4 to 34.6 were traced at 20,000 and 40,000."""
SCREEN_ARRAYS = 8
"""The same of a screen: 6.9 at 100,000 and a million, 8.8 at 8,000; a search takes one more."""
WORKER_ARRAYS = 4
"""Arrays like theta on a worker: what came, theta, the point, and what the loss is handed."""
ANSWER_ARRAYS = 2
"""What a sweep through workers holds more: all their answers."""
SCREEN_SET_UP = 46
"""Evaluations before the directions of a screen: 32 to 60 were seen in 24 checks, in the median 48."""
WORKERS = (2, 10, 100)
"""Numbers of workers that a plan is made for."""


@dataclass(frozen=True)
class Cost:
    """What one way to a verdict takes, if the gradient is right."""

    evaluations: int
    seconds: float
    """What it takes in this process."""
    memory: int
    """Bytes beside theta and the arguments, at most."""


@dataclass(frozen=True)
class Plan:
    """What checks of a gradient would cost; made by `plan`.

    An error that is found costs more: about 15 evaluations an entry, and looking again.
    """

    entries: int
    """How many may be perturbed."""
    evaluation: float
    """An evaluation by itself, in seconds."""
    apiece: float
    """The same in a sweep, where threads may share the work."""
    sweep: Cost
    screen: Cost
    workers: dict[int, float]
    """Seconds of a sweep by the number of workers, each a process like this one."""
    worker_memory: int
    """Bytes on each, with its copy of theta and the arguments."""
    evaluations: int
    """How many it took to find out."""
    budget: float | None
    """Seconds that were asked about."""

    @property
    def strategy(self) -> str:
        """What ``strategy="auto"`` would do within the budget; empty if it allows nothing."""
        if self.budget is None or self.sweep.seconds + self._reserve <= self.budget:
            return "sweep"
        if self.screen.seconds <= self.budget:
            return "screen"
        return "sweep" if self.sweep.seconds <= self.budget else ""

    @property
    def _reserve(self) -> float:
        return SECOND_LOOKS * self.evaluation

    def seconds_on(self, workers: int) -> float:
        """Seconds of a sweep on so many workers, each a process like this one."""
        return _makespan(self.sweep.evaluations, self.apiece, workers)

    @property
    def memory_with_workers(self) -> int:
        """Bytes that this process needs for a sweep on any number of workers, with all answers."""
        return self.sweep.memory + 8 * ANSWER_ARRAYS * self.entries

    def __repr__(self) -> str:
        return f"Plan({self.document().headline})"

    def __str__(self) -> str:
        from fastgrad.report.text import as_text

        return as_text(self.document())

    def document(self) -> Document:
        """The plan as a table."""
        rows = [_row("a sweep, here", self.sweep), _row("a screen, here", self.screen)]
        for count, seconds in self.workers.items():
            there = Cost(self.sweep.evaluations, seconds, self.memory_with_workers)
            rows.append(_row(_on(count), there))
        columns = (
            Column("what"),
            *(Column(name, numbers=True) for name in ("evaluations", "time", "memory")),
        )
        said = [f"Each worker needs {_size(self.worker_memory)}."] if self.workers else []
        said.append(self._said_of_budget())
        return Document(
            f"{self.entries:,} entries, {_duration(self.evaluation)} an evaluation: a sweep takes "
            f"about {_duration(self.sweep.seconds)}, a screen {_duration(self.screen.seconds)}.",
            (Table(tuple(columns), tuple(rows)), Sentences(tuple(filter(None, said)))),
        )

    def _said_of_budget(self) -> str:
        if self.budget is None:
            return ""
        within = f"A budget of {self.budget:g} s"
        if self.strategy:
            return f"{within} allows a {self.strategy}."
        least = min(self.sweep.seconds, self.screen.seconds)
        return f"{within} allows neither: {_duration(least)} would be needed."


def plan(
    loss: Callable[..., Any],
    theta: Any,
    *args: Any,
    trainable: Any = None,
    argnum: int | str | Sequence[int | str] = 0,
    space: Any = None,
    budget: float | None = 10.0,
    backend: str = "auto",
    structure: bool = True,
    scratch: Any = None,
    executor: Any = None,
) -> Plan:
    """What a sweep, a screen and a budget would cost here and on workers, from a few evaluations.

    Parameters
    ----------
    loss, theta, args, trainable, argnum, space, backend, structure, scratch
        As of `check_grad`.
    budget : float or None
        Seconds that are asked about.
    executor : dask.distributed.Client, or anything with ``submit``, optional
        Plan for as many workers as it has; by default for 2, 10 and 100.

    Returns
    -------
    Plan
        Print it for a table; ``.seconds_on(workers)`` for any number of workers.

    Raises
    ------
    LossError, NonFiniteLossError, NondeterministicLossError, TypeError, ValueError
        As `check_grad`, of the loss and theta.

    Examples
    --------
    >>> import numpy as np
    >>> found = plan(lambda x: (x**4).sum(), np.ones(500), budget=10.0)
    >>> found.entries, found.sweep.evaluations, found.strategy
    (500, 1054, 'sweep')
    """
    argnum = positions(loss, argnum)
    theta = as_arguments(loss, theta, argnum)
    layout, flat = placed(theta, space, root_name(loss, argnum))
    inputs = Inputs(layout, flat, args, argnum)
    run = evaluator(loss, inputs, backend, structure, scratch)
    measured, seconds = _measured(run, layout, trainable)
    apiece = _seconds_of_entries(measured, seconds) / 2
    engine = engine_of(executor)
    counts = WORKERS if engine is None else (engine.workers,)
    sweep = REPEATS + LINE_EVALUATIONS + EACH_ENTRY * measured.count
    sweep += STUDY if measured.count > GLANCED else 0
    screen = SCREEN_SET_UP - SET_UP + screen_evaluations(measured)
    given = flat.nbytes + sum(getattr(value, "nbytes", 0) for value in args)
    return Plan(
        entries=measured.count,
        evaluation=seconds,
        apiece=apiece,
        sweep=Cost(sweep, sweep * apiece, SWEEP_ARRAYS * flat.nbytes),
        screen=Cost(screen, screen * seconds, SCREEN_ARRAYS * flat.nbytes),
        workers={count: _makespan(sweep, apiece, count) for count in counts},
        worker_memory=given + WORKER_ARRAYS * flat.nbytes,
        evaluations=run.evaluations,
        budget=budget,
    )


def _measured(run: Evaluator, layout: Layout, trainable: Any) -> tuple[Loss, float]:
    """The loss, and the seconds of one evaluation of it."""
    budget = Budget(run, None)
    with budget.timing():
        repeats = repeat_loss(run)
    free = layout.mask(trainable)
    units = Units.of(run.theta, layout)
    loss = Loss(run, layout, free, units, Measured(repeats))
    with budget.timing():  # the first call may have compiled, or loaded something
        loss = glimpsed(loss, seed=0)
    return loss, budget.evaluation


def _seconds_of_entries(loss: Loss, evaluation: float) -> float:
    """Seconds of an entry of a sweep, of ever more entries until it can be told."""
    free, count = loss.indices, 1
    while True:
        some = free[np.unique(np.linspace(0, free.size - 1, count).astype(np.intp))]
        began = time.perf_counter()
        loss.values(some, CENTRAL[2].offsets(Entries(loss, some).steps()))
        seconds = time.perf_counter() - began
        if seconds > PILOT_SECONDS / 4 or count >= free.size:
            return seconds / some.size
        wanted = PILOT_SECONDS * some.size / max(seconds, evaluation)
        count = min(free.size, max(2 * count, int(min(wanted, 8 * count))))


def _makespan(evaluations: int, seconds: float, workers: int) -> float:
    """How long so many evaluations take on workers: all are busy but for half a part at the end.

    The process that sends parts may be what limits it.
    """
    part = max(PART_SECONDS, workers * CLIENT_SECONDS, seconds)
    parts = math.ceil(evaluations * seconds / part)
    shared = math.ceil(evaluations / workers) * seconds
    tail = min(part, shared) / 2 if workers > 1 else 0.0
    alone = evaluations * seconds  # which is done here where that is shorter
    return min(alone, max(shared + tail, parts * CLIENT_SECONDS))


def _row(what: str, cost: Cost) -> tuple[str, ...]:
    return what, f"{cost.evaluations:,}", _duration(cost.seconds), _size(cost.memory)


def _on(workers: int) -> str:
    return f"a sweep, on {workers:,} worker{'s' if workers > 1 else ''}"


def _duration(seconds: float) -> str:
    """Seconds as people say them."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= size * (2 if size > 1 else 1):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.2g} us"


def _size(nbytes: int) -> str:
    """Bytes as people say them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= size:
            return f"{nbytes / size:.3g} {unit}"
    return f"{nbytes} bytes"
