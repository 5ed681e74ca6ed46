"""What ``module:name``, ``file.py:name`` and ``file.py`` stand for: a problem to check, or a report."""

import difflib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import fastgrad
from fastgrad import errors
from fastgrad.problems import ProblemError, has_fields
from fastgrad.results import GradientCheck

PACKAGE = Path(fastgrad.__file__).parent


class TargetError(ProblemError):
    """A target that is not there, or is no problem; the message says what to do."""


def found_at(target: str) -> Any:
    """The object that a target names, and what it makes if it is a function without arguments."""
    if target.endswith(".py"):
        return _whole_file(target)
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise TargetError(
            f"{target!r} is no target: expected module:name or file.py:name, such as "
            "model.py:problem"
        )
    module = _module_of_file(Path(place)) if place.endswith(".py") else _module_named(place)
    if not hasattr(module, name):
        near = difflib.get_close_matches(name, [n for n in vars(module) if n[0] != "_"], n=1)
        hint = f": did you mean {near[0]}?" if near else f"; define {name} = (loss, grad, theta)"
        raise TargetError(f"{place} has no {name!r}{hint}")
    found = getattr(module, name)
    if callable(found) and not has_fields(found):
        found = _made_by(found, name)
    return found


def _whole_file(target: str) -> ModuleType:
    """The module of a file, if it is a problem by what it defines."""
    module = _module_of_file(Path(target))
    if not has_fields(module):
        raise TargetError(
            f"{target} does not define loss, grad and theta: expected these, or the name of what is to "
            f"be checked, such as {target}:problem"
        )
    return module


def _made_by(function: Callable[..., Any], name: str) -> Any:
    needed = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if needed:
        raise TargetError(
            f"{name} is a function of {', '.join(needed)}: expected one without arguments, that "
            "makes (loss, grad, theta, *args)"
        )
    made = function()
    if made is None:
        raise TargetError(f"{name}() returned None: is a return statement missing?")
    return made


def _module_of_file(path: Path) -> ModuleType:
    """The module of a file, by its own name where no other module has that."""
    path = path.resolve()
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], n=1)
        hint = f"did you mean {near[0]}?" if near else "is the path relative to this folder?"
        raise TargetError(f"there is no file {path}: {hint}")
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    if known is not None or not name.isidentifier():
        name = f"fastgrad_target_{abs(hash(str(path)))}"
        if name in sys.modules:
            return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path} cannot be imported: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise _import_failure(path.name, error) from error
    return module


def _module_named(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _import_failure(name, error) from error
        raise TargetError(
            f"there is no module {error.name!r} here: is it spelt so, and is this its folder? A "
            "file is named with its ending: model.py:problem"
        ) from error
    except BaseException as error:
        raise _import_failure(name, error) from error


def _import_failure(name: str, error: BaseException) -> BaseException:
    """A module that does not import, in one sentence."""
    if isinstance(error, KeyboardInterrupt):
        return error
    if isinstance(error, ModuleNotFoundError):
        return TargetError(
            f"{name} imports {error.name}, which is not installed here: install it, or run "
            "fastgrad where it is"
        )
    if isinstance(error, SyntaxError):
        return TargetError(
            f"{name} is not Python: {error.msg} ({_file(error)}, line {error.lineno})"
        )
    if isinstance(error, SystemExit):
        return TargetError(
            f'{name} exits when it is imported: put what it runs under if __name__ == "__main__":'
        )
    return TargetError(
        f"{name} raised {_kind(error)} when it was imported{_place(error)}: it must import without "
        "errors"
    )


def _file(error: SyntaxError) -> str:
    return Path(error.filename or "").name


@contextmanager
def importable(target: str) -> Iterator[None]:
    """Modules beside a target's file, or in this folder, can be imported, now and by what it runs."""
    place = target if target.endswith(".py") else target.rpartition(":")[0]
    folder = Path(place).parent if place.endswith(".py") else Path()
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def told(error: Exception, whole: bool = False) -> str:
    """What went wrong in one sentence, or with the traceback."""
    if whole:
        return "".join(traceback.format_exception(error)).rstrip()
    ours = isinstance(error, ProblemError) or type(error).__module__ == errors.__name__
    if not ours and _is_foreign(error):
        return f"{_kind(error)}{_place(error)}; --traceback shows how it came there"
    return _ends(str(error)) or type(error).__name__


def _ends(message: str) -> str:
    """The first line of a message and its last, which says what to do."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 else " ".join((lines[0], lines[-1])) if lines else ""


def _kind(error: BaseException) -> str:
    message = _ends(str(error))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _is_foreign(error: Exception) -> bool:
    """Whether it was raised by other code than ours, or is of a kind that we do not raise."""
    frames = traceback.extract_tb(error.__traceback__)
    own = bool(frames) and Path(frames[-1].filename).is_relative_to(PACKAGE)
    return not (own and isinstance(error, TypeError | ValueError | ArithmeticError | RuntimeError))


def _place(error: BaseException) -> str:
    """The deepest line of the user's own, if any."""
    outside = (str(PACKAGE), "site-packages", sys.prefix, sys.base_prefix, "<frozen")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not any(part in frame.filename for part in outside):
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""


def source_of(function: Any) -> tuple[str, int] | None:
    """File and line of a function's definition, under any wrapper; None where it has none."""
    function = inspect.unwrap(getattr(function, "py_func", function))
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return None if code is None else (code.co_filename, code.co_firstlineno)


def is_report(found: Any) -> bool:
    """Whether a target made its report by itself."""
    return isinstance(found, GradientCheck)
