"""The user's functions of a structure -> C functions that the kernels call by address.

The same means as in `fastgrad.evaluate.adapters`: a short function is generated that rebuilds the
parameters and arguments and calls the user's own compiled function by its address, with numba's
error status. Here the loops over entries, numbers or samples are inside the C function, since one
of its calls costs as much as a short `delta` (it takes a reference to every argument).
"""

# mypy: allow-untyped-defs, allow-untyped-calls

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numba import carray, cfunc, types
from numba.core import cgutils
from numba.core.registry import CPUDispatcher, cpu_target
from numba.extending import intrinsic

from fastgrad.evaluate import explain
from fastgrad.evaluate.adapters import _names_in, _type_of
from fastgrad.evaluate.intrinsics import _converted, caller, doubles_at, loader, release_of
from fastgrad.evaluate.slabs import Cost
from fastgrad.evaluate.structured import kernels
from fastgrad.params import Layout


@dataclass(eq=False)
class CFunction:
    """A C function and the arguments it reads; what `adapters.BoundArguments` needs of it."""

    address: int
    arguments_size: int
    release: Any
    uses_blas: bool
    uses_random: bool
    keep: tuple[Any, ...]
    costs: dict[Any, Cost] = field(default_factory=lambda: defaultdict(Cost))
    """Of one row, by the sizes of what it reads."""


def typed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The numba types of a tuple of values."""
    return tuple(map(_type_of, values))


@lru_cache(maxsize=256)
def delta_function(
    functions: tuple[CPUDispatcher, ...],
    kinds: tuple[tuple[int, int], ...],
    layout: Layout,
    value_types: tuple[Any, ...],
) -> CFunction:
    """One C function of `kernels.DELTA_SIGNATURE` for all blocks.

    Parameters
    ----------
    functions : tuple of njit functions
    kinds : tuple of (int, int)
        For each: how many positions in lists lead the index, and how many axes follow.
    value_types : tuple
        Types of the bound arguments: the table of `Layout.adapter`, the plan of the blocks, the
        state, then the loss's own.
    """
    expression, records, _ = layout.adapter
    theta_type = numba.typeof(layout.native(np.zeros(layout.size)))
    state_type, *others = value_types[2:]
    calls, branches, results = {}, [], []
    names = ", ".join(f"arguments[{k + 3}]" for k in range(len(others)))
    for g, (function, (positions, axes)) in enumerate(zip(functions, kinds, strict=True)):
        count = positions + axes
        index_type = types.int64 if count < 2 else types.UniTuple(types.int64, count)
        given = (theta_type, state_type, index_type, types.float64, types.float64[::1], *others)
        result, signature = compiled(function, given, "delta")
        require_number(signature.return_type, function, "delta")
        results.append(result)
        calls[f"call{g}"] = caller(result, signature)
        branches.append(_branch(g, positions, axes, names))
    source = (
        "def adapter(theta_at, indices_at, offsets_at, values_at, failed, work_at,\n"
        "            size, rows, columns, work_size, arguments_at):\n"
        "    theta = carray(doubles_at(theta_at), (size,))\n"
        "    indices = carray(integers_at(indices_at), (rows,))\n"
        "    offsets = carray(doubles_at(offsets_at), (rows, columns))\n"
        "    values = carray(doubles_at(values_at), (rows, columns))\n"
        "    work = carray(doubles_at(work_at), (work_size,))\n"
        "    arguments = load(arguments_at)\n"
        "    table, plan, state = arguments[0], arguments[1], arguments[2]\n"
        f"    parameters = {expression}\n"
        "    b = 0\n"
        "    for r in range(rows):\n"
        "        i = indices[r]\n"
        "        if i < plan[b, 0]:\n"
        "            b = 0\n"
        "        while i >= plan[b, 1]:\n"
        "            b += 1\n"
        "        k = i - plan[b, 0]\n"
        "        group = plan[b, 2]\n"
        "        for c in range(columns):\n"
        "            h = offsets[r, c]\n"
        "            value = 0.0\n"
        "            if h != 0.0:\n"
        "                flag = failed + uintp(r * columns + c)\n"
        + "".join(branches)
        + "            values[r, c] = value\n"
        "    return 0\n"
    )
    scope = {
        "carray": carray,
        "uintp": np.uintp,
        "doubles_at": doubles_at,
        "integers_at": _integers_at,
        "load": loader(types.Tuple(value_types)),
        **calls,
        **{f"Record{k}": record for k, record in enumerate(records)},
    }
    return _c_function(kernels.DELTA_SIGNATURE, source, scope, value_types, results)


def _branch(g: int, positions: int, axes: int, names: str) -> str:
    """The call of one group's delta: its positions in lists, then the index in the block."""
    parts = [f"plan[b, {3 + p}]" for p in range(positions)]
    first = 3 + positions
    for axis in range(axes):
        inner = " * ".join(f"plan[b, {first + a}]" for a in range(axis + 1, axes))
        part = f"k // ({inner})" if inner else "k"
        parts.append(f"({part}) % plan[b, {first + axis}]" if axis else f"({part})")
    index = "0" if not parts else parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
    given = f"parameters, state, {index}, h, work, {names}"
    return (
        f"                {'el' if g else ''}if group == {g}:\n"
        f"                    value = call{g}(flag, ({given},))\n".replace(", ,", ",")
    )


