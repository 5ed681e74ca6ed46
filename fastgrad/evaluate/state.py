"""State that arguments hold beside plain arrays: jitclasses, typed containers, sets, records.

Threads share it, nothing tells from outside whether a loss writes to it, and a container that grows
under two threads ends the process. So such a loss runs on one thread until a fingerprint of the state,
before and after some evaluations, has shown that it is only read.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, disallow-any-generics=False

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from numba import njit, types
from numba.core.errors import NumbaError
from numba.extending import overload

PLAIN = (
    types.Number,
    types.Boolean,
    types.Array,
    types.UnicodeType,
    types.Bytes,
    types.NoneType,
    types.EnumMember,
    types.Literal,
    types.Omitted,
    types.Dispatcher,
    types.FunctionType,
    types.NPDatetime,
    types.NPTimedelta,
    types.RangeType,
    types.SliceType,
    types.DTypeSpec,
    types.Opaque,
)
"""Types of what threads may share: values, and arrays, whose checksums are taken."""


def holds_state(value_type: Any) -> bool:
    """Whether values of a type hold what threads must not share unseen."""
    if isinstance(value_type, types.BaseTuple):
        return any(map(holds_state, value_type))
    if isinstance(value_type, types.Optional):
        return holds_state(value_type.type)
    return not isinstance(value_type, PLAIN)


def kind_of(value_type: Any) -> str:
    """What a type with state is called in a message."""
    if isinstance(value_type, types.BaseTuple):
        return next(kind_of(part) for part in value_type if holds_state(part))
    kinds: tuple[tuple[Any, str], ...] = (
        (types.ClassInstanceType, "a jitclass"),
        (types.ListType, "a typed List"),
        (types.DictType, "a typed Dict"),
        (types.List, "a list"),
        (types.Set, "a set"),
        (types.Record, "a record"),
        (types.StructRef, "a structref"),
        (types.NumPyRandomGeneratorType, "a random generator"),
    )
    return next((kind for its_type, kind in kinds if isinstance(value_type, its_type)), "an object")


def fingerprint(values: Iterable[Any], value_types: Iterable[Any]) -> tuple[int, ...] | None:
    """Numbers that change when state in some values does; None where a type does not show its own."""
    found = []
    for value, value_type in zip(values, value_types, strict=True):
        if holds_state(value_type):
            read = _reader(value_type)
            if read is None:
                return None
            found.append(int(read(value)))
    return tuple(found)


@lru_cache(maxsize=256)
def _reader(value_type: Any) -> Callable[[Any], int] | None:
    """A compiled function that gives the fingerprint of values of a type."""

    @njit(nogil=True)
    def read(value):
        return _state(value)

    try:
        read.compile((value_type,))
    except (NumbaError, RecursionError, NotImplementedError):
        return None
    return read


def _state(value):
    """The fingerprint of one value."""


@overload(_state)
def _state_of(value):
    if isinstance(value, types.ClassInstanceType):
        return _of_parts([f"value.{name}" for name in value.struct])
    if isinstance(value, types.Record):
        return _of_parts([f"value.{name}" for name in value.fields])
    if isinstance(value, types.StructRef):
        return _of_parts([f"value.{name}" for name in value.field_dict])
    if isinstance(value, types.BaseTuple):
        return _of_parts([f"value[{k}]" for k in range(len(value))])
    if isinstance(value, types.DictType):
        return _of_dict
    if isinstance(value, types.Array):
        return _of_array
    if isinstance(value, types.ListType | types.List | types.Set):
        return _of_items
    if isinstance(value, types.Number | types.Boolean | types.UnicodeType):
        return lambda value: hash(value)
    if isinstance(value, PLAIN):
        return lambda value: 0
    return None


def _of_parts(parts: list[str]) -> Any:
    """The fingerprint of something with parts, each an expression over ``value``."""
    lines = [f"    total = total * 1000003 ^ _state({part})" for part in parts]
    source = "\n".join(["def of_parts(value):", "    total = 1", *lines, "    return total"])
    scope = {"_state": _state}
    exec(compile(source, "<fastgrad state>", "exec"), scope)
    return scope["of_parts"]


def _of_dict(value):
    total = 1
    for key, item in value.items():
        total = (total * 1000003 ^ _state(key)) * 1000003 ^ _state(item)
    return total


def _of_array(value):
    total = 1
    for item in value.flat:
        total = total * 1000003 ^ _state(item)
    return total


def _of_items(value):
    total = 1
    for item in value:
        total = total * 1000003 ^ _state(item)
    return total
