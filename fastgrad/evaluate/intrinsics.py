"""What adapters are made of: values stored in memory, and functions called, by address."""

from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgrad.evaluate.in_numpy import INTERRUPTED, LINE, RAISED


@intrinsic
def doubles_at(typingctx, address):
    """The float64 numbers at an address."""
    pointer_type = types.CPointer(types.float64)

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(pointer_type))

    return pointer_type(address), codegen


@intrinsic
def _word_at(typingctx, address):
    """The integer at an address."""

    def codegen(context, builder, signature, args):
        pointer_type = context.get_value_type(types.uintp).as_pointer()
        return builder.load(builder.inttoptr(args[0], pointer_type), align=8)

    return types.uintp(address), codegen


@njit
def own_arguments(theta_address, size):
    """The address of the arguments bound for one row of theta, which is in the line behind it."""
    return _word_at(theta_address + 8 * np.uintp(-(-size // LINE) * LINE))


@intrinsic
def _store(typingctx, value, address):
    def codegen(context, builder, signature, args):
        context.nrt.incref(builder, signature.args[0], args[0])
        builder.store(args[0], builder.inttoptr(args[1], args[0].type.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(value, address), codegen


@njit
def bind(values, memory):
    """Store values, and references to what they own, in memory; return its address."""
    _store(values, memory.ctypes.data)
    return memory.ctypes.data


@lru_cache(maxsize=256)
def loader(value_type: Any, borrowed: bool = True) -> Any:
    """Reads what `bind` stored at an address, its arrays without a reference of their own.

    Counting references, threads would wait for each other: by a third in a `delta` of 2 us. Where a
    function may keep what it is given, arrays are not ``borrowed``, and outlive the call.
    """

    @intrinsic
    def load(typingctx, address):
        def codegen(context, builder, signature, args):
            pointer = builder.inttoptr(args[0], context.get_value_type(value_type).as_pointer())
            value = builder.load(pointer, align=8)
            if borrowed:
                value = _borrowed(context, builder, value_type, value)
            context.nrt.incref(builder, value_type, value)
            return value

        return value_type(address), codegen

    return load


def _borrowed(context, builder, value_type, value):
    """The value with nothing in its arrays to count references by; who bound it keeps them."""
    if isinstance(value_type, types.Array):
        array = context.make_array(value_type)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        return array._getvalue()
    if isinstance(value_type, types.BaseTuple):
        for k, part_type in enumerate(value_type):
            part = builder.extract_value(value, k)
            borrowed = _borrowed(context, builder, part_type, part)
            value = builder.insert_value(value, borrowed, k)
    return value


@lru_cache(maxsize=256)
def releaser(value_type: Any) -> Any:
    """Gives back the references that `bind` took at an address."""

    @intrinsic
    def release(typingctx, address):
        def codegen(context, builder, signature, args):
            pointer = builder.inttoptr(args[0], context.get_value_type(value_type).as_pointer())
            context.nrt.decref(builder, value_type, builder.load(pointer, align=8))
            return context.get_dummy_value()

        return types.void(address), codegen

    return release


@lru_cache(maxsize=256)
def release_of(value_type: Any) -> Any:
    """`releaser` as a function that Python can call; compiled here: finalizers that call it may meet."""
    release = releaser(value_type)

    @njit(types.void(types.intp))
    def give_back(address):
        release(address)

    return give_back


def caller(result: Any, target: Any) -> Any:
    """``call(failed, parameters)``: a compiled function's value; if it raised, NaN and a flag.

    A function that returns an array returns an empty one then.

    Parameters
    ----------
    result : CompileResult
        Of the function.
    target : Signature
        What it was compiled for; ``parameters`` are converted to it, as numba would.
    """
    function_address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    is_number = isinstance(target.return_type, types.Float)
    returned = types.float64 if is_number else target.return_type

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
            with builder.if_then(status.is_error, likely=False):
                flag = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
                builder.store(ir.Constant(ir.IntType(8), RAISED), flag)
                with builder.if_then(status.is_python_exc):
                    _forget_python_exception(context, builder, flag)
            if is_number:
                nothing = context.get_constant(types.float64, float("nan"))
            else:
                nothing = context.get_constant_null(returned)
            value = context.cast(builder, value, target.return_type, returned)
            return builder.select(status.is_error, nothing, value)

        return returned(failed, parameters), codegen

    return call


def _converted(
    context: Any, builder: Any, given: list[Any], given_types: Any, types_wanted: Any
) -> list[Any]:
    """Arguments as the compiled loss takes them: defaults filled in, ``*args`` in a tuple."""
    wanted = list(types_wanted)
    starred = wanted.pop() if wanted and _is_star(wanted[-1]) else None
    values = [
        context.cast(builder, value, from_type, to_type)
        for value, from_type, to_type in zip(given, given_types, wanted, strict=False)
    ]
    values += [
        context.get_constant_generic(builder, omitted, omitted.value)
        for omitted in wanted[len(values) :]
    ]
    if starred is not None:
        values.append(context.make_tuple(builder, starred, given[len(wanted) :]))
    return values


def _is_star(argument_type: Any) -> bool:
    return isinstance(argument_type, types.StarArgTuple | types.StarArgUniTuple)


def _forget_python_exception(context: Any, builder: Any, flag: Any) -> None:
    """Clear what a block in object mode raised, which would surface at some later call.

    An interrupt is flagged as one, for Python to raise when the kernel has returned.
    """
    api = context.get_python_api(builder)
    matches = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.IntType(32), [cgutils.voidptr_t]),
        "PyErr_ExceptionMatches",
    )
    gil = api.gil_ensure()
    kind = builder.bitcast(api.get_c_object("PyExc_KeyboardInterrupt"), cgutils.voidptr_t)
    is_interrupt = cgutils.is_not_null(builder, builder.call(matches, [kind]))
    api.err_clear()
    api.gil_release(gil)
    with builder.if_then(is_interrupt, likely=False):
        builder.store(ir.Constant(ir.IntType(8), INTERRUPTED), flag)
