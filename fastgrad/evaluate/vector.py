"""A function with many outputs at perturbed parameters: the values of an evaluator gain an axis.

Whatever evaluates losses evaluates it, in the same threaded kernels: what it is handed is a *recorder*,
which calls the function and puts its outputs in a row of a store. Called from Python, it takes the next
row; compiled, that of its evaluation, whose number the byte of ``failed`` that is its own tells, and
returns a weighted sum, by which repeats and threads are compared.
"""

from collections.abc import Callable
from copy import copy
from functools import lru_cache
from types import FunctionType
from typing import Any

import numpy as np
from numba import carray, njit
from numba.core.registry import CPUDispatcher

from fastgrad.arrays import Floats, Indices
from fastgrad.errors import LossCompilationError, LossError, StructureMismatchError
from fastgrad.evaluate.adapters import RECORDS, compiled_for, dispatcher, type_of
from fastgrad.evaluate.compiled import CompiledEvaluator
from fastgrad.evaluate.explain import (
    argument_name,
    in_python,
    loss_error,
    name_of,
    require_argument_count,
)
from fastgrad.evaluate.intrinsics import doubles_at
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.purity import ArgumentGuard, require_deterministic
from fastgrad.evaluate.python import PythonEvaluator
from fastgrad.parameters.bounds import Box
from fastgrad.parameters.native import native_argument
from fastgrad.parameters.operands import is_floating
from fastgrad.parameters.outputs import Outputs
from fastgrad.parameters.trees import children, taken_apart

GOLDEN = 0.6180339887498949
"""Multiples of it spread evenly over [0, 1)."""
SPARE_ROWS = 8
"""Rows of a store beyond those asked for: a point that raised is run again to see what."""
SAME = 1e-6
"""Compiled and called from Python, outputs are alike to this part."""
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


class CompiledStore(Store):
    """Rows in memory, one an evaluation; ``sink`` tells compiled code where.

    It is (address of the first byte of ``failed``, address of the first row, p, rows).
    """

    def __init__(self, size: int):
        self._memory = np.empty((0, size))
        self.sink = np.array([0, 0, size, 0], np.int64)

    def open(self, count: int) -> None:
        self._memory = np.full((count + SPARE_ROWS, self._memory.shape[1]), np.nan)
        self.sink[1], self.sink[3] = self._memory.ctypes.data, self._memory.shape[0]

    def rows(self, values: Floats) -> Floats:
        rows = self._memory[: values.size]
        return rows.reshape(*values.shape, -1)


class RecordingEvaluator(CompiledEvaluator):
    """A compiled recorder, whose store is told where the evaluations under way set their flags."""

    def __init__(self, recorder: Any, inputs: Inputs, store: CompiledStore):
        super().__init__(recorder, inputs._replace(arguments=(*inputs.arguments, store.sink)))
        self.writes.guard = None
        self._store = store

    def _recognise_scratch(self) -> None:
        """What a function wrote to is refused: another evaluation would be recorded elsewhere."""
        assert self.writes.guard is not None
        self.writes.guard.check()

    def _run(self, launch: Any, values: Any, failed: Any, where: Any) -> None:
        before = int(self._store.sink[0])
        self._store.sink[0] = failed.ctypes.data
        try:
            super()._run(launch, values, failed, where)
        finally:
            self._store.sink[0] = before


def vector_evaluator(
    fun: Callable[..., Any], inputs: Inputs, backend: str = "auto"
) -> VectorEvaluator:
    """The evaluator of a function of many outputs; ``backend`` as of a loss.

    Raises
    ------
    LossCompilationError
        It was to be compiled, and cannot be.
    LossError, TypeError
        It raised at theta, or returns no floating numbers.
    """
    if backend != "python":
        try:
            run = _compiled(fun, inputs)
        except LossCompilationError as error:
            if backend == "compiled":
                raise
            return _python(getattr(fun, "py_func", fun), inputs, in_python(error))
        if (
            type(fun) is not FunctionType
            or backend == "compiled"
            or _means_the_same(run, fun, inputs)
        ):
            return run
        return _python(
            fun, inputs, "The function is called from Python: compiled, it gives others."
        )
    return _python(fun, inputs, "")


def _means_the_same(run: VectorEvaluator, fun: Callable[..., Any], inputs: Inputs) -> bool:
    """Whether a plain function gives Python what it gives compiled code."""
    plain = _python(fun, inputs, "")
    there = plain.outputs.vector(plain.outputs.example, name_of(fun))
    here = run.outputs.vector(run.outputs.example, name_of(fun))
    return here.size == there.size and bool(np.allclose(here, there, rtol=SAME, equal_nan=True))


