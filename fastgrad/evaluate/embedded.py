"""A numerical gradient that compiled code calls: an njit function made around an njit loss."""

# mypy: allow-untyped-defs, allow-untyped-calls

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload
from numba.typed import List

from fastgrad.evaluate.kernels import fill_steps, fill_units, row_of_one, rows_of_threads, slopes_of
from fastgrad.evaluate.units import SETTINGS
from fastgrad.numerics.stencils import Stencil

SHORTENED = 16
"""How often a step is divided by 8 where the loss is not finite: 2^-17 down to 2^-65."""


def embedded(
    loss: Any, argnum: int, stencil: Stencil, step: float | None, parallel: bool = False
) -> Any:
    """An njit function of the arguments of the loss: its gradient by one of them.

    The parameters are an array of any shape, a number, or tuples, NamedTuples and typed Lists of them;
    each entry is differenced as by `fastgrad.grad`, but that steps are not lengthened in noise. Nothing
    is raised: where the loss is not finite at any step, the slope is NaN.

    Parameters
    ----------
    loss : njit function
    argnum : int
    stencil : Stencil
    step : float or None
        The absolute step; None for that of the entry's unit.
    parallel : bool
        Whether the entries are shared by all of numba's threads.
    """
    plus, minus, weight = zip(*stencil.pairs, strict=True)
    scope: dict[str, Any] = {
        "loss": loss,
        "flat": _flat,
        "rows": rows_of_threads if parallel else row_of_one,
        "shaped": _shaped,
        "steps": _steps(stencil, step),
        "isfinite": np.isfinite,
        "nan": np.nan,
        "SHORTENED": SHORTENED if step is None else 1,
        "PLUS": tuple(map(float, plus)),
        "MINUS": tuple(map(float, minus)),
        "WEIGHT": tuple(map(float, weight)),
    }
    exec(compile(_source(argnum), "<fastgrad gradient>", "exec"), scope)
    slope = njit(nogil=True, error_model="numpy")(scope["slope"])
    scope["slopes"] = slopes_of(slope, parallel)
    made = njit(nogil=True)(scope["gradient"])
    made.__name__ = f"gradient of {loss.__name__}"
    return made


def _source(argnum: int) -> str:
    """The code of the slope of an entry, and of the gradient that asks for all of them."""
    before = [f"before{k}" for k in range(argnum)]
    given = ", ".join([*before, "theta", "*rest"])
    named = [f"    {name} = arguments[{k + 1}]\n" for k, name in enumerate(before)]
    return (
        "def slope(row, theta, i, h, arguments):\n"
        f"{''.join(named)}"
        f"    rest = arguments[{argnum + 1}:]\n"
        "    x = row[i]\n"
        "    for _ in range(SHORTENED):\n"
        "        found = 0.0\n"
        "        for p in range(len(PLUS)):\n"
        "            above, below = x + PLUS[p] * h, x + MINUS[p] * h\n"
        "            row[i] = above\n"
        f"            up = loss({_call(before, 'shaped(row, theta)')})\n"
        "            row[i] = below\n"
        f"            down = loss({_call(before, 'shaped(row, theta)')})\n"
        "            found += WEIGHT[p] * ((up - down) / (above - below))\n"
        "        row[i] = x\n"
        "        if isfinite(found):\n"
        "            return found\n"
        "        h /= 8.0\n"
        "    return nan\n"
        f"def gradient({given}):\n"
        "    row = flat(theta)\n"
        "    gradient = steps(theta, row)\n"
        # Threads take tuples of other things, and not what was given as *rest.
        f"    arguments = ({', '.join(['row', *before])},) + rest\n"
        "    slopes(rows(row), theta, gradient, arguments)\n"
        "    return shaped(gradient, theta)\n"
    )


def _call(before: list[str], theta: str) -> str:
    return ", ".join([*before, theta, "*rest"])


def _steps(stencil: Stencil, step: float | None) -> Any:
    """An njit function of theta, and of theta in a row: the step of each entry."""
    if step is not None:
        return njit(lambda theta, row: np.full(row.size, step))
    at_unit_scale, order = stencil.step, stencil.order

    @njit
    def steps(theta, row):
        stops = np.empty(_blocks(theta), np.int64)
        _fill_stops(theta, stops, 0, 0)
        units, one_unit = np.empty(row.size), np.empty(stops.size, np.bool_)
        fill_units(units, row, stops, one_unit, SETTINGS)
        fill_steps(units, row, stops, one_unit, at_unit_scale, order)
        return units

    return steps


