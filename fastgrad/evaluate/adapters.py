"""A user's loss of any parameters and arguments -> one C function of a flat theta.

The kernels know a single signature, `kernels.LOSS_SIGNATURE`. What stands between it and a user's
njit function is generated here: the function builds the loss's own parameters as views of the flat
theta, reads its other arguments from where `BoundArguments` put them, and calls the loss *by its
address*. So the loss is compiled once, as its own user would, and the adapter adds about 0.05 s
however large the loss is (taking the loss in again cost 0.7 s for a small net). A call by address
also hands back numba's own error status, where an exception crossing a C boundary would be lost.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.core.errors import NumbaError
from numba.core.registry import CPUDispatcher, cpu_target
from numba.extending import intrinsic

from fastgrad.errors import LossCompilationError
from fastgrad.evaluate.explain import compilation_failure, wrong_return_type
from fastgrad.evaluate.kernels import LOSS_SIGNATURE
from fastgrad.params import Layout, native_argument


@dataclass(eq=False)
class CompiledLoss:
    """A loss as the kernels call it, for one structure of theta and one list of argument types."""

    address: int
    arguments_size: int
    release: Any
    """Gives back what `BoundArguments` took, given its address."""
    uses_blas: bool
    uses_random: bool
    is_parallel: bool
    keep: tuple[Any, ...]
    """What owns the machine code behind ``address``."""
    seconds: dict[int, float] = field(default_factory=dict)
    """Measured time of one evaluation, by the number of bytes it reads."""


def dispatcher(loss: Any) -> CPUDispatcher:
    """The njit function behind a loss: itself, or the plain function compiled on the user's behalf.

    Raises
    ------
    LossCompilationError
        For a callable that is no function.
    """
    if isinstance(loss, CPUDispatcher):
        return loss
    if not hasattr(loss, "__code__"):
        raise LossCompilationError(
            f"the loss is {type(loss).__name__}, which numba cannot compile: expected a function "
            'or an njit function; backend="python" runs any callable'
        )
    return _jit(loss)


@lru_cache(maxsize=256)
def _jit(function: Any) -> CPUDispatcher:
    return njit(nogil=True)(function)


def compiled_loss(
    loss: CPUDispatcher, layout: Layout, argnum: int, arguments: tuple[Any, ...]
) -> CompiledLoss:
    """The loss behind the kernels' signature; compiled on the first call with these types.

    Raises
    ------
    LossCompilationError
        What numba cannot compile, or an argument it cannot type.
    TypeError
        A loss that does not return one real number.
    """
    return _adapted(loss, layout, argnum, tuple(map(_type_of, arguments, range(len(arguments)))))


@lru_cache(maxsize=1024)
def _adapted(
    loss: CPUDispatcher, layout: Layout, argnum: int, value_types: tuple[Any, ...]
) -> CompiledLoss:
    """`_adapt` by layout, which is cheap to look up; layouts that differ in size alone share it."""
    expression, classes, _ = layout.adapter
    theta_type = numba.typeof(layout.native(np.zeros(layout.size)))
    return _adapt(loss, expression, classes, theta_type, argnum, value_types)


class BoundArguments:
    """The arguments of a loss, stored as compiled code holds them, for as long as this lives."""

    def __init__(self, compiled: CompiledLoss, table: Any, arguments: tuple[Any, ...]):
        self._values = (table, *arguments)
        self._memory = np.empty(compiled.arguments_size, np.uint8)
        self.address: int = _bind(self._values, self._memory)
        self._release = compiled.release

    def __del__(self) -> None:
        if hasattr(self, "_release"):
            self._release(self.address)


@lru_cache(maxsize=1024)
def _adapt(
    loss: CPUDispatcher,
    expression: str,
    classes: tuple[type, ...],
    theta_type: Any,
    argnum: int,
    value_types: tuple[Any, ...],
) -> CompiledLoss:
    loss_types = (*value_types[:argnum], theta_type, *value_types[argnum:])
    result, signature = _compile(loss, loss_types)
    arguments_type = types.Tuple((types.int64[::1], *value_types))
    names = [f"arguments[{k + 1}]" for k in range(len(value_types))]
    names.insert(argnum, "parameters")
    source = (
        "def adapter(theta_address, size, failed, arguments_address):\n"
        "    theta = carray(doubles_at(theta_address), (size,))\n"
        "    arguments = load(arguments_address)\n"
        "    table = arguments[0]\n"
        f"    parameters = {expression}\n"
        f"    return call(failed, ({', '.join(names)},))\n"
    )
    scope = {
        "carray": carray,
        "doubles_at": _doubles_at,
        "load": _loader(arguments_type),
        "call": _caller(result, signature),
        **{f"Record{k}": record for k, record in enumerate(classes)},
    }
    exec(compile(source, "<fastgrad adapter>", "exec"), scope)
    adapter = cfunc(LOSS_SIGNATURE)(scope["adapter"])
    target = cpu_target.target_context
    calls = _names_in(result.library)
    return CompiledLoss(
        address=adapter.address,
        arguments_size=target.get_abi_sizeof(target.get_value_type(arguments_type)),
        release=_release_of(arguments_type),
        uses_blas="numba_xx" in calls or "numba_ez_" in calls,
        uses_random="numba_get_np_random_state" in calls or "numba_get_py_random_state" in calls,
        is_parallel="numba_parallel_for" in calls,
        keep=(result, adapter),
    )


def _names_in(library: Any) -> str:
    """The LLVM text of a compiled library and what it calls, in which names of C functions occur.

    Code from numba's disk cache refuses ``get_llvm_str``, but keeps its text for callers to inline.
    """
    return str(library._get_module_for_linking())


def _compile(loss: CPUDispatcher, loss_types: tuple[Any, ...]) -> tuple[Any, Any]:
    """numba's compile result for these argument types, and the signature it was resolved to."""
    try:
        signature = types.Dispatcher(loss).get_call_type(
            cpu_target.typing_context, loss_types, {}
        )
    except NumbaError as error:
        raise compilation_failure(loss, loss_types, error) from error
    if signature is None:
        raise LossCompilationError(
            f"the loss {loss.__name__} was compiled for fixed signatures "
            f"({'; '.join(map(str, loss.nopython_signatures))}), none of which takes "
            f"({', '.join(map(str, loss_types))}): leave the signature out, so that numba compiles "
            "it for what it is given"
        )
    if not isinstance(signature.return_type, types.Float):
        raise wrong_return_type(loss, signature.return_type)
    return loss.overloads[signature.args], signature