@lru_cache(maxsize=256)
def map_function(function: CPUDispatcher) -> CFunction:
    """A scalar function of one number as a C function of `kernels.MAP_SIGNATURE`.

    Small functions are called directly, which LLVM inlines, and guarded as a whole.
    """
    result, signature = compiled(function, (types.float64,), "activation")
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
    scope = {
        "carray": carray,
        "doubles_at": doubles_at,
        "function": function,
        "set_flag": _set_flag,
    }
    return _c_function(kernels.MAP_SIGNATURE, source, scope, (), [result])


@lru_cache(maxsize=256)
def samples_function(function: CPUDispatcher, value_types: tuple[Any, ...]) -> CFunction:
    """``losses(Z, *args)``, shape (m,), as a C function of `kernels.SAMPLES_SIGNATURE`."""
    given = (types.float64[:, ::1], *value_types)
    result, signature = compiled(function, given, "losses")
    returned = signature.return_type
    if not (isinstance(returned, types.Array) and returned.ndim == 1):
        raise TypeError(
            f"losses ({function.__name__}) returns {returned}: expected an array of shape "
            "(m,), the loss of each row of Z"
        )
    names = "".join(f"arguments[{k}], " for k in range(len(value_types)))
    source = (
        "def adapter(Z_at, rows, columns, out_at, failed, arguments_at):\n"
        "    Z = carray(doubles_at(Z_at), (rows, columns))\n"
        "    out = carray(doubles_at(out_at), (rows,))\n"
        "    arguments = load(arguments_at)\n"
        f"    losses = call(failed, (Z, {names}))\n"
        "    if losses.size != rows:\n"
        "        set_flag(failed)\n"
        "    for s in range(min(rows, losses.size)):\n"
        "        out[s] = losses[s]\n"
        "    return 0\n"
    )
    scope = {
        "carray": carray,
        "doubles_at": doubles_at,
        "load": loader(types.Tuple(value_types)),
        "call": _array_caller(result, signature),
        "set_flag": _set_flag,
    }
    return _c_function(kernels.SAMPLES_SIGNATURE, source, scope, value_types, [result])


@lru_cache(maxsize=256)
def penalty_function(function: CPUDispatcher, value_types: tuple[Any, ...]) -> CFunction:
    """``penalty(w, *args)`` of one number as differences, of `kernels.DELTA_SIGNATURE`.

    ``values`` is added to, not written; there is no scratch.
    """
    result, signature = compiled(function, (types.float64, *value_types), "penalty")
    require_number(signature.return_type, function, "penalty")
    names = "".join(f"arguments[{k}], " for k in range(len(value_types)))
    source = (
        "def adapter(theta_at, indices_at, offsets_at, values_at, failed, work_at,\n"
        "            size, rows, columns, work_size, arguments_at):\n"
        "    theta = carray(doubles_at(theta_at), (size,))\n"
        "    indices = carray(integers_at(indices_at), (rows,))\n"
        "    offsets = carray(doubles_at(offsets_at), (rows, columns))\n"
        "    values = carray(doubles_at(values_at), (rows, columns))\n"
        "    arguments = load(arguments_at)\n"
        "    try:\n"
        "        for r in range(rows):\n"
        "            w = theta[indices[r]]\n"
        f"            there = function(w, {names})\n"
        "            for c in range(columns):\n"
        f"                values[r, c] += function(w + offsets[r, c], {names}) - there\n"
        "    except Exception:\n"
        "        set_flag(failed)\n"
        "    return 0\n"
    )
    scope = {
        "carray": carray,
        "doubles_at": doubles_at,
        "integers_at": _integers_at,
        "load": loader(types.Tuple(value_types)),
        "function": function,
        "set_flag": _set_flag,
    }
    return _c_function(kernels.DELTA_SIGNATURE, source, scope, value_types, [result])


