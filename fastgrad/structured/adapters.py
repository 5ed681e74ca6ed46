"""The user's functions of a structure -> C functions that the kernels call by address.

The same means as in `fastgrad.evaluate.adapters`: a short function is generated that rebuilds the
parameters and arguments and calls the user's own compiled function by its address, with numba's
error status. Here the loops over entries, numbers or samples are inside the C function, since one
of its calls costs as much as a short `delta` (it takes a reference to every argument).
"""

# mypy: allow-untyped-defs, allow-untyped-calls

from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numba import carray, cfunc, types
from numba.core.registry import CPUDispatcher, cpu_target
from numba.extending import intrinsic

from fastgrad.evaluate.adapters import CFunction, compiled_for, type_of
from fastgrad.evaluate.disk_cache import forgiving_all
from fastgrad.evaluate.intrinsics import caller, doubles_at, loader, release_of
from fastgrad.parameters.layout import Layout
from fastgrad.structured import kernels
from fastgrad.structured.delta_plan import DeltaPlan

forgiving_all(kernels)

DELTA_HEAD = """\
def adapter(theta_at, indices_at, offsets_at, values_at, failed, work_at,
            size, rows, columns, work_size, arguments_at):
    theta = carray(doubles_at(theta_at), (size,))
    indices = carray(integers_at(indices_at), (rows,))
    offsets = carray(doubles_at(offsets_at), (rows, columns))
    values = carray(doubles_at(values_at), (rows, columns))
    arguments = load(arguments_at)
"""
"""How the source of a function of `kernels.DELTA_SIGNATURE` begins."""


def typed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The numba types of a tuple of values."""
    return tuple(map(type_of, values))


@lru_cache(maxsize=256)
def delta_function(plan: DeltaPlan, layout: Layout, value_types: tuple[Any, ...]) -> CFunction:
    """One C function of `kernels.DELTA_SIGNATURE` for all blocks.

    Parameters
    ----------
    plan : DeltaPlan
    value_types : tuple
        Types of the bound arguments: the table of `Layout.adapter`, the plan of the blocks, the
        state, then the loss's own.
    """
    expression, records, _ = layout.adapter
    theta_type = numba.typeof(layout.native(np.zeros(layout.size)))
    state_type, *others = value_types[2:]
    calls, branches, results = {}, [], []
    names = ", ".join(f"arguments[{k + 3}]" for k in range(len(others)))
    for g, (function, (positions, axes)) in enumerate(zip(plan.functions, plan.kinds, strict=True)):
        count = positions + axes
        index_type = types.int64 if count < 2 else types.UniTuple(types.int64, count)
        given = (theta_type, state_type, index_type, types.float64, types.float64[::1], *others)
        result, signature = compiled_for(function, given)
        require_number(signature.return_type, function, "delta")
        results.append(result)
        calls[f"call{g}"] = caller(result, signature)
        branches.append(_branch(g, positions, axes, names))
    source = _delta_source(expression, branches)
    scope = {**calls, **{f"Record{k}": record for k, record in enumerate(records)}}
    return c_function(kernels.DELTA_SIGNATURE, source, value_types, results, **scope)


def _delta_source(parameters: str, branches: list[str]) -> str:
    """The loop over entries and offsets, with the calls of all groups in it."""
    return (
        DELTA_HEAD + "    work = carray(doubles_at(work_at), (work_size,))\n"
        "    table, plan, state = arguments[0], arguments[1], arguments[2]\n"
        f"    parameters = {parameters}\n"
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


def require_number(returned: Any, function: CPUDispatcher, what: str) -> None:
    """Raise TypeError unless one of a structure's functions returns a float."""
    if not isinstance(returned, types.Float):
        raise TypeError(
            f"{what} ({function.__name__}) returns {returned}: expected one real number (a float)"
        )


def c_function(
    signature: Any, source: str, value_types: tuple[Any, ...], results: list[Any], **scope: Any
) -> CFunction:
    """The function ``adapter`` of a generated source, which reads arguments of these types.

    ``results`` are those of the user's functions that it calls by address.
    """
    arguments_type = types.Tuple(value_types)
    known = {"carray": carray, "doubles_at": doubles_at, "integers_at": _integers_at}
    known |= {"set_flag": _set_flag, "uintp": np.uintp, "load": loader(arguments_type)}
    exec(compile(source, "<fastgrad structure>", "exec"), scope := {**known, **scope})
    function = cfunc(signature)(scope["adapter"])
    target = cpu_target.target_context
    return CFunction(
        address=function.address,
        arguments_size=max(8, target.get_abi_sizeof(target.get_value_type(arguments_type))),
        release=release_of(arguments_type),
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
