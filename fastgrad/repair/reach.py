"""Which functions a gradient runs: those of the user's own that may be edited, and why others may not.

Plain functions are seen when they run, compiled ones by the names that the others use.
"""

import ast
import gc
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from numba.core.registry import CPUDispatcher

from fastgrad.repair.source import NoSourceError, Unit, unit_of

LIBRARIES = tuple(
    {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
)
OWN = str(Path(__file__).parents[1])
MODELS = str(Path(OWN, "models"))

IMPURE_MODULES = {
    "os", "shutil", "subprocess", "socket", "urllib", "http", "requests", "tempfile", "random",
    "pathlib", "sqlite3", "ftplib", "smtplib", "multiprocessing", "threading", "ctypes", "pickle",
}  # fmt: skip
IMPURE_NAMES = {"open", "exec", "eval", "input", "compile", "__import__"}
IMPURE_OF_NUMPY = {"save", "savez", "savez_compressed", "savetxt", "load", "loadtxt", "fromfile"}
IMPURE_METHODS = {"tofile", "write_text", "write_bytes", "unlink", "rmdir", "to_csv", "to_pickle"}
SEEDED = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox"}
"""What of numpy.random does not draw from its global state."""


@dataclass(frozen=True)
class Reached:
    """What a gradient runs.

    Parameters
    ----------
    units : tuple of Unit
        What may be edited.
    refused : tuple of str
        Sentences about what may not.
    compiled : tuple of dispatcher
        The njit functions among them.
    """

    units: tuple[Unit, ...]
    refused: tuple[str, ...]
    compiled: tuple[CPUDispatcher, ...]


def reached(gradient: Any, call: Callable[[], object]) -> Reached:
    """The functions that ``call`` runs, which calls the gradient once."""
    codes = _traced(call)
    functions: dict[CodeType, list[FunctionType]] = {}
    compiled: list[CPUDispatcher] = []
    known = list(_functions_of(codes))
    waiting: list[Any] = [*known, _innermost(gradient)]
    root = _package(waiting[-1])
    while waiting:
        found = waiting.pop()
        if isinstance(found, CPUDispatcher):
            if found not in compiled and _is_users(found.py_func, root):
                compiled.append(found)
                waiting.append(found.py_func)
            continue
        if not isinstance(found, FunctionType) or found.__code__ in functions:
            continue
        if _is_users(found, root):
            functions[found.__code__] = [found]
            waiting += [f for f in _named_in(found) if isinstance(f, CPUDispatcher)]
    if functions.keys() - set(codes):
        known = list(_functions_of(list(functions)))
    for other in known:  # closures share a code
        if other.__code__ in functions and other not in functions[other.__code__]:
            functions[other.__code__].append(other)
    inner = {code for outer in functions for code in _nested(outer)}
    units, refused = [], []
    for code, alive in functions.items():
        if code in inner:
            continue
        try:
            unit = unit_of(tuple(alive))
        except NoSourceError as reason:
            refused.append(str(reason))
            continue
        impure = impurity(unit)
        if impure:
            refused.append(f"{unit.name} is not edited: it calls {impure}")
        else:
            units.append(unit)
    return Reached(tuple(units), tuple(refused), tuple(compiled))


def _innermost(gradient: Any) -> Any:
    """The function behind methods, partials and callable objects."""
    while True:
        if inspect.ismethod(gradient):
            gradient = gradient.__func__
        elif hasattr(gradient, "func") and callable(gradient.func):
            gradient = gradient.func
        elif isinstance(gradient, FunctionType | CPUDispatcher) or not callable(gradient):
            return gradient
        else:
            inner = vars(type(gradient)).get("__call__")
            if not isinstance(inner, FunctionType):
                return gradient
            gradient = inner


def _traced(call: Callable[[], object]) -> list[CodeType]:
    """Codes of the Python functions that ran."""
    codes: dict[CodeType, None] = {}

    def note(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            codes[frame.f_code] = None

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return [code for code in codes if not _is_library(code.co_filename)]


def _functions_of(codes: list[CodeType]) -> Iterator[FunctionType]:
    wanted = set(codes)
    for found in gc.get_referrers(*codes) if codes else ():
        if isinstance(found, FunctionType) and found.__code__ in wanted:
            yield found


def _named_in(function: FunctionType) -> Iterator[Any]:
    """Functions that a function's names stand for: globals, closures, attributes of modules."""
    names = {
        name for code in (function.__code__, *_nested(function.__code__)) for name in code.co_names
    }
    values = [function.__globals__[name] for name in names if name in function.__globals__]
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # empty
            continue
    for value in values:
        if isinstance(value, ModuleType):
            yield from (vars(value)[name] for name in names if name in vars(value))
        else:
            yield value


def _nested(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _nested(constant)


def _package(function: Any) -> str:
    function = getattr(function, "py_func", function)
    return str(getattr(function, "__module__", "") or "").partition(".")[0]


def _is_users(function: FunctionType, root: str) -> bool:
    """Whether it is of the gradient's own package, or of no library.

    What calls the user's functions for him, as of a layer or a module, is not his; a model is.
    """
    path = function.__code__.co_filename
    if path.startswith(OWN) and not path.startswith(MODELS):
        return False
    return _package(function) == root or not _is_library(path)


def _is_library(path: str) -> bool:
    return path.startswith((*LIBRARIES, OWN, "<frozen", "<__array_function__", "<string>"))


def impurity(unit: Unit) -> str:
    """What a unit calls that reaches outside the process or draws random numbers, or ""."""
    namespace = unit.functions[0].__globals__
    for node in unit.original.nodes:
        if isinstance(node, ast.Name) and node.id in IMPURE_NAMES and node.id not in namespace:
            return f"{node.id}()"
        if isinstance(node, ast.Attribute):
            name = _dotted(node, namespace)
            if node.attr in IMPURE_METHODS or _is_impure(name):
                return name or node.attr
    return ""


def _dotted(node: ast.AST, namespace: dict[str, Any]) -> str:
    """The full name of an attribute of a module, such as ``numpy.random.rand``; else ""."""
    if isinstance(node, ast.Name):
        value = namespace.get(node.id)
        return value.__name__ if isinstance(value, ModuleType) else ""
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value, namespace)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _is_impure(name: str) -> bool:
    parts = name.split(".")
    if parts[:2] == ["numpy", "random"] and len(parts) > 2:
        return parts[2] not in SEEDED
    if parts[0] == "numpy" and parts[-1] in IMPURE_OF_NUMPY:
        return True
    return len(parts) > 1 and parts[0] in IMPURE_MODULES and parts[:2] != ["os", "path"]
