"""What a function reads from outside: globals, closures, defaults, and what they are now.

numba freezes all of it when it compiles. Python reads it at every call, and so a plain function that
is compiled on its user's behalf is compiled afresh when any of it has changed; functions of equal
code that read equal values share one compilation.
"""

import dis
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from fastgrad.dispatchers import is_njit
from fastgrad.evaluate.on_demand import checksums

LIBRARIES = frozenset({"numpy", "math", "cmath", "numba", "scipy", "operator", "builtins"})
"""Modules whose contents nobody rebinds."""
VALUES = (int, float, complex, bool, str, bytes, type(None), np.generic)
"""What is known by its value; anything else by its identity."""

FOREIGN = frozenset({"ctypes", "_ctypes", "_cffi_backend"})
"""Modules of types that call C."""


class Same:
    """An object known by its identity, and kept alive so that no other takes its address."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def outside(function: FunctionType) -> dict[str, Any]:
    """What a function reads from outside, by name: values that can be compared and hashed."""
    found = {name: known(value) for name, value in values_read(function)}
    if function.__defaults__:
        found["defaults"] = known(function.__defaults__)
    if function.__kwdefaults__:
        found["keyword defaults"] = known(tuple(function.__kwdefaults__.items()))
    return found


def values_read(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Names and values of the globals and the closure that a function reads."""
    for name, *attributes in global_names(function.__code__):
        value = function.__globals__.get(name, Same)  # a builtin, or not defined yet
        if isinstance(value, ModuleType):
            if value.__name__.partition(".")[0] in LIBRARIES:
                continue
            name, value = _in_module(name, value, attributes)
        yield name, value
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            yield name, None


def values_of(function: Any) -> tuple[Any, ...]:
    """The values that a function reads from outside; nothing for what is no plain function."""
    plain = getattr(function, "__func__", function)
    return tuple(v for _, v in values_read(plain)) if type(plain) is FunctionType else ()


def calls_c(function: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Whether a function, or a plain one that it reads, reads something of ctypes or cffi.

    What C draws at random is kept where nobody looks.
    """
    for value in values_of(function):
        if type(value).__module__ in FOREIGN:
            return True
        if type(value) is FunctionType and value not in seen and calls_c(value, seen | {value}):
            return True
    return False


def identity(function: FunctionType) -> tuple[Any, ...]:
    """What two functions share if, and only if, one compilation serves both."""
    read = outside(function)
    return function.__code__, id(function.__globals__), *read.items()


def watch(function: Any) -> Callable[[], bool] | None:
    """Whether a plain function would still be compiled to the same; None where nothing can change.

    An njit function keeps what it was compiled with, and so does one that reads nothing from outside.
    """
    if type(function) is not FunctionType or not outside(function):
        return None
    before = identity(function)
    return lambda: identity(function) == before


def with_own_closure(function: FunctionType) -> FunctionType:
    """The same function with its closure as it is now: numba reads it again for other types."""
    if not function.__closure__:
        return function
    cells = []
    for cell in function.__closure__:
        try:
            cells.append(CellType(_copied(cell.cell_contents)))
        except ValueError:  # not assigned yet
            cells.append(CellType())
    made = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(cells),
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__qualname__, made.__module__ = function.__qualname__, function.__module__
    return made


def uncompiled(function: FunctionType, made: dict[Any, FunctionType] | None = None) -> FunctionType:
    """The same function that calls in Python whatever njit functions it, and they, call by name."""
    made = {} if made is None else made
    if function in made:
        return made[function]
    found = dict(function.__globals__)
    cells = tuple(CellType() for _ in function.__closure__ or ())
    plain = FunctionType(
        function.__code__, found, function.__name__, function.__defaults__, cells or None
    )
    plain.__kwdefaults__ = function.__kwdefaults__
    made[function] = plain
    for name, *_ in global_names(function.__code__):
        if is_njit(found.get(name)):
            found[name] = uncompiled(found[name].py_func, made)
    for cell, own in zip(function.__closure__ or (), cells, strict=True):
        with suppress(ValueError):  # not assigned yet
            value = cell.cell_contents
            own.cell_contents = uncompiled(value.py_func, made) if is_njit(value) else value
    return plain


def _copied(value: Any) -> Any:
    if type(value) is tuple:
        return tuple(map(_copied, value))
    return value.copy() if isinstance(value, np.ndarray) else value


def known(value: Any) -> Any:
    """What a value is compared by, now and later."""
    if isinstance(value, VALUES):
        return type(value), value
    if isinstance(value, tuple):
        return type(value), *map(known, value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value.dtype, value.shape, value.strides, fingerprint(value)
    return Same(value)


def fingerprint(array: np.ndarray[Any, Any]) -> int:
    """A checksum of an array's contents."""
    whole = np.ascontiguousarray(array)
    sums = np.zeros(1, np.uint64)
    if whole.nbytes:
        checksums(np.array([[whole.__array_interface__["data"][0], whole.nbytes]]), sums)
    return int(sums[0])


@lru_cache(maxsize=1024)
def global_names(code: CodeType) -> tuple[tuple[str, ...], ...]:
    """Globals that code reads, functions inside it included, each with the attributes asked of it."""
    return tuple(dict.fromkeys(_global_names(code)))


def _global_names(code: CodeType) -> Iterator[tuple[str, ...]]:
    chain: list[str] = []
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and chain:
            chain.append(instruction.argval)
            continue
        if chain:
            yield tuple(chain)
        chain = [instruction.argval] if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") else []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _in_module(name: str, value: Any, attributes: list[str]) -> tuple[str, Any]:
    """What is read of a module: the first of a chain of attributes that is no module itself."""
    for attribute in attributes:
        if not isinstance(value, ModuleType) or not hasattr(value, attribute):
            break
        name, value = f"{name}.{attribute}", getattr(value, attribute)
    return name, value


def changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Names whose values differ."""
    return [name for name in before if before[name] != now.get(name)]
