"""A function with many outputs in compiled code: its recorder, and where that puts the outputs."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numba import carray, njit
from numba.core.registry import CPUDispatcher

from fastgrad.arrays import Floats
from fastgrad.evaluate.adapters import RECORDS, compiled_for, dispatcher, type_of
from fastgrad.evaluate.compiled import CompiledEvaluator
from fastgrad.evaluate.intrinsics import doubles_at
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.vector import Store, VectorEvaluator, example_of, guard_of
from fastgrad.parameters.native import native_argument
from fastgrad.parameters.operands import is_floating
from fastgrad.parameters.trees import children, taken_apart

GOLDEN = 0.6180339887498949
"""Multiples of it spread evenly over [0, 1)."""
SPARE_ROWS = 8
"""Rows of a store beyond those asked for: a point that raised is run again to see what."""


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

    def _run(self, launch: Any, values: Any, failed: Any, *how: Any) -> None:
        before = int(self._store.sink[0])
        self._store.sink[0] = failed.ctypes.data
        try:
            super()._run(launch, values, failed, *how)
        finally:
            self._store.sink[0] = before


def recorded(fun: Callable[..., Any], inputs: Inputs) -> VectorEvaluator:
    """The function, compiled.

    Raises
    ------
    LossCompilationError
    """
    layout, theta, arguments, argnum, _ = inputs
    compiled = dispatcher(fun)
    native = tuple(map(native_argument, arguments))
    given = layout.native(theta.copy())
    all_given = (*native[:argnum], given, *native[argnum:])
    compiled_for(compiled, tuple(map(type_of, all_given)))  # its message names the function itself
    outputs = example_of(compiled, (*native[:argnum], given), inputs._replace(arguments=native))
    store = CompiledStore(outputs.layout.size)
    wrapped = recorder_of(compiled, len(all_given), parts_of(outputs.example, "out"))
    recorder = RecordingEvaluator(wrapped, inputs._replace(arguments=native), store)
    recorder.writes.guard = guard_of(fun, inputs._replace(arguments=native)) if native else None
    return VectorEvaluator(recorder, store, outputs)


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
