"""Does a plain function mean the same once it is compiled? One call from Python is compared with it.

Compiled integers overflow, indices are not looked at, float32 numbers are added up in float32, lists
of numbers are arrays, and random numbers are others. Whoever writes a plain function means Python;
whoever decorates it with njit means numba.
"""

import re
import warnings
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from numba.core.registry import CPUDispatcher

from fastgrad.errors import LossCompilationError, LossError
from fastgrad.evaluate import explain
from fastgrad.evaluate.compiled import CompiledEvaluator
from fastgrad.evaluate.deadline import TookTooLong, within
from fastgrad.evaluate.generators import generators_kept, python_random_state_kept
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.read_from_outside import uncompiled, values_read
from fastgrad.evaluate.schedule import own_seconds
from fastgrad.evaluate.scratch_arguments import with_copies
from fastgrad.parameters.arguments import merged
from fastgrad.parameters.native import native_argument

CALL_SECONDS = 2.0
"""A call that takes longer is given up: a check has 10 s, and compiling takes one or two."""
QUICK_SECONDS = 10e-3
"""What takes less is held against Python again for arguments of another size."""
INSIDE_SECONDS = 0.25
"""The same for an njit loss, of which only the indices are looked at."""
COPIED_BYTES = 1 << 26
"""Arrays up to this size are copied for the call, which might write to them: some 20 ms."""
ROUNDING = 2.0**-33
"""Two orders of adding 1e8 numbers of one sign were seen to differ by 1e-12 of the sum."""
FLOAT32_ROUNDING = 2.0**-20
"""The same where numbers are float32: eight units in the last place."""
CONDITION = 8.0
"""Values may differ by so many times what moving theta by two units in the last place does."""


class Departure(NamedTuple):
    """That compiled code departs from Python."""

    sentence: str
    native: bool
    """Whether the function takes what compiled code takes, NamedTuples for dicts."""


class Called(NamedTuple):
    """What a call from Python came to."""

    value: Any
    error: Exception | None
    native: bool
    seconds: float
    """What this thread computed for it."""


def departure(loss: FunctionType, run: CompiledEvaluator, inputs: Inputs) -> Departure | None:
    """What is wrong with running a plain function compiled; None if it means what Python means.

    Looked at once for types and for what the function reads from outside, and for sizes of arguments
    as well where that is quick.

    Raises
    ------
    MutatedInputError, NondeterministicLossError
    """
    if run.compiled.in_single:  # which Python, too, would have to be handed
        return None
    seen = run.compiled.meanings
    if run.workload in seen:
        return seen[run.workload]
    if seen and run.compiled.python_seconds > QUICK_SECONDS:
        return next(iter(seen.values()))
    found = None
    try:
        called = called_from_python(loss, inputs, CALL_SECONDS)
    except TookTooLong:
        run.compiled.python_seconds = np.inf
    else:
        run.compiled.python_seconds = called.seconds
        run.compiled.takes_records = called.native
        found = _compared(loss, run, inputs, called)
    seen[run.workload] = found
    return found


def require_inside(loss: CPUDispatcher, run: CompiledEvaluator, inputs: Inputs) -> None:
    """Raise `LossError` if an njit loss reads past the end of an array at theta.

    Compiled code does not look, and Python does, in the loss and in the njit functions that it calls.
    Looked at once for types, for `INSIDE_SECONDS` at most.
    """
    compiled = run.compiled
    if compiled.meanings or compiled.in_single:
        return
    compiled.meanings[run.workload] = None
    traits = run.traits
    if traits.has_state or traits.uses_python or traits.launches_threads:
        return
    try:
        error = _called(uncompiled(loss.py_func), inputs, True, INSIDE_SECONDS).error
    except (TookTooLong, LossCompilationError):
        return
    if isinstance(error, IndexError) and re.search(r"out of (bounds|range)", str(error)):
        raise LossError(
            f"the loss raised IndexError at the given parameters, when run in Python: {error}; "
            "compiled code does not look whether an index is past the end, and reads what lies there"
        ) from error


def called_from_python(loss: Callable[..., Any], inputs: Inputs, seconds: float) -> Called:
    """One call at theta, with what was passed; or with what compiled code is passed, if that fails."""
    called = _called(loss, inputs, False, seconds)
    if called.error is not None and _has_records(inputs):
        again = _called(loss, inputs, True, seconds)
        if again.error is None:
            return again
    return called


