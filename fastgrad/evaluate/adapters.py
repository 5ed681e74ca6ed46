"""A user's loss of any parameters and arguments -> one C function of a flat theta.

The kernels know a single signature, `kernels.LOSS_SIGNATURE`. What stands between it and a user's
njit function is generated here: the function builds the loss's own parameters as views of the flat
theta, reads its other arguments from where `BoundArguments` put them, and calls the loss *by its
address*. So the loss is compiled once, as its own user would, and the adapter adds about 0.05 s
however large the loss is (taking the loss in again cost 0.7 s for a small net). A call by address
also hands back numba's own error status, where an exception crossing a C boundary would be lost.
"""

import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple

import numba
import numba.typed
import numpy as np
from numba import carray, cfunc, njit, types
from numba.core.errors import NumbaError
from numba.core.registry import CPUDispatcher, cpu_target

from fastgrad.arrays import Floats
from fastgrad.errors import LossCompilationError
from fastgrad.evaluate import dict_keys, explain
from fastgrad.evaluate.compiling import listen, said_after
from fastgrad.evaluate.disk_cache import forgiving
from fastgrad.evaluate.held_state import may_be_shared
from fastgrad.evaluate.in_numpy import release
from fastgrad.evaluate.intrinsics import bind, caller, doubles_at, loader, own_arguments, releaser
from fastgrad.evaluate.kernels import LOSS_SIGNATURE
from fastgrad.evaluate.never_written import only_read
from fastgrad.evaluate.read_from_outside import identity, outside, with_own_closure
from fastgrad.evaluate.schedule import Cost
from fastgrad.evaluate.traits import Traits, names_in, traits_of
from fastgrad.parameters.arguments import Argnum, merged, place_of, taken
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.native import Expression, ListOf, is_long_list, native_container
from fastgrad.parameters.trees import Branch

listen()
PATIENCE_SECONDS = 5.0
"""What is compiled for longer is spoken of on stderr: nobody knows what it is that takes so long."""
RECORDS = "records_its_outputs"
"""Set on a dispatcher that records its outputs (`fastgrad.evaluate.vector`)."""


@dataclass(eq=False)
class CFunction:
    """A user's function as the kernels call it: by address, with its arguments stored elsewhere."""

    address: int
    arguments_size: int
    """Bytes that its bound arguments take."""
    release: Callable[[int], None]
    """Gives back what `BoundArguments` took, given its address."""
    keep: tuple[Any, ...]
    """What owns the machine code behind ``address``."""
    costs: dict[Any, Cost] = field(default_factory=lambda: defaultdict(Cost), init=False)
    """Cost of one evaluation, by the sizes of what it reads."""


@dataclass(eq=False)
class CompiledLoss(CFunction):
    """A loss for one structure of theta and one list of argument types."""

    traits: Traits
    value_types: tuple[Any, ...]
    """The types of its arguments beside theta."""
    given: tuple[Any, ...]
    """The types that the loss is compiled for."""
    may_be_shared: bool
    """Whether no code of its own writes to the state that its arguments hold."""
    read: dict[str, Any]
    """What it read from outside when it was compiled, or first seen."""
    only_read: tuple[bool, ...]
    """Whether each other argument is proved to be left alone."""
    leaves_theta: bool
    """Whether that is proved of theta."""
    listed: bool
    """Whether it takes long lists of parameters as typed Lists."""
    in_single: bool = field(default=False, init=False)
    """Whether it is handed a theta in float32, as nothing else would do."""
    watched: bool = field(default=False, init=False)
    """Whether one evaluation was seen, by itself, to leave the other arguments alone."""
    meanings: dict[int, Any] = field(default_factory=dict, init=False)
    """How it departs from Python, by the bytes that an evaluation reads; see `meaning`."""
    scratch: tuple[int, ...] = field(default=(), init=False)
    """Positions of arguments that it was seen to overwrite before it reads them."""
    leaves_state: bool | None = field(default=None, init=False)
    """Whether it was seen to leave that state alone; None before it was looked at."""
    read_whole: float = field(default=float("-inf"), init=False)
    """When large arguments that cost much to read were last read whole."""
    races: bool = field(default=False, init=False)
    """Whether it gave other values on several threads than on one."""
    comparisons: int = field(default=0, init=False)
    """How often its values on several threads were held against those on one."""
    compared: float = field(default=float("-inf"), init=False)
    """When its values on several threads were last held against those on one."""
    python_seconds: float = field(default=0.0, init=False)
    """What one call from Python took."""
    takes_records: bool = field(default=False, init=False)
    """Whether Python's function took NamedTuples for dicts there."""
    in_python: dict[int, str | None] = field(default_factory=dict, init=False)
    """Why Python is the quicker by the bytes that an evaluation reads; None where it is not."""


