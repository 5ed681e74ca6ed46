"""An instance a thread: copies of jitclasses, typed containers, records and sets that a loss writes to.

A copy is made of all that can be reached from an argument, without calling its constructor. Where two
ways lead to the same memory, copies would be two where the loss knows one: none are made then.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, disallow-any-generics=False

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils, imputils
from numba.core.errors import NumbaError
from numba.experimental.jitclass.base import imp_dtor
from numba.extending import intrinsic, overload

from fastgrad.evaluate.argument_guard import arrays_in, span
from fastgrad.evaluate.held_state import holds_state

COPIED_BYTES = 1 << 26
"""What holds more is not copied for every thread: some 20 ms each."""
UNCHANGEABLE = (
    types.Number,
    types.Boolean,
    types.UnicodeType,
    types.Bytes,
    types.NoneType,
    types.EnumMember,
    types.Literal,
    types.Dispatcher,
    types.NPDatetime,
    types.NPTimedelta,
    types.RangeType,
    types.SliceType,
    types.DTypeSpec,
)
"""Types whose values are their own copies."""
CONTAINERS = types.ClassInstanceType, types.ListType, types.DictType
"""Types that are known by where they lie."""
TWO_WAYS = "two ways lead to the same memory"
NOT_COPIED = "what is in it cannot be copied"
TOO_LARGE = f"a copy would take more than {COPIED_BYTES >> 20} MiB"


def why_not_copied(values: Iterable[Any], value_types: Iterable[Any]) -> str:
    """Why threads cannot have copies of the state in some values; nothing where they can."""
    shared, own = [], []
    for value, value_type in _leaves(values, value_types):
        if not holds_state(value_type):
            shared += [span(array) for _, array in arrays_in(value, "", writeable=False)]
        elif _copier(value_type) is None:
            return NOT_COPIED
        else:
            own += _spans_of(value, value_type)
    if sum(nbytes for _, nbytes in own) > COPIED_BYTES:
        return TOO_LARGE
    return TWO_WAYS if _overlap(own, shared) else ""


def _leaves(values: Iterable[Any], value_types: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Values with their types, tuples that hold state taken apart."""
    for value, value_type in zip(values, value_types, strict=True):
        if isinstance(value_type, types.BaseTuple) and holds_state(value_type):
            yield from _leaves(value, value_type)
        else:
            yield value, value_type


def _overlap(own: list[tuple[int, int]], shared: list[tuple[int, int]]) -> bool:
    """Whether some of our own spans, of an address and bytes, overlap each other or shared ones."""
    spans = sorted([(*s, True) for s in own] + [(*s, False) for s in shared])
    end = own_end = 0
    for start, nbytes, is_own in spans:
        if start < (end if is_own else own_end):
            return True
        end = max(end, start + nbytes)
        own_end = max(own_end, start + nbytes) if is_own else own_end
    return False


def copied(value: Any, value_type: Any) -> Any:
    """A copy of what holds state in a value; anything else is itself."""
    if not holds_state(value_type):
        return value
    if isinstance(value_type, types.BaseTuple):
        parts = [copied(v, t) for v, t in zip(value, value_type, strict=True)]
        return tuple(parts) if type(value) is tuple else type(value)(*parts)
    copy = _copier(value_type)
    assert copy is not None, value_type
    return copy(value)


def _spans_of(value: Any, value_type: Any) -> list[tuple[int, int]]:
    """Address and bytes of each piece of memory that is reached from a value of state."""
    if isinstance(value_type, types.Record):
        return [(value.__array_interface__["data"][0], value.nbytes)]
    if isinstance(value_type, types.Set):
        return []
    return [(int(start), int(nbytes)) for start, nbytes in _reader(value_type)(value)]


@lru_cache(maxsize=256)
def _copier(value_type: Any) -> Callable[[Any], Any] | None:
    """What copies values of a type; None where that cannot be done."""
    if isinstance(value_type, types.Record):
        return lambda record: record.copy()
    if isinstance(value_type, types.Set):
        return set if isinstance(value_type.dtype, UNCHANGEABLE) else None

    @njit
    def copy(value):
        return _copy(value)

    try:
        copy.compile((value_type,))
        _reader(value_type)
    except (NumbaError, RecursionError, NotImplementedError):
        return None
    (made,) = copy.nopython_signatures
    return copy if made.return_type == value_type else None


