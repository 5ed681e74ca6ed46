"""What to tell a person whose loss cannot be run."""

import dis
import functools
import inspect
import linecache
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgrad.errors import LossCompilationError, LossError, MutatedInputError
from fastgrad.evaluate.remedies import UNUSUAL, line_of, remedy
from fastgrad.evaluate.signature import argument_name
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.trees import describe

REASON_LINES = 15
"""How many lines of numba's reason are shown. They run to a hundred; the first ones and the user's
line are what helps."""

RUN_IT_IN_PYTHON = 'backend="python" runs any callable, more slowly.'


def compilation_failure(
    loss: Any, loss_types: tuple[Any, ...], error: Exception
) -> LossCompilationError:
    """The error for a loss that numba refused, with numba's reason and the user's line."""
    reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # without colours
    kept = [text.rstrip() for text in reason.splitlines() if text.strip() and not _is_noise(text)]
    given = ", ".join(map(str, loss_types))
    line = line_of(loss.py_func, reason, error)
    text = linecache.getline(_file(loss), line).strip()
    advice = remedy(reason, text)
    kept = kept[:REASON_LINES] or [f"{type(error).__name__} at: {text}"]
    return LossCompilationError(
        f"numba cannot compile the loss {loss.__name__} ({_file(loss)}, line {line}) for ({given})."
        "\nnumba's reason:\n  " + "\n  ".join(kept) + f"\n{advice}, or: {RUN_IT_IN_PYTHON}",
        f"numba cannot compile line {line} of {loss.__name__}: {kept[0].strip().rstrip('.')}"
        + (f" ({advice[0].lower()}{advice[1:]})" if advice != UNUSUAL else ""),
    )


def in_python(error: LossCompilationError) -> str:
    """Why a loss runs in Python, in one line."""
    return f"The loss is called from Python, which is slower: {error.reason}."


def not_a_function(loss: Any) -> LossCompilationError:
    """The error for a callable that has no code for numba to compile."""
    if inspect.ismethod(loss):
        kind = "a bound method"
        advice = "write a function of theta, with what it needs of `self` as further arguments"
    elif isinstance(loss, functools.partial):
        kind = "a functools.partial"
        advice = "give the function itself, and the rest as further arguments: g(theta, *args)"
    else:
        kind = f"an object of type {type(loss).__name__}"
        advice = "give a function"
    return LossCompilationError(
        f"the loss is {kind}, which numba cannot compile: expected a function or an njit function; "
        f"{advice}, or: {RUN_IT_IN_PYTHON}",
        f"it is {kind}, which numba cannot compile",
    )


def untypable(loss: Any, argument: Any, position: int) -> LossCompilationError:
    """The error for an argument that compiled code cannot hold."""
    name, of = argument_name(loss, position), getattr(argument, "dtype", "")
    return LossCompilationError(
        f"numba cannot type the argument {name}, {describe(argument)}{of and f' of {of}'}: "
        "expected numbers, arrays of numbers, strings, or tuples, dicts and dataclasses of them "
        f"(a table as an array: .to_numpy()), or: {RUN_IT_IN_PYTHON}",
        f"numba cannot type the argument {name}, {describe(argument)}{of and f' of {of}'}",
    )


def no_signature(loss: Any, loss_types: tuple[Any, ...]) -> LossCompilationError:
    """The error for a loss compiled for signatures that do not include these types."""
    if not loss.nopython_signatures:
        return LossCompilationError(
            f"the loss {loss.__name__} is compiled in object mode, with no signature of its own: "
            f"expected an njit function, or: {RUN_IT_IN_PYTHON}",
            f"{loss.__name__} is compiled in object mode",
        )
    return LossCompilationError(
        f"the loss {loss.__name__} was compiled for fixed signatures "
        f"({'; '.join(map(str, loss.nopython_signatures))}), none of which takes "
        f"({', '.join(map(str, loss_types))}): leave the signature out, so that numba compiles it "
        "for what it is given",
        f"{loss.__name__} was compiled for fixed signatures, none of which takes "
        f"({', '.join(map(str, loss_types))})",
    )


