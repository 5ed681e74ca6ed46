"""Scratch arguments: arrays that a loss overwrites before it reads them; each thread has its own.

They are given by name, or recognised: the value of the loss does not change with what is in them.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fastgrad.arrays import Array
from fastgrad.evaluate.explain import name_of
from fastgrad.evaluate.signature import argument_name
from fastgrad.parameters.arguments import Argnum, place_of

Arguments = tuple[Any, ...]


def positions_of(loss: Any, scratch: Any, argnum: Argnum, count: int) -> tuple[int, ...]:
    """The positions of scratch arguments among the ``count`` others, theta apart.

    Parameters
    ----------
    scratch : None, str, int, or sequence of them
        Names of parameters of the loss, or their positions.

    Raises
    ------
    ValueError
        There is no such argument.
    """
    if scratch is None:
        return ()
    given = [scratch] if isinstance(scratch, str | int) else list(scratch)
    parameters = list(inspect.signature(getattr(loss, "py_func", loss)).parameters)
    known = [place_of(k, argnum) for k in range(count)]
    found = []
    for one in given:
        k = parameters.index(one) if one in parameters else one
        if k not in known:
            names = ", ".join(argument_name(loss, k) for k in known) or "none"
            raise ValueError(
                f"scratch={one!r}: expected one of the other arguments of {name_of(loss)} ({names})"
            )
        found.append(known.index(k))
    return tuple(found)


def with_copies(arguments: Arguments, positions: Sequence[int]) -> Arguments:
    """The arguments with copies at some positions."""
    return tuple(
        value.copy() if k in positions and isinstance(value, np.ndarray) else value
        for k, value in enumerate(arguments)
    )


def is_overwritten(
    values: Callable[[Arguments], bytes], arguments: Arguments, positions: Sequence[int]
) -> bool:
    """Whether a loss gives the same values whatever is in its arguments at some positions.

    And leaves the same numbers there wherever it writes: a counter that it adds to is no scratch.

    Parameters
    ----------
    values : callable
        ``values(arguments)``: the bits of some values of the loss; it may write to the arguments.
    arguments : tuple
        Left alone.
    positions : sequence of int
        Of arrays of numbers.
    """
    if not all(_is_numbers(arguments[k]) for k in positions):
        return False
    seen, left = set(), []
    for filled in zip(*(_fillings(arguments[k]) for k in positions), strict=True):
        given = list(arguments)
        for k, array in zip(positions, filled, strict=True):
            given[k] = array.copy()
        seen.add(values(tuple(given)))
        left.append([_where_written(given[k], f) for k, f in zip(positions, filled, strict=True)])
    return len(seen) == 1 and all(_agree([one[j] for one in left]) for j in range(len(positions)))


def _where_written(after: Array, before: Array) -> tuple[Array, Array]:
    """What is in an array, and whether it was in each place before."""
    return after, (after == before) | ((after != after) & (before != before))


def _agree(left: Sequence[tuple[Array, Array]]) -> bool:
    """Whether all runs left the same in places that any of them wrote to."""
    first = left[0][0]
    untouched = np.all([kept for _, kept in left], axis=0)
    same = np.all([(a == first) | ((a != a) & (first != first)) for a, _ in left], axis=0)
    return bool(np.all(untouched | same))


def _is_numbers(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fciub"


def _fillings(array: Array) -> Iterable[Array]:
    """An array of the same kind with other numbers in it; integers may be indices, and stay small."""
    yield array.copy()
    if array.dtype.kind in "fc":
        rng = np.random.default_rng(0)
        for filling in (np.nan, rng.normal(size=array.shape), np.float64(-1e3)):
            made = array.copy()
            made[...] = filling
            yield made
    else:
        yield np.zeros_like(array)
        yield np.zeros_like(array)
        yield array[::-1].copy() if array.ndim else array.copy()
