"""What a problem is: a loss, its gradient, theta; in any of the forms that users write them in."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

EXPECTED = (
    "expected a tuple (loss, grad, theta, *args), something with fields loss, grad and theta, or a "
    "function without arguments that makes one"
)


class ProblemError(ValueError):
    """Something is no problem to check; the message says what was expected."""


@dataclass(frozen=True)
class Problem:
    """A loss, its gradient if there is one, theta, the other arguments, and options of check_grad."""

    loss: Callable[..., Any]
    grad: Any
    theta: Any
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def problem_of(found: Any, *, grad_needed: bool = True) -> Problem:
    """What was found, as a problem.

    Parameters
    ----------
    grad_needed : bool
        Whether a tuple must hold a gradient; else ``(loss, theta, *args)`` will do.

    Raises
    ------
    ProblemError
        It is none; the message says what was expected.
    """
    if isinstance(found, Mapping) and {"loss", "theta"} <= found.keys():
        problem = _of_fields(found.get, grad_needed)
    elif has_fields(found):
        problem = _of_fields(lambda name, default=None: getattr(found, name, default), grad_needed)
    elif isinstance(found, tuple):
        problem = _of_tuple(found, grad_needed)
    else:
        raise ProblemError(f"it is {type(found).__name__}: {EXPECTED}")
    if not callable(problem.loss):
        raise ProblemError(
            f"its loss is {type(problem.loss).__name__}: expected a function of theta; {EXPECTED}"
        )
    require_options(problem.options)
    return problem


def _of_fields(get: Callable[..., Any], grad_needed: bool) -> Problem:
    if grad_needed and get("grad") is None:
        raise ProblemError("it has a loss and a theta, but no grad: expected the gradient to check")
    args, options = get("args", ()), get("options", {})
    if not isinstance(args, tuple | list):
        raise ProblemError(f"its args are {type(args).__name__}: expected a tuple, such as (X, y)")
    return Problem(get("loss"), get("grad"), get("theta"), tuple(args), options or {})


def _of_tuple(found: tuple[Any, ...], grad_needed: bool) -> Problem:
    if len(found) >= 3 and (grad_needed or callable(found[1])):
        return Problem(found[0], found[1], found[2], found[3:])
    if len(found) >= 2 and not grad_needed:
        return Problem(found[0], None, found[1], found[2:])
    needed = "(loss, grad, theta, *args)" if grad_needed else "(loss, theta, *args)"
    raise ProblemError(f"it is a tuple of {len(found)}: expected {needed}")


def require_options(options: Any) -> None:
    from fastgrad.checking import check_grad

    if not isinstance(options, Mapping):
        raise ProblemError(f"its options are {type(options).__name__}: expected a dict")
    kinds = inspect.signature(check_grad).parameters.values()
    known = [p.name for p in kinds if p.kind is p.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(known)}"
            raise ProblemError(f"check_grad has no option {name!r}: {hint}")


def has_fields(found: Any) -> bool:
    return hasattr(found, "loss") and hasattr(found, "theta")