def dispatcher(loss: Any) -> CPUDispatcher:
    """The njit function behind a loss: itself, or the plain function compiled on the user's behalf.

    Raises
    ------
    LossCompilationError
        For a callable that is no plain function.
    """
    if isinstance(loss, CPUDispatcher):
        return forgiving(loss)
    if numba.config.DISABLE_JIT:
        raise LossCompilationError(
            f"numba's compiler is switched off (NUMBA_DISABLE_JIT=1); {explain.RUN_IT_IN_PYTHON}",
            "numba's compiler is switched off (NUMBA_DISABLE_JIT=1)",
        )
    if isinstance(loss, np.ufunc | BuiltinFunctionType):  # np.sin, math.sin
        return _jit(_as_function(loss))
    if not isinstance(loss, FunctionType):
        raise explain.not_a_function(loss)
    return _jit(loss)


@lru_cache(maxsize=256)
def _as_function(builtin: Any) -> Any:
    def call(*args):
        return builtin(*args)

    call.__name__ = builtin.__name__
    return call


def _jit(function: FunctionType) -> CPUDispatcher:
    """The function compiled for what it reads from outside now."""
    key = identity(function)
    if key not in _jitted:
        if len(_jitted) >= MOST_JITTED:
            del _jitted[next(iter(_jitted))]
        _jitted[key] = njit(nogil=True)(with_own_closure(function))
    return _jitted[key]


def jitted_for_others(function: FunctionType) -> int:
    """For how many other values of what it reads a function's code was compiled, if not for these."""
    others = sum(key[0] is function.__code__ for key in tuple(_jitted))
    return others if others and identity(function) not in _jitted else 0


MOST_JITTED = 256
_jitted: dict[Any, CPUDispatcher] = {}


def compiled_loss(
    loss: CPUDispatcher,
    layout: Layout,
    argnum: Argnum,
    arguments: tuple[Any, ...],
    listed: bool = False,
) -> CompiledLoss:
    """The loss behind the kernels' signature; compiled on the first call with these types.

    With ``listed`` it gets long lists of parameters as typed Lists, else as tuples.

    Raises
    ------
    LossCompilationError
        What numba cannot compile, or an argument it cannot type.
    TypeError
        A loss that does not take so many arguments, or does not return one real number.
    """
    if not arguments:
        return _adapted(loss, layout, argnum, (), listed)
    value_types = []
    for position, argument in enumerate(arguments):
        try:
            value_types.append(type_of(argument))
        except (ValueError, NumbaError) as error:
            raise explain.untypable(loss, argument, place_of(position, argnum)) from error
    return _adapted(loss, layout, argnum, tuple(value_types), listed)


def type_of(argument: Any) -> Any:
    """`numba.typeof`; remembered for arrays, of which it takes 5 us each."""
    if type(argument) is not np.ndarray:
        return numba.typeof(argument)
    key = argument.dtype, argument.ndim, argument.flags.num
    if key not in _array_types:
        if argument.dtype.hasobject:
            raise ValueError("an array of Python objects")
        _array_types[key] = numba.typeof(argument)
    return _array_types[key]


_array_types: dict[Any, Any] = {}


class BoundArguments:
    """A function's arguments, stored as compiled code holds them, for as long as this lives."""

    def __init__(self, function: CFunction, table: Any, arguments: tuple[Any, ...]):
        self._values = (table, *arguments)
        memory = np.empty(function.arguments_size, np.uint8)
        self.address: int = bind(self._values, memory)
        # Not __del__: at the end of the interpreter that comes too late for compiled code to run.
        weakref.finalize(self, _release, function.release, self.address, memory)


def _release(release: Callable[[int], None], address: int, memory: Any) -> None:
    """Release what is bound in ``memory``, which must live until then."""
    release(address)


def bound_arguments(
    compiled: CompiledLoss, layout: Layout, arguments: tuple[Any, ...]
) -> BoundArguments:
    """The arguments, bound; a loss of theta alone is bound once for all calls."""
    if arguments:
        return BoundArguments(compiled, _expression(layout, compiled.listed).table, arguments)
    return _bound_to_nothing(compiled, layout)