def _python(fun: Callable[..., Any], inputs: Inputs, fallback: str) -> VectorEvaluator:
    given = inputs.layout.given(inputs.theta.copy())
    outputs = _example(fun, (*inputs.arguments[: inputs.argnum], given), inputs)
    store = PythonStore(fun, outputs)
    recorder = PythonEvaluator(store.record, inputs, fallback)
    recorder._guard = _guard(fun, inputs)
    recorder.pure = False  # slots differ anyhow; `base` compares outputs
    return VectorEvaluator(recorder, store, outputs)


def _compiled(fun: Callable[..., Any], inputs: Inputs) -> VectorEvaluator:
    layout, theta, arguments, argnum, _ = inputs
    compiled = dispatcher(fun)
    native = tuple(map(native_argument, arguments))
    given = layout.native(theta.copy())
    all_given = (*native[:argnum], given, *native[argnum:])
    compiled_for(compiled, tuple(map(type_of, all_given)))  # its message names the function itself
    outputs = _example(compiled, (*native[:argnum], given), inputs._replace(arguments=native))
    store = CompiledStore(outputs.layout.size)
    wrapped = recorder_of(compiled, len(all_given), parts_of(outputs.example, "out"))
    recorder = RecordingEvaluator(wrapped, inputs._replace(arguments=native), store)
    recorder.writes.guard = _guard(fun, inputs._replace(arguments=native)) if native else None
    return VectorEvaluator(recorder, store, outputs)


def _guard(fun: Callable[..., Any], inputs: Inputs) -> ArgumentGuard:
    argnum = inputs.argnum
    return ArgumentGuard(
        inputs.arguments, lambda k: argument_name(fun, k + (k >= argnum)), name_of(fun)
    )


def _example(fun: Callable[..., Any], first: tuple[Any, ...], inputs: Inputs) -> Outputs:
    """What the function returns at theta."""
    args = (*first, *inputs.arguments[inputs.argnum :])
    try:
        out = fun(*args)
    except Exception as error:
        if isinstance(error, TypeError):
            require_argument_count(fun, len(args))
        raise loss_error("the given parameters", error) from error
    return Outputs.of(out, name_of(fun))


@lru_cache(maxsize=256)
def recorder_of(
    fun: CPUDispatcher, count: int, parts: tuple[tuple[str, str], ...]
) -> CPUDispatcher:
    """An njit loss of ``fun``'s arguments and a sink: it records the outputs, as the store says."""
    given = ", ".join(f"a{k}" for k in range(count))
    lines = "".join(f"    at = put_{kind}(target, at, {part})\n" for kind, part in parts)
    source = (
        f"def recorder({given}, sink, failed=0):\n"
        f"    out = fun({given})\n"
        "    row = failed - sink[0]\n"
        "    if failed == 0 or row < 0 or row >= sink[3]:\n"
        "        return 0.0\n"
        "    target = carray(doubles_at(sink[1] + 8 * row * sink[2]), (sink[2],))\n"
        "    at = 0\n"
        f"{lines}"
        "    if at != sink[2]:\n"
        '        raise ValueError("the outputs changed their shapes")\n'
        "    return weighed(target)\n"
    )
    scope: dict[str, Any] = {
        "fun": fun,
        "weighed": _weighed,
        "carray": carray,
        "doubles_at": doubles_at,
        "put_array": _put_array,
        "put_number": _put_number,
    }
    exec(compile(source, "<fastgrad recorder>", "exec"), scope)
    scope["recorder"].__name__ = fun.__name__
    made = njit(nogil=True)(scope["recorder"])
    setattr(made, RECORDS, True)
    return made


@njit(nogil=True)
def _weighed(values: Any) -> Any:
    """A sum of the outputs with weights from 1 to 2 that differ."""
    total, weight = 0.0, 0.0
    for i in range(values.size):
        weight = (weight + GOLDEN) % 1.0
        total += (1.0 + weight) * values[i]
    return total


@njit(nogil=True)
def _put_number(target: Any, at: Any, value: Any) -> Any:
    if at < target.size:
        target[at] = value
    return at + 1


@njit(nogil=True)
def _put_array(target: Any, at: Any, values: Any) -> Any:
    """Write numbers into an array, as far as there is room; where the next ones go."""
    for value in values.flat:
        at = _put_number(target, at, value)
    return at


def parts_of(example: Any, path: str) -> tuple[tuple[str, str], ...]:
    """Kind ("array" or "number") and place of each floating part of an output, in compiled code."""
    if is_floating(example):
        return (("array" if isinstance(example, np.ndarray) else "number", path),)
    if not children(example):
        return ()
    _, _, parts = taken_apart(example)
    return tuple(found for k, part in enumerate(parts) for found in parts_of(part, f"{path}[{k}]"))


def require_alike(repeats: Floats) -> None:
    """Raise `NondeterministicLossError` if outputs, shape (k, p), differ beyond reordered sums."""
    differs = np.flatnonzero((repeats != repeats[0]).any(axis=0))
    for i in differs.tolist():
        require_deterministic(repeats[:, i])
