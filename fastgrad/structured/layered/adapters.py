"""The functions of `fastgrad.structured.Layered` as C functions; see `adapters`."""

# mypy: allow-untyped-defs, allow-untyped-calls

from functools import lru_cache
from typing import Any

from numba import types
from numba.core.registry import CPUDispatcher

from fastgrad.evaluate.adapters import CFunction, compiled_for
from fastgrad.evaluate.intrinsics import caller
from fastgrad.structured import kernels
from fastgrad.structured.adapters import DELTA_HEAD, c_function, require_number


@lru_cache(maxsize=256)
def map_function(function: CPUDispatcher) -> CFunction:
    """A scalar function of one number as a C function of `kernels.MAP_SIGNATURE`.

    Small functions are called directly, which LLVM inlines, and guarded as a whole.
    """
    result, signature = compiled_for(function, (types.float64,))
    require_number(signature.return_type, function, "activation")
    source = (
        "def adapter(numbers_at, count, failed):\n"
        "    numbers = carray(doubles_at(numbers_at), (count,))\n"
        "    try:\n"
        "        for k in range(count):\n"
        "            numbers[k] = function(numbers[k])\n"
        "    except Exception:\n"
        "        set_flag(failed)\n"
        "    return 0\n"
    )
    return c_function(kernels.MAP_SIGNATURE, source, (), [result], function=function)


@lru_cache(maxsize=256)
def samples_function(function: CPUDispatcher, value_types: tuple[Any, ...]) -> CFunction:
    """``losses(Z, *args)``, shape (m,), as a C function of `kernels.SAMPLES_SIGNATURE`."""
    result, signature = compiled_for(function, (types.float64[:, ::1], *value_types))
    returned = signature.return_type
    if not (isinstance(returned, types.Array) and returned.ndim == 1):
        raise TypeError(
            f"losses ({function.__name__}) returns {returned}: expected an array of shape "
            "(m,), the loss of each row of Z"
        )
    source = (
        "def adapter(Z_at, rows, columns, out_at, failed, arguments_at):\n"
        "    Z = carray(doubles_at(Z_at), (rows, columns))\n"
        "    out = carray(doubles_at(out_at), (rows,))\n"
        "    arguments = load(arguments_at)\n"
        f"    losses = call(failed, (Z, {_read(value_types)}))\n"
        "    if losses.size != rows:\n"
        "        set_flag(failed)\n"
        "    for s in range(min(rows, losses.size)):\n"
        "        out[s] = losses[s]\n"
        "    return 0\n"
    )
    call = caller(result, signature)
    return c_function(kernels.SAMPLES_SIGNATURE, source, value_types, [result], call=call)


@lru_cache(maxsize=256)
def penalty_function(function: CPUDispatcher, value_types: tuple[Any, ...]) -> CFunction:
    """``penalty(w, *args)`` of one number as differences, of `kernels.DELTA_SIGNATURE`.

    ``values`` is added to, not written; there is no scratch.
    """
    result, signature = compiled_for(function, (types.float64, *value_types))
    require_number(signature.return_type, function, "penalty")
    names = _read(value_types)
    source = (
        DELTA_HEAD + "    try:\n"
        "        for r in range(rows):\n"
        "            w = theta[indices[r]]\n"
        f"            there = function(w, {names})\n"
        "            for c in range(columns):\n"
        f"                values[r, c] += function(w + offsets[r, c], {names}) - there\n"
        "    except Exception:\n"
        "        set_flag(failed)\n"
        "    return 0\n"
    )
    return c_function(kernels.DELTA_SIGNATURE, source, value_types, [result], function=function)


@lru_cache(maxsize=256)
def penalty_slopes(function: CPUDispatcher, value_types: tuple[Any, ...]) -> CFunction:
    """Difference quotients of ``penalty(w, *args)``, of `kernels.SLOPES_SIGNATURE`."""
    result, _ = compiled_for(function, (types.float64, *value_types))
    names = _read(value_types)
    source = (
        "def adapter(theta_at, nodes_at, slopes_at, failed, arguments_at,\n"
        "            start, stop, count, step):\n"
        "    theta = carray(doubles_at(theta_at), (stop,))\n"
        "    nodes = carray(doubles_at(nodes_at), (count, 3))\n"
        "    slopes = carray(doubles_at(slopes_at), (stop,))\n"
        "    arguments = load(arguments_at)\n"
        "    try:\n"
        "        for p in range(count):\n"
        "            plus, minus, weight = nodes[p, 0], nodes[p, 1], nodes[p, 2]\n"
        "            for i in range(start, stop):\n"
        "                h = step * scale_of(theta[i])\n"
        "                above, below = theta[i] + plus * h, theta[i] + minus * h\n"
        f"                change = function(above, {names}) - function(below, {names})\n"
        "                slopes[i] += weight * change / (above - below)\n"
        "    except Exception:\n"
        "        set_flag(failed)\n"
        "    return 0\n"
    )
    scope = {"function": function, "scale_of": kernels.scale_of}
    return c_function(kernels.SLOPES_SIGNATURE, source, value_types, [result], **scope)


def _read(value_types: tuple[Any, ...]) -> str:
    """The loss's arguments in a generated source."""
    return "".join(f"arguments[{k}], " for k in range(len(value_types)))
