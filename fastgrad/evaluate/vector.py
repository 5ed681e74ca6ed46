"""A function with many outputs at perturbed parameters: the values of an evaluator gain an axis.

Whatever evaluates losses evaluates it, in the same threaded kernels: what it is handed is a *recorder*,
which calls the function and puts its outputs in a row of a store. Called from Python, it takes the next
row; compiled, that of its evaluation, whose number the byte of ``failed`` that is its own tells, and
returns a weighted sum, by which repeats and threads are compared.
"""

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.errors import LossError, StructureMismatchError
from fastgrad.evaluate.argument_guard import ArgumentGuard
from fastgrad.evaluate.explain import loss_error, name_of, require_argument_count
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.purity import require_deterministic
from fastgrad.evaluate.python import PythonEvaluator
from fastgrad.evaluate.signature import argument_name
from fastgrad.parameters.bounds import Box
from fastgrad.parameters.outputs import Outputs

REPEATS = 3
"""Evaluations at theta itself, to begin with."""


class VectorEvaluator:
    """A function of many outputs around one flat theta.

    Parameters
    ----------
    recorder : Evaluator
        Of a loss that records outputs, and returns the number of their row.
    store : Store
        Where it records them.
    outputs : Outputs
    """

    box: Box | None = None
    """What points are to stay in: whoever asks sees to it."""

    def __init__(self, recorder: Evaluator, store: "Store", outputs: Outputs):
        self.recorder, self.store, self.outputs = recorder, store, outputs

    def within(self, box: Box | None) -> "VectorEvaluator":
        """The same, to be asked within bounds."""
        made = copy(self)
        made.box = box
        return made

    @property
    def theta(self) -> Floats:
        return self.recorder.theta

    @property
    def evaluations(self) -> int:
        """How many were made so far."""
        return self.recorder.evaluations

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a report says of how the function was run."""
        return self.recorder.remarks

    @property
    def ran(self) -> str:
        """Compiled or not, and on how many threads, for the last line of a report."""
        return self.recorder.ran

    @property
    def outside(self) -> LossError | None:
        """What the function raised at the first point beside theta where it did."""
        return self.recorder.outside

    @outside.setter
    def outside(self, error: LossError | None) -> None:
        self.recorder.outside = error

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: the outputs at ``theta + offsets[k, j] e_{indices[k]}``, (m, k, p)."""
        self.store.open(offsets.size)
        return self._rows(self.recorder.coordinates(indices, offsets))

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the outputs at ``theta + offsets[j] direction``, shape (k, p)."""
        self.store.open(offsets.size)
        return self._rows(self.recorder.along(direction, offsets))

    def lines(self, directions: Floats, offsets: Floats) -> Floats:
        """``values[i, j]``: the outputs at ``theta + offsets[i, j] directions[i]``, (m, k, p)."""
        pairs = zip(directions, offsets, strict=True)
        return np.array([self.along(direction, steps) for direction, steps in pairs])

    def _rows(self, slots: Floats) -> Floats:
        outside = self.recorder.outside
        if outside is not None and isinstance(outside.__cause__, StructureMismatchError):
            raise outside
        return self.store.rows(slots)

    def base(self) -> Floats:
        """The outputs at theta, from repeats of which all are alike, shape (p,).

        Raises
        ------
        NondeterministicLossError
            They are not.
        ValueError
            An output is not finite.
        """
        repeats = self.along(np.zeros(self.theta.size), np.zeros(REPEATS))
        bad = np.flatnonzero(~np.isfinite(repeats[0]))
        if bad.size:
            raise ValueError(
                f"{self.outputs.layout.name(int(bad[0]))} is {repeats[0, bad[0]]} at the given "
                f"parameters ({bad.size} of {repeats.shape[1]} outputs are not finite): expected "
                "finite outputs to start from"
            )
        require_alike(repeats)
        return np.asarray(repeats[0])


class Store:
    """Rows of outputs, written one by one, and read when all are there."""

    def open(self, count: int) -> None:
        """Make room for so many rows."""
        raise NotImplementedError

    def rows(self, slots: Floats) -> Floats:
        """The outputs in the rows of these numbers, shape (..., p)."""
        raise NotImplementedError


class PythonStore(Store):
    """A list of outputs; the recorder is a Python function."""

    def __init__(self, fun: Callable[..., Any], outputs: Outputs):
        self._rows: list[Floats] = []
        self._fun, self._outputs = fun, outputs

    def open(self, count: int) -> None:
        self._rows = []

    def rows(self, slots: Floats) -> Floats:
        raised = np.isnan(slots)
        found = np.full((*slots.shape, self._outputs.layout.size), np.nan)
        if self._rows:
            found[~raised] = np.array(self._rows)[slots[~raised].astype(np.intp)]
        return found

    def record(self, *args: Any) -> float:
        """The function at some arguments; the number of the row that its outputs are in."""
        out = self._outputs.vector(self._fun(*args), name_of(self._fun))
        self._rows.append(out.copy())
        return float(len(self._rows) - 1)


def called_from_python(fun: Callable[..., Any], inputs: Inputs, fallback: str) -> VectorEvaluator:
    """The function, called from Python; ``fallback`` says why, where nobody asked for that."""
    given = inputs.layout.given(inputs.theta.copy())
    outputs = example_of(fun, (*inputs.arguments[: inputs.argnum], given), inputs)
    store = PythonStore(fun, outputs)
    recorder = PythonEvaluator(store.record, inputs, fallback)
    recorder._guard = guard_of(fun, inputs)
    recorder.pure = False  # slots differ anyhow; `base` compares outputs
    return VectorEvaluator(recorder, store, outputs)


def guard_of(fun: Callable[..., Any], inputs: Inputs) -> ArgumentGuard:
    """What notices that the function wrote to an argument."""
    argnum = inputs.argnum
    return ArgumentGuard(
        inputs.arguments, lambda k: argument_name(fun, k + (k >= argnum)), name_of(fun)
    )


def example_of(fun: Callable[..., Any], first: tuple[Any, ...], inputs: Inputs) -> Outputs:
    """What the function returns at theta."""
    args = (*first, *inputs.arguments[inputs.argnum :])
    try:
        out = fun(*args)
    except Exception as error:
        if isinstance(error, TypeError):
            require_argument_count(fun, len(args))
        raise loss_error("the given parameters", error) from error
    return Outputs.of(out, name_of(fun))


def require_alike(repeats: Floats) -> None:
    """Raise `NondeterministicLossError` if outputs, shape (k, p), differ beyond reordered sums."""
    differs = np.flatnonzero((repeats != repeats[0]).any(axis=0))
    for i in differs.tolist():
        require_deterministic(repeats[:, i])