def _type_of(argument: Any, position: int) -> Any:
    try:
        return numba.typeof(argument)
    except ValueError as error:
        raise LossCompilationError(
            f"numba cannot type argument {position + 1} after theta, of type "
            f"{type(argument).__name__}: expected numbers, arrays, strings, or tuples, dicts and "
            'dataclasses of them; backend="python" runs a loss of any arguments'
        ) from error


@intrinsic
def _doubles_at(typingctx, address):
    pointer_type = types.CPointer(types.float64)

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(pointer_type))

    return pointer_type(address), codegen


@intrinsic
def _store(typingctx, value, address):
    """Put a value, and a reference to what it owns, at an address."""

    def codegen(context, builder, signature, args):
        context.nrt.incref(builder, signature.args[0], args[0])
        builder.store(args[0], builder.inttoptr(args[1], args[0].type.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(value, address), codegen


@njit
def _bind(values, memory):
    _store(values, memory.ctypes.data)
    return memory.ctypes.data


@lru_cache(maxsize=256)
def _loader(value_type: Any) -> Any:
    """Reads what `_store` put at an address."""

    @intrinsic
    def load(typingctx, address):
        def codegen(context, builder, signature, args):
            pointer = builder.inttoptr(args[0], context.get_value_type(value_type).as_pointer())
            value = builder.load(pointer, align=8)
            context.nrt.incref(builder, value_type, value)
            return value

        return value_type(address), codegen

    return load


@lru_cache(maxsize=256)
def _release_of(value_type: Any) -> Any:
    """Gives back the reference that `_store` took."""

    @intrinsic
    def give_back(typingctx, address):
        def codegen(context, builder, signature, args):
            pointer = builder.inttoptr(args[0], context.get_value_type(value_type).as_pointer())
            context.nrt.decref(builder, value_type, builder.load(pointer, align=8))
            return context.get_dummy_value()

        return types.void(address), codegen

    @njit
    def release(address):
        give_back(address)

    return release


def _caller(result: Any, target: Any) -> Any:
    """``call(failed, parameters)``: the compiled loss's value; NaN and ``failed[0] = 1`` if it raised."""
    function_address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)

    @intrinsic
    def call(typingctx, failed, parameters):
        def codegen(context, builder, signature, args):
            given = cgutils.unpack_tuple(builder, args[1])
            values = [
                context.cast(builder, value, from_type, to_type)
                for value, from_type, to_type in zip(
                    given, signature.args[1].types, target.args, strict=False
                )
            ]
            for omitted in target.args[len(values) :]:
                values.append(context.get_constant_generic(builder, omitted, omitted.value))
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
            return builder.select(
                status.is_error,
                context.get_constant(types.float64, float("nan")),
                context.cast(builder, value, target.return_type, types.float64),
            )

        return types.float64(failed, parameters), codegen

    return call
