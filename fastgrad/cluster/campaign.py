"""What a call was given to go through: its executor, and the file of its checkpoint."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from fastgrad.cluster import fingerprints
from fastgrad.cluster.engines import Engine, engine_of
from fastgrad.cluster.fingerprints import of_value
from fastgrad.cluster.spread import Spread
from fastgrad.cluster.store import Answers, Store
from fastgrad.cluster.worker import Job
from fastgrad.evaluate.explain import argument_name
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.parameters.arguments import place_of


class Campaign(AbstractContextManager["Campaign"]):
    """An executor and a checkpoint, for as long as a call takes.

    Parameters
    ----------
    engine : Engine or None
    store : Store
    """

    def __init__(self, engine: Engine | None, store: Store):
        self._engine, self._store = engine, store
        self._made: list[Spread] = []
        self._places: Counter[str] = Counter()
        """How often the loss was asked for at each theta."""
        self._open = engine is not None or store.path is not None

    def evaluator(self, run: Evaluator, loss: Any, inputs: Inputs, running: Any) -> Evaluator:
        """An evaluator that goes through it; ``run`` itself where there is nothing to go through."""
        if not self._open:
            return run
        job = Job(loss, inputs, dict(running))
        place = self._place(inputs, running) if self._store.path is not None else ""
        made = Spread(run, job, self._engine, Answers(self._store, place))
        made.closes = self.close
        self._made.append(made)
        return made

    def _place(self, inputs: Inputs, running: Any) -> str:
        """A name for an evaluator of this call, which the same call gives it again."""
        point = inputs.layout.given(inputs.theta.copy())
        place = of_value((inputs.layout.root, inputs.theta, point, running))
        self._places[place] += 1
        return f"{place} {self._places[place]}"

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and of the executor: what is asked later is evaluated here."""
        self._open = False
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
    checkpoint : path or None
    loss : callable
    inputs : callable
        Makes what the loss is given; called only where there is a checkpoint.
    options : mapping
        Other options that the values of the loss depend on.

    Raises
    ------
    TypeError
        The executor is none.
    CheckpointError
        The file cannot be used.
    """
    if executor is None and checkpoint is None:
        return NOTHING
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
        "options": {name: repr(value) for name, value in options.items()},
    }
    return Campaign(engine, Store(checkpoint, head))