def _called(loss: Callable[..., Any], inputs: Inputs, native: bool, seconds: float) -> Called:
    layout, theta, arguments, argnum, scratch = inputs
    arguments = tuple(map(_copied, with_copies(arguments, scratch)))
    others = list(map(native_argument, arguments) if native else arguments)
    given = merged((layout.native if native else layout.given)(theta.copy()), others, argnum)
    value, error = None, None
    began = own_seconds()
    with (
        python_random_state_kept(),
        generators_kept(arguments),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        try:
            value = within(seconds, partial(loss, *given))
        except Exception as raised:
            error = raised
    return Called(value, error, native, own_seconds() - began)


def _copied(value: Any) -> Any:
    """An argument that may be written to; itself where that would take long, or cannot be done."""
    if isinstance(value, np.ndarray):
        return value.copy() if value.nbytes <= COPIED_BYTES and value.flags.writeable else value
    if type(value) in (list, tuple):
        return type(value)(map(_copied, value))
    return {k: _copied(v) for k, v in value.items()} if type(value) is dict else value


def takes_records(loss: Callable[..., Any], inputs: Inputs) -> bool:
    """Whether a function that is not compiled takes NamedTuples for dicts all the same."""
    if not _has_records(inputs):
        return False
    try:
        return called_from_python(loss, inputs, CALL_SECONDS).native
    except (TookTooLong, LossCompilationError):
        return False


def _has_records(inputs: Inputs) -> bool:
    """Whether compiled code is handed a NamedTuple where Python has a dict or a dataclass."""
    arguments = [native_argument(a) is not a and not isinstance(a, np.ndarray) for a in inputs[2]]
    return not inputs.layout.plain or any(arguments)


def _compared(
    loss: FunctionType, run: CompiledEvaluator, inputs: Inputs, called: Called
) -> Departure | None:
    """The departure of the compiled value from what a call from Python came to."""
    try:
        compiled = run.value()
        raised = None
    except LossError as failure:
        compiled, raised = np.nan, failure.__cause__ or failure
        if called.error is not None:
            return None
    finally:
        run.forget()
    if isinstance(
        called.error, AttributeError
    ):  # it is written for numba, as fields of records are
        return None
    if called.error is None and raised is None and _is_same(loss, run, inputs, called, compiled):
        return None
    there = f"raises {type(raised).__name__}" if raised else f"is {compiled:.17g}"
    error = called.error
    here = f"raises {type(error).__name__} ({error})" if error else f"is {_shown(called.value)}"
    reason = explain.why_it_departs(loss, (*inputs.arguments, *_read(loss)), error)
    return Departure(
        f"The loss is called from Python, which is slower: compiled, it {there} at the given "
        f"parameters; in Python it {here}{reason}. If numba's meaning is meant: decorate it with "
        "@numba.njit.",
        called.native,
    )


def _is_same(
    loss: FunctionType, run: CompiledEvaluator, inputs: Inputs, called: Called, compiled: float
) -> bool:
    """Whether two values differ by no more than rounding, and sums in another order, explain."""
    if np.ndim(called.value) or np.iscomplexobj(called.value):
        return False
    try:
        value = float(called.value)
    except (TypeError, ValueError):
        return False
    if value == compiled or (np.isnan(value) and np.isnan(compiled)):
        return True
    if not (np.isfinite(value) and np.isfinite(compiled)):
        return False
    single = any(_is_single(a) for a in (*inputs.arguments, called.value, *_read(loss)))
    rounding = FLOAT32_ROUNDING if single else ROUNDING
    apart = abs(value - compiled)
    if apart <= rounding * max(abs(value), abs(compiled)):
        return True
    ulps = np.spacing(np.abs(inputs.theta).clip(np.abs(inputs.theta).max() * 2.0**-26))
    signs = np.where(np.random.default_rng(0).random(ulps.size) < 0.5, 1.0, -1.0)
    near = run.along(ulps * signs, np.array([-2.0, -1.0, 1.0, 2.0]))
    run.forget()
    return bool(apart <= CONDITION * np.abs(near - compiled).max())


def _read(loss: FunctionType) -> list[Any]:
    """The numbers and arrays that a function has from its globals and closure."""
    return [*(value for _, value in values_read(loss)), *(loss.__defaults__ or ())]


def _is_single(value: Any) -> bool:
    return getattr(value, "dtype", None) == np.float32


def _shown(value: Any) -> str:
    return f"{value:.17g}" if isinstance(value, float) else repr(value)[:40]