def walks_over_dict(loss: Any, line: int) -> LossCompilationError:
    """The error for ``for key in d`` in compiled code, where a dict is a NamedTuple."""
    return LossCompilationError(
        f"the loss {loss.__name__} iterates over a dict ({_file(loss)}, line {line}), of which "
        "compiled code would get the values and not the keys: expected its keys written out, "
        f'd["key"], or: {RUN_IT_IN_PYTHON}',
        f"line {line} of {loss.__name__} iterates over a dict, whose keys numba does not have",
    )


def why_it_departs(loss: Any, values: Sequence[Any], error: Exception | None) -> str:
    """What may make compiled code depart from Python, for the end of a sentence; or nothing."""
    if isinstance(error, IndexError):
        return ": compiled code does not look whether an index is past the end"
    if error is not None:
        return ""
    operations = list(dis.get_instructions(loss))
    names = {i.argval for i in operations if i.opname.startswith("LOAD_")}
    kinds = {np.asarray(v).dtype.kind for v in values if isinstance(v, np.ndarray | int | float)}
    sizes = {getattr(v, "dtype", None) for v in values}
    arithmetic = any(i.opname.startswith("BINARY_OP") for i in operations)
    has_integers = kinds & {"i", "u"} or any(type(c) is int for c in loss.__code__.co_consts)
    if "random" in names:
        return ": compiled code draws from random streams of its own"
    if np.dtype(np.float32) in sizes:
        return ": compiled code adds up float32 numbers one by one, in float32"
    if any(type(v) is list for v in values):
        return ": a list of numbers is an array in compiled code, where * and + mean arithmetic"
    if arithmetic and has_integers:
        return ": compiled integers have 64 bits and overflow, or small ones do not"
    return ""


def wrong_return_type(loss: Any, got: Any) -> TypeError:
    """The error for a loss that compiles but does not return one real number."""
    from numba import types

    kinds = {
        "array": types.Array,
        "complex": types.Complex,
        "integer": types.Boolean | types.Integer,
        "none": types.NoneType | types.Optional,
    }
    kind = next((kind for kind, its_types in kinds.items() if isinstance(got, its_types)), "")
    if kind == "none" and not _returns(loss):
        return TypeError(
            f"the loss {name_of(loss)} raises an exception on every path: expected one that returns a "
            "real number (a float)"
        )
    return _wrong_return(loss, str(got), kind)


def _returns(loss: Any) -> bool:
    """Whether any path of a loss returns; Python writes no return behind what always raises."""
    operations = dis.get_instructions(getattr(loss, "py_func", loss))
    return any(operation.opname.startswith("RETURN_") for operation in operations)


def wrong_return_value(loss: Any, got: Any) -> TypeError:
    """The error for what a Python loss returned, if it is not one real number."""
    if isinstance(got, list | tuple):
        return _wrong_return(loss, f"a {type(got).__name__} of {len(got)}", "")
    if got is None:
        kind = "none"
    elif getattr(got, "ndim", False):
        kind = "array"
    else:
        kinds = {"c": "complex", "b": "integer", "i": "integer", "u": "integer"}
        kind = kinds.get(np.asarray(got).dtype.kind, "")
    return _wrong_return(loss, describe(got), kind)


def _wrong_return(loss: Any, got: str, kind: str) -> TypeError:
    advice = {
        "array": "reduce it to a number (for example with .sum() or .mean())",
        "complex": "return its real part or its modulus, whichever is minimised",
        "integer": "an integer or a boolean moves in jumps and has no derivative; return a float",
        "none": "it returns None on some path; return the loss on every one",
    }.get(kind, "return the loss alone")
    return TypeError(
        f"the loss {name_of(loss)} returns {got}: expected one real number (a float); {advice}"
    )


def require_argument_count(loss: Any, count: int) -> None:
    """Raise TypeError if the loss does not take ``count`` positional arguments."""
    try:
        signature = inspect.signature(getattr(loss, "py_func", loss))
    except (TypeError, ValueError):  # a builtin that does not tell
        return
    try:
        signature.bind(*range(count))
    except TypeError as error:
        raise TypeError(
            f"the loss {name_of(loss)}{signature} cannot be called with {count} positional argument"
            f"{'s' * (count != 1)} ({error}): {_how_to_call(loss, signature)}"
        ) from None


