"""State that arguments hold beside plain arrays: jitclasses, typed containers, sets, records.

Threads share it, nothing tells from outside whether a loss writes to it, and a container that grows
under two threads ends the process. So such a loss runs on one thread until a fingerprint of the state,
before and after some evaluations, has shown that it is only read.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, disallow-any-generics=False

import dis
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from numba import njit, types
from numba.core.errors import NumbaError
from numba.extending import overload

from fastgrad.evaluate.read_from_outside import values_read

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


def may_be_shared(value_types: Iterable[Any], names: str, function: Any) -> bool:
    """Whether nothing in the code of a loss writes to the state of arguments of these types.

    A fingerprint does not see what is written and put back. Typed containers are written to by
    functions of numba's whose ``names`` are in machine code, fields of jitclasses by bytecode.
    """
    types_inside = {kind for value_type in value_types for kind in _kinds(value_type)}
    if not types_inside <= {"a typed List", "a typed Dict", "a jitclass"}:
        return False
    if types_inside != {"a jitclass"} and re.search(WRITERS, names):
        return False
    classes = [t for value_type in value_types for t in _classes(value_type)]
    methods = [
        method
        for its_type in classes
        for name, method in its_type.jit_methods.items()
        if name != "__init__"
    ]
    return not classes or not any(map(_stores_attributes, (function, *methods)))


WRITERS = r"numba_list_(append|setitem|delitem|delete_slice)|numba_dict_(insert|delitem|popitem)"
"""Functions of numba's that change a typed container."""


def _parts(value_type: Any) -> list[Any]:
    """The types that values of a type are made of."""
    if isinstance(value_type, types.BaseTuple):
        return list(value_type)
    if isinstance(value_type, types.ListType):
        return [value_type.item_type]
    if isinstance(value_type, types.DictType):
        return [value_type.key_type, value_type.value_type]
    if isinstance(value_type, types.ClassInstanceType):
        return list(value_type.struct.values())
    return [value_type.type] if isinstance(value_type, types.Optional) else []


def _kinds(value_type: Any) -> set[str]:
    """What holds state in a type, through all its parts."""
    parts = _parts(value_type)
    own = holds_state(value_type) and not isinstance(value_type, types.BaseTuple | types.Optional)
    inside = {kind for part in parts for kind in _kinds(part)}
    return inside | {kind_of(value_type)} if own else inside


def _classes(value_type: Any) -> list[Any]:
    own = [value_type] if isinstance(value_type, types.ClassInstanceType) else []
    return own + [found for part in _parts(value_type) for found in _classes(part)]


def _stores_attributes(function: Any, seen: set[int] | None = None) -> bool:
    """Whether the bytecode of a function, or of one that it knows, assigns to an attribute."""
    seen = set() if seen is None else seen
    plain = getattr(function, "py_func", function)
    if not isinstance(plain, FunctionType) or id(plain) in seen:
        return False
    seen.add(id(plain))
    if any(i.opname in ("STORE_ATTR", "DELETE_ATTR") for i in dis.get_instructions(plain)):
        return True
    if any(isinstance(constant, CodeType) for constant in plain.__code__.co_consts):
        return True  # a function inside, which is not looked into
    return any(_stores_attributes(value, seen) for _, value in values_read(plain))


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
