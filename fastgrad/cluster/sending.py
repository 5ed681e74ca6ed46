"""A loss as bytes for other processes; what cannot be sent is named."""

import pickle
from collections.abc import Callable, Iterator
from typing import Any

from fastgrad.errors import ExecutorError
from fastgrad.evaluate.explain import name_of
from fastgrad.evaluate.read_from_outside import values_read
from fastgrad.evaluate.signature import argument_name
from fastgrad.parameters.arguments import place_of

NEEDED = "needs cloudpickle: pip install 'fastgrad[distributed]'"


def pickled(job: Any) -> bytes:
    """A job as bytes: by cloudpickle, which knows closures and lambdas, where it is installed.

    Raises
    ------
    ExecutorError
        A part of it cannot be sent; the message names it.
    """
    dumps, has_cloudpickle = _dumps()
    try:
        return dumps(job)
    except Exception as error:
        for name, part in _parts(job):
            why = _refusal(dumps, part)
            if why:
                advice = (
                    "make it inside the loss, or leave it out of what the loss refers to"
                    if has_cloudpickle
                    else f"to send closures and lambdas {NEEDED}"
                )
                raise ExecutorError(
                    f"{name} cannot be sent to another process ({why}): {advice}"
                ) from error
        raise


def pickled_part(value: Any, name: str) -> bytes:
    """Anything as bytes; ``name`` is what to call it in a message.

    Raises
    ------
    ExecutorError
    """
    dumps, has_cloudpickle = _dumps()
    try:
        return dumps(value)
    except Exception as error:
        advice = "" if has_cloudpickle else f"; to send closures and lambdas {NEEDED}"
        raise ExecutorError(
            f"{name} cannot be sent to another process ({type(error).__name__}: {error}){advice}"
        ) from error


def _dumps() -> tuple[Callable[[Any], bytes], bool]:
    try:
        import cloudpickle
    except ModuleNotFoundError:
        return pickle.dumps, False
    return cloudpickle.dumps, True


def _parts(job: Any) -> Iterator[tuple[str, Any]]:
    """What may be to blame, the smallest first, by name."""
    loss, inputs, running, *_ = job
    loss = getattr(loss, "__wrapped__", loss)  # what is asked of, in the place of its projection
    name = name_of(loss)
    plain = getattr(loss, "py_func", loss)
    plain = getattr(plain, "__func__", plain)
    if hasattr(plain, "__code__"):
        for read, value in values_read(plain):
            yield f"{read}, which {name} reads from outside,", value
    if hasattr(loss, "__self__"):
        yield f"{type(loss.__self__).__name__}, whose method {name} is,", loss.__self__
    for k, value in enumerate(inputs.arguments):
        place = place_of(k, inputs.argnum)
        yield f"the argument {argument_name(loss, place)}", value
    yield f"the loss {name}", loss
    yield "theta", inputs.layout
    yield "an option", running


def _refusal(dumps: Callable[[Any], bytes], part: Any) -> str:
    """Why a part cannot be sent, in a line; empty if it can."""
    try:
        dumps(part)
    except Exception as error:
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return ""