def require_taken(gradient: Any, count: int) -> None:
    """Raise TypeError if the gradient under test does not take what the loss takes."""
    try:
        signature = inspect.signature(gradient)
        signature.bind(*range(count))
    except ValueError:  # a builtin that does not tell
        return
    except TypeError as error:
        raise TypeError(
            f"the gradient under test, {name_of(gradient)}{signature}, cannot be called with {count} "
            f"positional argument{'s' * (count != 1)} ({error}): expected one that takes what the loss "
            "takes, theta and then the data; wrap it, lambda theta, *data: f(theta), with f your "
            "function"
        ) from None


def _how_to_call(loss: Any, signature: inspect.Signature) -> str:
    by_name = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    if not by_name:
        names = ", ".join(signature.parameters)
        return f"give what it takes, theta and then the data, in its own order: {names}"
    given = [p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    call = ", ".join([*given, *(f"{name}={name}" for name in by_name)])
    taken = ", ".join([*given, *by_name])
    return f"arguments go by position: give lambda {taken}: {name_of(loss)}({call})"


def place(layout: Layout, position: int, offset: float) -> str:
    """A perturbed point in a message: ``W1[3, 17] +7.63e-06``."""
    return f"{layout.name(position)} {offset:+.3g}" if offset else "the given parameters"


def place_along(offset: float) -> str:
    """A point on a line in a message."""
    return f"theta {offset:+.3g} along a direction" if offset else "the given parameters"


def loss_error(place: str, own: Exception | None) -> LossError:
    """The error for a loss that raised; ``own`` is what it raised, if it does so every time."""
    if own is None:
        return LossError(
            f"the loss raised at {place}, but not when it was run there again: expected a function "
            "of theta and its other arguments"
        )
    return LossError(f"the loss raised {type(own).__name__} at {place}: {text_of(own)}")


def text_of(error: Exception) -> str:
    """What an exception says, if it can."""
    try:
        return str(error)
    except Exception:
        return "(its message cannot be shown)"


def other_position(loss: Any, count: int) -> str:
    """What to do if theta is not the first of a loss's arguments, for the end of a message."""
    if count < 2:
        return ""
    first, last = argument_name(loss, 0), argument_name(loss, count - 1)
    return (
        f" (theta was given as the first argument, {first}: if it is another one, argnum= says which, "
        f"as argnum={last!r})"
    )


def wrote_to_theta(name: str, was: float, became: float) -> MutatedInputError:
    """The error for a loss that changed its own parameters."""
    return MutatedInputError(
        f"the loss wrote to its own parameters ({name} was {was:.17g}, became {became:.17g}): a "
        "loss must leave them alone; copy what it changes first"
    )


def reads_its_state(arguments: str, values: Sequence[float]) -> MutatedInputError:
    """The error for a loss whose value depends on what its earlier evaluations left behind."""
    shown = ", ".join(f"{v:.17g}" for v in values)
    return MutatedInputError(
        f"the loss gave different values at the same parameters ({shown}): it writes to {arguments} "
        "and reads it again: expected it to leave its arguments as they were; reset them at its start"
    )


def one_thread(reason: str) -> str:
    """A remark on a loss that threads cannot share."""
    return f"The loss ran on one thread: {reason}."


def scratch(names: Sequence[str]) -> str:
    """A remark on arguments of which every thread has its own."""
    return (
        f"The loss overwrites {' and '.join(names)} before it reads what was there: scratch, of which "
        "every thread had its own."
    )


RACES = "on several its values were others, so threads disturb each other in it"
"""Why a loss runs on one thread that shares something nobody told of."""


def name_of(loss: Any) -> str:
    return str(getattr(loss, "__name__", type(loss).__name__))


def _file(loss: Any) -> str:
    return str(loss.py_func.__code__.co_filename)


def _is_noise(line: str) -> bool:
    """Lines about numba's own workings: of what it tried, only why it failed."""
    return line.lstrip(" -").startswith(
        (
            "* (",
            "<source",
            "During:",
            "Enable logging",
            "Failed in nopython mode",
            "No match",
            "Of which",
            "Overload",
            "Operator Overload",
            "Rejected as",
            "There are",
            "This error may have been caused",
            "With argument(s)",
            "raised from",
        )
    )
