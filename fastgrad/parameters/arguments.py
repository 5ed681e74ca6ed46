"""Theta among the arguments of a loss: it is one of them, or a tuple of several."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from fastgrad.parameters.trees import BY_POSITION, named_tuple

Argnum: TypeAlias = Any
"""Position of theta, an int; or of each of its parts, a tuple of them."""


def merged(theta: Any, others: Sequence[Any], argnum: Argnum) -> list[Any]:
    """All arguments in the order of the loss.

    Examples
    --------
    >>> merged("theta", ["x", "y"], 1)
    ['x', 'theta', 'y']
    >>> merged(("sigma", "mu"), ["x"], (2, 1))
    ['x', 'mu', 'sigma']
    """
    every = list(others)
    if isinstance(argnum, int):
        every.insert(argnum, theta)
        return every
    for position, part in sorted(zip(argnum, theta, strict=True), key=lambda pair: pair[0]):
        every.insert(position, part)
    return every


def taken(every: Sequence[Any], argnum: Argnum) -> tuple[Any, tuple[Any, ...]]:
    """Theta, and the other arguments: what `merged` puts together."""
    if isinstance(argnum, int):
        return every[argnum], (*every[:argnum], *every[argnum + 1 :])
    return tuple(every[k] for k in argnum), tuple(
        value for k, value in enumerate(every) if k not in argnum
    )


def place_of(other: int, argnum: Argnum) -> int:
    """Position among all arguments of one of the others."""
    for position in [argnum] if isinstance(argnum, int) else sorted(argnum):
        other += other >= position
    return other


def last_of(argnum: Argnum) -> int:
    """The largest position that theta takes."""
    return argnum if isinstance(argnum, int) else max(argnum)


@lru_cache(maxsize=1024)
def several(names: tuple[str, ...]) -> type:
    """The NamedTuple of parts of theta that are arguments of these names; matched by position too."""
    made: type = named_tuple("Arguments", names)
    setattr(made, BY_POSITION, True)
    return made