@lru_cache(maxsize=256)
def penalty_slopes(function: CPUDispatcher, value_types: tuple[Any, ...]) -> CFunction:
    """Difference quotients of ``penalty(w, *args)``, of `kernels.SLOPES_SIGNATURE`."""
    result, _ = compiled(function, (types.float64, *value_types), "penalty")
    names = "".join(f"arguments[{k}], " for k in range(len(value_types)))
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
    scope = {
        "carray": carray,
        "doubles_at": doubles_at,
        "load": loader(types.Tuple(value_types)),
        "function": function,
        "scale_of": kernels.scale_of,
        "set_flag": _set_flag,
    }
    return _c_function(kernels.SLOPES_SIGNATURE, source, scope, value_types, [result])


def compiled(function: CPUDispatcher, given: tuple[Any, ...], what: str) -> tuple[Any, Any]:
    """numba's compile result of one of a structure's functions, and its resolved signature.

    Raises
    ------
    LossCompilationError, TypeError
        Naming the function, and numba's reason; or that it takes another number of arguments.
    """
    try:
        signature = types.Dispatcher(function).get_call_type(cpu_target.typing_context, given, {})
    except Warning:  # warnings as errors are the user's wish
        raise
    except Exception as error:
        explain.require_argument_count(function, len(given))
        raise explain.compilation_failure(function, given, error) from error
    if signature is None:
        raise explain.no_signature(function, given)
    return function.overloads[tuple(signature.args)], signature


def require_number(returned: Any, function: CPUDispatcher, what: str) -> None:
    """Raise TypeError unless one of a structure's functions returns a float."""
    if not isinstance(returned, types.Float):
        raise TypeError(
            f"{what} ({function.__name__}) returns {returned}: expected one real number (a float)"
        )


def _c_function(
    signature: Any,
    source: str,
    scope: dict[str, Any],
    value_types: tuple[Any, ...],
    results: list[Any],
) -> CFunction:
    exec(compile(source, "<fastgrad structure>", "exec"), scope)
    function = cfunc(signature)(scope["adapter"])
    arguments_type = types.Tuple(value_types)
    target = cpu_target.target_context
    names = "".join(_names_in(result.library) for result in results)
    return CFunction(
        address=function.address,
        arguments_size=max(8, target.get_abi_sizeof(target.get_value_type(arguments_type))),
        release=release_of(arguments_type),
        uses_blas="numba_xx" in names or "numba_ez_" in names,
        uses_random="numba_get_np_random_state" in names or "numba_get_py_random_state" in names,
        keep=(function, *results),
    )


@intrinsic
def _integers_at(typingctx, address):
    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int64)(address), codegen


@intrinsic
def _set_flag(typingctx, address):
    def codegen(context, builder, signature, args):
        flag_type = context.get_value_type(types.CPointer(types.uint8))
        builder.store(context.get_constant(types.uint8, 1), builder.inttoptr(args[0], flag_type))
        return context.get_dummy_value()

    return types.void(address), codegen


def _array_caller(result: Any, target: Any) -> Any:
    """``call(failed, parameters)``: the compiled function's array; empty where it raised."""
    function_address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)

    @intrinsic
    def call(typingctx, failed, parameters):
        def codegen(context, builder, signature, args):
            given = cgutils.unpack_tuple(builder, args[1])
            values = _converted(context, builder, given, signature.args[1].types, target.args)
            convention = context.call_conv
            function_type = convention.get_function_type(target.return_type, target.args)
            function = builder.inttoptr(
                context.get_constant(types.uintp, function_address), function_type.as_pointer()
            )
            status, value = convention.call_function(
                builder, function, target.return_type, target.args, values
            )
            flag_type = context.get_value_type(types.CPointer(types.uint8))
            with builder.if_then(status.is_error, likely=False):
                builder.store(
                    context.get_constant(types.uint8, 1), builder.inttoptr(args[0], flag_type)
                )
            nothing = context.get_constant_null(target.return_type)
            return builder.select(status.is_error, nothing, value)

        return target.return_type(failed, parameters), codegen

    return call