@njit
def _flat(theta):
    """A copy of theta as a flat array of floats."""
    row = np.empty(_size(theta))
    _fill(theta, row, 0)
    return row


@njit
def _shaped(row, theta):
    """A flat array in the structure of theta."""
    return _taken(theta, row, 0)


NUMBER = types.Float | types.Integer


def _size(part):
    """The number of entries of a part of theta."""


@overload(_size)
def _size_of(part):
    return _over(part, lambda part: 1, lambda part: part.size, "total += _size({})")


def _blocks(part):
    """The number of arrays and numbers in a part of theta."""


@overload(_blocks)
def _blocks_of(part):
    return _over(part, lambda part: 1, lambda part: 1, "total += _blocks({})")


def _over(part: Any, number: Any, array: Any, line: str) -> Any:
    """A function of one part of theta: of a number, of an array, or a sum over what is inside."""
    if isinstance(part, NUMBER):
        return number
    if isinstance(part, types.Array):
        return array
    return _made("part", "total = 0", part, line, "total")


def _fill(part, row, at):
    """Write a part of theta to a row, from ``at`` on; return where it ends."""


@overload(_fill)
def _fill_of(part, row, at):
    if isinstance(part, NUMBER):
        return _fill_number
    if isinstance(part, types.Array):
        return _fill_array
    return _made("part, row, at", "total = at", part, "total = _fill({}, row, total)", "total")


def _fill_number(part, row, at):
    row[at] = part
    return at + 1


def _fill_array(part, row, at):
    for value in part.flat:
        row[at] = value
        at += 1
    return at


def _fill_stops(part, stops, k, at):
    """Write where each block of a part ends, from the k-th on and from ``at``; return the next k."""


@overload(_fill_stops)
def _fill_stops_of(part, stops, k, at):
    if isinstance(part, NUMBER | types.Array):
        return _fill_stop
    line = "k, at = _fill_stops({0}, stops, k, at), at + _size({0})"
    return _made("part, stops, k, at", "pass", part, line, "k")


def _fill_stop(part, stops, k, at):
    stops[k] = at + _size(part)
    return k + 1


def _taken(part, row, at):
    """What stands in a row from ``at`` on, in the structure of a part of theta."""


@overload(_taken)
def _taken_of(part, row, at):
    if isinstance(part, NUMBER):
        return lambda part, row, at: row[at]
    if isinstance(part, types.Array) and part.ndim == 1:
        return lambda part, row, at: row[at : at + part.size]
    if isinstance(part, types.Array):
        return lambda part, row, at: row[at : at + part.size].reshape(part.shape)
    if isinstance(part, types.ListType):
        return _taken_list
    if not isinstance(part, types.BaseTuple):
        return None
    lines = [f"a{k} = _taken(part[{k}], row, at); at += _size(part[{k}])" for k in range(len(part))]
    given = ", ".join(f"a{k}" for k in range(len(part)))
    named = isinstance(part, types.BaseNamedTuple)
    scope = {"Record": part.instance_class} if named else {}
    returned = f"Record({given})" if named else f"({given},)"
    return _compiled("part, row, at", [*lines, f"return {returned}"], scope)


def _taken_list(part, row, at):
    made = List()
    for item in part:
        made.append(_taken(item, row, at))
        at += _size(item)
    return made


def _made(given: str, first: str, part: Any, line: str, returned: str) -> Any:
    """A function that does a line for everything in a tuple or a typed List; None for other types."""
    if isinstance(part, types.BaseTuple):
        lines = [line.format(f"part[{k}]") for k in range(len(part))]
    elif isinstance(part, types.ListType):
        lines = ["for item in part:", f"    {line.format('item')}"]
    else:
        return None
    return _compiled(given, [first, *lines, f"return {returned}"], {})


def _compiled(given: str, lines: list[str], scope: dict[str, Any]) -> Any:
    """A function of some lines."""
    source = "\n    ".join([f"def function({given}):", *lines])
    known = {"_size": _size, "_blocks": _blocks, "_fill": _fill, "_fill_stops": _fill_stops}
    scope = {**known, "_taken": _taken, **scope}
    exec(compile(source, "<fastgrad gradient>", "exec"), scope)
    return scope["function"]
