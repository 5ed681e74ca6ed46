"""The arguments of a loss: which of them theta is, by position or by name, and what they are called."""

import inspect
from collections.abc import Mapping
from typing import Any

from fastgrad.parameters.arguments import Argnum, place_of, several
from fastgrad.parameters.trees import describe


def positions(loss: Any, argnum: Any, beside: int | None = None) -> Any:
    """Positions of arguments that are given by position or by name: an int, or a tuple of several.

    Parameters
    ----------
    beside : int, optional
        How many arguments there are beside theta, where that is known.

    Raises
    ------
    ValueError
        No such argument, or one twice.
    TypeError
        Fewer others than come before it.
    """
    if not isinstance(argnum, tuple | list):
        position = _position(loss, argnum)
        if beside is not None and position > beside:
            raise TypeError(
                f"argnum={position}: expected at least {position} arguments beside theta, got {beside} "
                "(argnum counts the arguments of the loss from 0 on)"
            )
        return position
    found = tuple(_position(loss, which) for which in argnum)
    if not found or len(set(found)) < len(found):
        raise ValueError(f"argnum={argnum!r}: expected different arguments, at least one")
    return found


def _position(loss: Any, which: Any) -> int:
    if isinstance(which, int) and not isinstance(which, bool) and which >= 0:
        return which
    names = _parameter_names(loss)
    if which not in names:
        raise ValueError(
            f"argnum={which!r}: expected the position of an argument, from 0, or its name"
            + (f": {', '.join(map(repr, names))}" if names else "")
        )
    return names.index(which)


def root_name(loss: Any, argnum: Argnum) -> str:
    """What entries of a theta that is a single array are called."""
    return argument_name(loss, argnum) if isinstance(argnum, int) and argnum else "theta"


def as_arguments(loss: Any, theta: Any, argnum: Argnum) -> Any:
    """Theta; of several arguments, in a NamedTuple of their names.

    Raises
    ------
    TypeError
        It is not one part for each argument.
    """
    if isinstance(argnum, int):
        return theta
    names = tuple(argument_name(loss, k) for k in argnum)
    if isinstance(theta, Mapping) and set(theta) == set(names):
        theta = tuple(theta[name] for name in names)
    if not isinstance(theta, tuple | list) or len(theta) != len(names):
        raise TypeError(
            f"argnum={argnum}: expected theta to be a tuple of {', '.join(names)}, got "
            f"{describe(theta)}"
        )
    return several(names)(*theta)


def argument_name(loss: Any, position: int) -> str:
    """What the loss itself calls an argument."""
    named = _parameter_names(loss)
    return named[position] if position < len(named) else f"argument{position}"


def name_beside(loss: Any, argnum: Argnum, other: int) -> str:
    """What the loss calls one of the arguments beside theta, by its position among these."""
    return argument_name(loss, place_of(other, argnum))


def _parameter_names(loss: Any) -> list[str]:
    """Names of the arguments that are given by position."""
    try:
        parameters = inspect.signature(getattr(loss, "py_func", loss)).parameters.values()
    except (TypeError, ValueError):  # a builtin that does not tell
        return []
    return [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_POSITIONAL]


def signature_of(loss: Any) -> inspect.Signature:
    """The parameters of a loss by name; those of any function where it does not tell."""
    anything = inspect.Signature(
        [
            inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
        ]
    )
    try:
        found = inspect.signature(getattr(loss, "py_func", loss))
    except (TypeError, ValueError):  # a builtin that does not tell
        return anything
    # Names alone: annotations and defaults may be anything, and gradients are pickled.
    plain = [p.replace(annotation=p.empty, default=p.empty) for p in found.parameters.values()]
    return inspect.Signature(plain)