@lru_cache(maxsize=1024)
def _bound_to_nothing(compiled: CompiledLoss, layout: Layout) -> BoundArguments:
    return BoundArguments(compiled, _expression(layout, compiled.listed).table, ())


def _expression(layout: Layout, listed: bool) -> Expression:
    return layout.listed if listed and layout.listed is not None else layout.adapter


def native_parameters(layout: Layout, flat: Floats, listed: bool) -> Any:
    """Theta as a compiled loss takes it, to be passed from Python."""
    return layout.native(flat, _listed_container if listed else native_container)


def _listed_container(node: Branch, parts: list[Any]) -> Any:
    return typed_list(parts) if is_long_list(node) else native_container(node, parts)


def typed_list(items: list[Any]) -> Any:
    """A typed List of some items of one type."""
    made = numba.typed.List()
    for item in items:
        made.append(item)
    return made


def _adapted(
    loss: CPUDispatcher,
    layout: Layout,
    argnum: Argnum,
    value_types: tuple[Any, ...],
    listed: bool,
) -> CompiledLoss:
    """`_adapt` of a layout, which is cheap to look up; layouts that differ in size alone share it."""
    made = _adapted_once(loss, layout, argnum, value_types, listed)
    if loss.overloads.get(made.given) is not made.keep[0]:  # it was compiled again since
        theta_code = _theta_code(layout, listed)
        fresh = _adapt.__wrapped__(loss, theta_code, argnum, value_types)
        fresh.keep += made.keep  # which other threads may be running
        vars(made).update(vars(fresh))
    return made


@lru_cache(maxsize=1024)
def _adapted_once(
    loss: CPUDispatcher,
    layout: Layout,
    argnum: Argnum,
    value_types: tuple[Any, ...],
    listed: bool,
) -> CompiledLoss:
    return _adapt(loss, _theta_code(layout, listed), argnum, value_types)


class ThetaCode(NamedTuple):
    """What code builds theta, and of what type: all that adapters ask of a layout."""

    source: str
    """Over ``theta`` and ``table``."""
    records: tuple[Any, ...]
    its_type: Any
    listed: bool


def _theta_code(layout: Layout, listed: bool) -> ThetaCode:
    source, records, _ = _expression(layout, listed)
    theta = native_parameters(layout, np.zeros(layout.size), listed)
    return ThetaCode(source, records, numba.typeof(theta), listed)


@lru_cache(maxsize=256)
def _lister(how: ListOf) -> CPUDispatcher:
    """A compiled function that makes a typed List of parameters."""
    source = (
        "def listed(theta, table, at, count):\n"
        "    made = List()\n"
        "    for _ in range(count):\n"
        f"        made.append({how.item})\n"
        f"        at += {how.width}\n"
        "    return made\n"
    )
    scope = {"List": numba.typed.List, **_scope(how.records)}
    exec(compile(source, "<fastgrad list>", "exec"), scope)
    return njit(scope["listed"])


def _scope(records: tuple[Any, ...]) -> dict[str, Any]:
    """What the source of parameters calls, by its names there."""
    return {
        f"Record{k}": _lister(made) if isinstance(made, ListOf) else made
        for k, made in enumerate(records)
    }


@lru_cache(maxsize=1024)
def _adapt(
    loss: CPUDispatcher, theta: ThetaCode, argnum: Argnum, value_types: tuple[Any, ...]
) -> CompiledLoss:
    """The loss behind a generated function, which builds its parameters by ``theta``.

    A loss that may keep its theta, in a jitclass or a list, gets a copy that it can own. One that
    records what it returns (`RECORDS`) is told last where the evaluation's own byte of ``failed`` is.
    """
    records_it = getattr(loss, RECORDS, False)
    last = (types.uintp,) if records_it else ()
    result, signature = _compiled_loss(loss, (*merged(theta.its_type, value_types, argnum), *last))
    arguments_type = types.Tuple((types.int64[::1], *value_types))
    given = [f"arguments[{k + 1}]" for k in range(len(value_types))]
    parts: Any = "parameters"
    if not isinstance(argnum, int):
        parts = [f"parameters[{k}]" for k in range(len(argnum))]
    given = merged(parts, given, argnum)
    given += ["failed"] if records_it else []
    inside = getattr(result.type_annotation, "typemap", {}).values()
    names = names_in(result.library)
    traits = traits_of(names, value_types, inside)
    keeps = traits.has_state or traits.uses_python
    scope = {
        "carray": carray,
        "float64": np.float64,
        "doubles_at": doubles_at,
        "own_arguments": own_arguments,
        "load": loader(arguments_type, borrowed=not keeps),
        "release": releaser(arguments_type),
        "call": caller(result, signature),
        **_scope(theta.records),
    }
    source = _adapter_source(theta.source, given, keeps)
    exec(compile(source, "<fastgrad adapter>", "exec"), scope)
    adapter = cfunc(LOSS_SIGNATURE)(scope["adapter"])
    target = cpu_target.target_context
    proved = only_read(result)
    return CompiledLoss(
        address=adapter.address,
        arguments_size=target.get_abi_sizeof(target.get_value_type(arguments_type)),
        release=partial(release, adapter.address),
        keep=(result, adapter),
        traits=traits,
        value_types=value_types,
        given=tuple(signature.args),
        may_be_shared=traits.has_state and may_be_shared(value_types, names, loss),
        read=outside(loss.py_func),
        only_read=_of_values(proved, argnum, len(value_types)),
        leaves_theta=not keeps and all(_of_theta(proved, argnum)),
        listed=theta.listed,
    )


