"""What a call was given to go through: its executor, and the file of its checkpoint."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from fastgrad.cluster import fingerprints
from fastgrad.cluster.engines import Engine, engine_of
from fastgrad.cluster.fingerprints import FUNCTION, of_value
from fastgrad.cluster.outputs import SpreadOutputs
from fastgrad.cluster.spread import Spread
from fastgrad.cluster.store import Answers, Store
from fastgrad.cluster.worker import Job
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.signature import argument_name
from fastgrad.evaluate.vector import VectorEvaluator
from fastgrad.parameters.arguments import place_of


class Campaign(AbstractContextManager["Campaign"]):
    """An executor and a checkpoint, for as long as a call takes.

    Parameters
    ----------
    engine : Engine or None
    store : Store
    outer : Campaign, optional
        The call that this one is part of, whose file stays open.
    label : str
        Which part of it: what is evaluated under one label is the same in every run of the call.
    """

    def __init__(
        self,
        engine: Engine | None,
        store: Store,
        outer: "Campaign | None" = None,
        label: str = "",
    ):
        self._engine, self._store, self._label = engine, store, label
        self._is_part = outer is not None
        self._made: list[Spread] = []
        self._places: Counter[str] = Counter() if outer is None else outer._places
        """How often the loss was asked for at each theta."""
        self.goes_anywhere: bool = engine is not None or store.path is not None
        """Whether there is an executor or a file, which are not let go of."""
        if outer is not None:
            self.goes_anywhere = outer.goes_anywhere

    def within(self, label: str) -> "Campaign":
        """The same for a part of the call, which may be passed on as its executor."""
        return Campaign(self._engine, self._store, self, f"{self._label}{label}; ")

    def evaluator(self, run: Evaluator, loss: Any, inputs: Inputs, running: Any) -> Evaluator:
        """An evaluator that goes through it; ``run`` itself where there is nothing to go through."""
        return self._spread(run, Job(loss, inputs, dict(running))) if self.goes_anywhere else run

    def outputs(
        self, run: VectorEvaluator, fun: Any, inputs: Inputs, backend: str
    ) -> VectorEvaluator:
        """The same of a function of many outputs."""
        if not self.goes_anywhere:
            return run
        return SpreadOutputs(run, self._spread(run, Job(fun, inputs, {"backend": backend}, True)))

    def _spread(self, run: Evaluator | VectorEvaluator, job: Job) -> Spread:
        place = self._place(job) if self._store.path is not None else ""
        made = Spread(run, job, self._engine, Answers(self._store, place))
        self._made.append(made)
        return made

    def _place(self, job: Job) -> str:
        """A name for an evaluator of this call, which the same call gives it again."""
        layout, theta = job.inputs.layout, job.inputs.theta
        point = layout.given(theta.copy())
        place = of_value((self._label, layout.root, theta, point, job.running, job.many))
        self._places[place] += 1
        return f"{place} {self._places[place]}"

    def __exit__(self, *_: object) -> None:
        """Let go of the file and of the executor: what is asked later is evaluated here."""
        self.goes_anywhere = False
        if not self._is_part:
            self._store.close()
        for run in self._made:
            run.retire()


NOTHING = Campaign(None, Store(None, {}))
"""A call that has neither."""


def campaign(
    executor: Any,
    checkpoint: str | os.PathLike[str] | None,
    loss: Callable[..., Any],
    inputs: Callable[[], Inputs],
    options: Mapping[str, Any],
) -> Campaign:
    """The campaign of a call.

    Parameters
    ----------
    executor : object or None
        Of a part of a call: the campaign that it is part of.
    checkpoint : path or None
    loss : callable
    inputs : callable
        Makes what the loss is given; called only where there is a checkpoint.
    options : mapping
        Other options that the values of the loss depend on, and functions.

    Raises
    ------
    TypeError
        The executor is none.
    CheckpointError
        The file cannot be used.
    """
    if executor is None and checkpoint is None:
        return NOTHING
    if isinstance(executor, Campaign):
        return executor
    engine = engine_of(executor)
    if checkpoint is None:
        return Campaign(engine, Store(None, {}))
    given = inputs()
    names = [argument_name(loss, place_of(k, given.argnum)) for k in range(len(given.arguments))]
    head = {
        "version": fingerprints.versions(),
        "loss": fingerprints.of_loss(loss),
        "theta": fingerprints.of_theta(given.layout, given.theta),
        "arguments": {
            name: fingerprints.of_value(value)
            for name, value in zip(names, given.arguments, strict=True)
        },
        "options": {
            name: f"{FUNCTION}{of_value(value)}" if callable(value) else repr(value)
            for name, value in options.items()
        },
    }
    return Campaign(engine, Store(checkpoint, head))