@lru_cache(maxsize=256)
def _reader(value_type: Any) -> Any:
    """A compiled function that lists the memory of values of a type."""

    @njit
    def read(value):
        spans = [(0, 0)]
        _note(value, spans)
        return spans

    read.compile((value_type,))
    return read


def _copy(value):
    """A copy of one value."""


@overload(_copy)
def _copy_of(value):
    if isinstance(value, types.ClassInstanceType):
        return _of_parts(
            ["made = _blank(value)", *(f"made.{n} = _copy(value.{n})" for n in value.struct)]
        )
    if isinstance(value, types.ListType):
        return _of_list
    if isinstance(value, types.DictType):
        return _of_dict
    if isinstance(value, types.BaseTuple) and not isinstance(value, types.BaseNamedTuple):
        parts = "".join(f"_copy(value[{k}]), " for k in range(len(value)))
        return _of_parts([f"made = ({parts})"])
    if isinstance(value, types.Array):
        if not value.mutable:
            return lambda value: value
        return (
            (lambda value: value.T.copy().T) if value.layout == "F" else lambda value: value.copy()
        )
    return (lambda value: value) if isinstance(value, UNCHANGEABLE) else None


def _of_list(value):
    made = value.copy()
    for k in range(len(value)):
        made[k] = _copy(value[k])
    return made


def _of_dict(value):
    made = value.copy()
    for key in value:
        made[key] = _copy(value[key])
    return made


def _note(value, spans):
    """Add address and bytes of the memory of one value to a list."""


@overload(_note)
def _note_of(value, spans):
    if isinstance(value, types.ClassInstanceType):
        names = [f"_note(value.{name}, spans)" for name in value.struct]
        return _of_parts(["made = spans.append((_address(value), 1))", *names], "value, spans")
    if isinstance(value, types.ListType):
        return _note_list
    if isinstance(value, types.DictType):
        return _note_dict
    if isinstance(value, types.BaseTuple):
        parts = [f"_note(value[{k}], spans)" for k in range(len(value))]
        return _of_parts(["made = None", *parts], "value, spans")
    if isinstance(value, types.Array):
        return _note_array
    return lambda value, spans: None


def _note_list(value, spans):
    spans.append((_address(value), 1))
    for item in value:
        _note(item, spans)


def _note_dict(value, spans):
    spans.append((_address(value), 1))
    for item in value.values():
        _note(item, spans)


def _note_array(value, spans):
    if value.size:
        first, last = 0, value.itemsize
        for k in range(value.ndim):
            reach = (value.shape[k] - 1) * value.strides[k]
            first, last = first + min(reach, 0), last + max(reach, 0)
        spans.append((np.int64(value.ctypes.data) + first, last - first))


def _of_parts(lines: list[str], given: str = "value") -> Any:
    """A function of some lines, which make something of ``value``."""
    source = "\n    ".join([f"def of_parts({given}):", *lines, "return made"])
    scope = {"_blank": _blank, "_copy": _copy, "_note": _note, "_address": _address}
    exec(compile(source, "<fastgrad instances>", "exec"), scope)
    return scope["of_parts"]


@intrinsic
def _blank(typingctx, value):
    """An instance of the same jitclass, all of whose fields are zero: its constructor is not called."""

    def codegen(context, builder, signature, args):
        its_type = signature.return_type
        data_type = context.get_data_type(its_type.get_data_type())
        made = context.make_helper(builder, its_type)
        made.meminfo = context.nrt.meminfo_alloc_dtor(
            builder,
            context.get_constant(types.uintp, context.get_abi_sizeof(data_type)),
            imp_dtor(context, builder.module, its_type),
        )
        data = context.nrt.meminfo_data(builder, made.meminfo)
        made.data = builder.bitcast(data, data_type.as_pointer())
        builder.store(cgutils.get_null_value(data_type), made.data)
        return imputils.impl_ret_new_ref(context, builder, its_type, made._getvalue())

    return value(value), codegen


@intrinsic
def _address(typingctx, value):
    """The address of a jitclass, a typed List or a typed Dict."""

    def codegen(context, builder, signature, args):
        held = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        return builder.ptrtoint(held.meminfo, context.get_value_type(types.int64))

    return types.int64(value), codegen