def _compiled_loss(loss: CPUDispatcher, loss_types: tuple[Any, ...]) -> tuple[Any, Any]:
    """What a loss is compiled to for arguments of these types, and its signature.

    Raises
    ------
    LossCompilationError, TypeError
        It would mean something else than in Python, or returns no float.
    """
    result, signature = compiled_for(loss, loss_types)
    line = dict_keys.walks_over_dict(result)
    if line is not None:
        raise explain.walks_over_dict(loss, line)
    if not isinstance(signature.return_type, types.Float):
        raise explain.wrong_return_type(loss, signature.return_type)
    return result, signature


def _adapter_source(parameters: str, given: Sequence[str], keeps: bool) -> str:
    """The code of an adapter; a loss that may keep its theta gets a copy."""
    return (
        "def adapter(theta_address, size, failed, arguments_address):\n"
        "    if size < 0:\n"
        "        release(arguments_address)\n"
        "        return 0.0\n"
        "    if arguments_address == 0:\n"
        "        arguments_address = own_arguments(theta_address, size)\n"
        "    row = carray(doubles_at(theta_address), (size,))\n"
        f"    theta = {'row.copy()' if keeps else 'row'}\n"
        "    arguments = load(arguments_address)\n"
        "    table = arguments[0]\n"
        f"    parameters = {parameters}\n"
        f"    value = call(failed, ({', '.join(given)},))\n"
        f"    {'row[:] = theta' if keeps else ''}\n"  # so that what was written to it is seen
        "    return value\n"
    )


def _of_values(only_read: tuple[bool, ...], argnum: Argnum, count: int) -> tuple[bool, ...]:
    """What is proved of ``count`` arguments beside theta; ``*args`` share what is proved of them."""
    whole = count + (1 if isinstance(argnum, int) else len(argnum))
    rest = (only_read[-1:] or (False,)) * (whole - len(only_read))
    return taken((*only_read, *rest)[:whole], argnum)[1]


def _of_theta(only_read: tuple[bool, ...], argnum: Argnum) -> list[bool]:
    """What is proved of theta, which may be several arguments."""
    places = [argnum] if isinstance(argnum, int) else list(argnum)
    return [place < len(only_read) and only_read[place] for place in places]


def compiled_for(function: CPUDispatcher, given: tuple[Any, ...]) -> tuple[Any, Any]:
    """numba's compile result for these argument types, and the signature it was resolved to.

    Raises
    ------
    LossCompilationError, TypeError
        Naming the function, and numba's reason; or that it takes another number of arguments.
    """
    waiting = (
        f"fastgrad: numba is still compiling {function.__name__} after {PATIENCE_SECONDS:g} s; it does "
        "so once for a structure of theta and types of arguments."
    )
    try:
        with said_after(PATIENCE_SECONDS, waiting):
            signature = types.Dispatcher(function).get_call_type(
                cpu_target.typing_context, given, {}
            )
    except Warning:  # warnings as errors are the user's wish
        raise
    except Exception as error:
        explain.require_argument_count(function, len(given))
        # Its hundred lines about numba's insides would bury the message; they are its __context__.
        raise explain.compilation_failure(function, given, error) from None
    if signature is None:
        raise explain.no_signature(function, given)
    return function.overloads[tuple(signature.args)], signature
