"""What a gradient's expressions are worth where they stand, and which blocks each of them reaches.

The functions are run once with every expression and every scope noted: shapes and kinds as they
were at that line, not guesses. Then the value of one expression after the other is changed a
little, and the blocks of the gradient that change with it are those that it reaches: a slice of the
program by experiment, exact through loops, caches and calls.
"""

import ast
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.repair.edits import plain
from fastgrad.repair.source import Function, Unit, Version, compiled, parsed

NUDGE = 1e-3
"""Relative change of a value whose reach is sought: far beyond rounding, far from overflow."""
MOST_SECONDS = 2.0
"""CPU time for all expressions that are asked for, and for all reaches that are sought: what a slow
gradient leaves unknown is taken to reach everything."""
MOST_FIELDS = 24
VALUED = ast.Assign | ast.AugAssign | ast.Return | ast.Expr | ast.AnnAssign
"""Statements that have a value."""
NOTE, SCOPE = "__fastgrad_note__", "__fastgrad_scope__"


@dataclass(frozen=True)
class Seen:
    """What a value was: kind "f" (floats), "i", "b" or "o" (anything else), and its shape."""

    kind: str
    shape: tuple[int, ...] = ()
    number: float | None = None
    """The value, where it is one number."""
    fields: tuple[tuple[str, "Seen"], ...] = ()
    """How each array in a structure is written after its name, such as ``["W1"]``."""

    @property
    def is_array(self) -> bool:
        return self.kind != "o" and bool(self.shape)


@dataclass(frozen=True)
class Observed:
    """What one run of a version showed; keys are positions in ``version.nodes``."""

    seen: Mapping[int, Seen]
    scopes: Mapping[int, Mapping[str, Seen]]
    """The names at each statement."""
    reach: Mapping[int, frozenset[int]]
    """The blocks that each of the `heads` reaches, where that is known."""
    borrowed: Mapping[str, Seen] = field(default_factory=dict)
    """Expressions from elsewhere that can be evaluated in it."""


def seen(value: Any, depth: int = 2) -> Seen:
    """What a value is."""
    if isinstance(value, bool | np.bool_):
        return Seen("b", (), float(value))
    if isinstance(value, int | np.integer):
        return Seen("i", (), float(value) if abs(int(value)) < 1 << 53 else None)
    if isinstance(value, float | np.floating):
        return Seen("f", (), float(value))
    if isinstance(value, np.ndarray) or _is_tensor(value):
        return Seen(_kind_of(value.dtype), tuple(value.shape))
    return Seen("o", (), None, tuple(_fields(value, depth)) if depth else ())


def _is_tensor(value: Any) -> bool:
    """Whether it is an array of another library, such as torch's, whose operators are NumPy's."""
    if isinstance(value, type):
        return False
    return all(hasattr(value, name) for name in ("__array__", "dtype", "shape", "__matmul__"))


def _kind_of(dtype: Any) -> str:
    """What a type such as ``float32``, ``torch.bfloat16`` or ``uint8`` is a kind of."""
    name = str(dtype)
    return next((kind[0] for kind in ("float", "int", "bool") if kind in name), "o")


def _fields(value: Any, depth: int) -> list[tuple[str, Seen]]:
    if isinstance(value, dict):
        parts = [
            (f"[{key!r}]".replace("'", '"'), v) for key, v in value.items() if isinstance(key, str)
        ]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = [(f".{name}", v) for name, v in zip(value._fields, value, strict=True)]
    elif isinstance(value, list | tuple):
        parts = [(f"[{k}]", v) for k, v in enumerate(value)]
    elif isinstance(value, ModuleType):
        return []
    elif hasattr(value, "__dict__") and not callable(value):
        parts = [(f".{name}", v) for name, v in vars(value).items()]
    else:
        return []
    found: list[tuple[str, Seen]] = []
    for suffix, part in parts[:MOST_FIELDS]:
        what = seen(part, depth - 1)
        if what.kind != "o":
            found.append((suffix, what))
        found += [(suffix + inner, s) for inner, s in what.fields]
    return found[:MOST_FIELDS]


def observe(
    versions: Mapping[Unit, Version],
    run: Callable[[], Floats],
    stops: np.ndarray,
    expressions: Sequence[str] = (),
) -> dict[Unit, Observed]:
    """Run versions of the units with notes taken; for a child process, whose functions it changes.

    Parameters
    ----------
    run : callable
        Calls the gradient, and gives it along the flat theta.
    stops : ndarray, shape (blocks,)
        The end of each block in it.
    expressions : sequence of str
        From elsewhere: what each is worth is asked once in every function that has its names.
    """
    notes = _Notes(versions, expressions)
    notes.install(versions)
    reach = _reaches(notes, versions, run, stops)
    return {
        unit: Observed(notes.seen[unit], notes.scopes[unit], reach[unit], notes.borrowed[unit])
        for unit in versions
    }


class _Notes:
    """What runs of some versions note, and the expression that they nudge, if any."""

    def __init__(self, versions: Mapping[Unit, Version], expressions: Sequence[str]):
        self.units = list(versions)
        self.seen: dict[Unit, dict[int, Seen]] = {unit: {} for unit in versions}
        """What each expression was worth, by its number in the version."""
        self.scopes: dict[Unit, dict[int, dict[str, Seen]]] = {unit: {} for unit in versions}
        """What names each statement knew."""
        self.borrowed: dict[Unit, dict[str, Seen]] = {unit: {} for unit in versions}
        """What expressions from elsewhere are worth."""
        self.nudged: tuple[int, int, Callable[[Any], Any]] | None = None
        """The number of a unit, of an expression of it, and what is done to its value."""
        self._asked = [
            (text, compile(f"({plain(text)})", "<loss>", "eval")) for text in expressions
        ]
        self._read = {unit: _globals_read(version) for unit, version in versions.items()}
        self._is_asking, self._spent = False, 0.0

    def install(self, versions: Mapping[Unit, Version]) -> None:
        """Have the functions of the units run the versions, and note what they do."""
        for number, (unit, version) in enumerate(versions.items()):
            code = compiled(unit, _noting(version, number))
            for function in unit.functions:
                function.__code__ = code
                function.__globals__.update({NOTE: self.note, SCOPE: self.scope})

    def note(self, number: int, k: int, value: Any) -> Any:
        """The value of an expression, as the function goes on with it."""
        if self._is_asking:
            return value
        if self.nudged is None:
            self.seen[self.units[number]][k] = seen(value)
        elif self.nudged[:2] == (number, k):
            return self.nudged[2](value)
        return value

    def scope(self, number: int, k: int, names: dict[str, Any]) -> None:
        """Take note of the names that a statement knows."""
        if self._is_asking or self.nudged is not None:
            return
        unit = self.units[number]
        is_first = k not in self.scopes[unit]
        self.scopes[unit][k] = self._read[unit] | {name: seen(v) for name, v in names.items()}
        if is_first:
            self._ask(unit, names)

    def _ask(self, unit: Unit, names: dict[str, Any]) -> None:
        """What expressions from elsewhere are worth among these names, while there is time."""
        self._is_asking = True  # an expression may call what is noted
        began = time.process_time()
        for text, expression in self._asked:
            spent = self._spent + time.process_time() - began
            if text not in self.borrowed[unit] and spent < MOST_SECONDS:
                what = _worth(expression, unit, names)
                if what.kind != "o":
                    self.borrowed[unit][text] = what
        self._spent += time.process_time() - began
        self._is_asking = False


def _reaches(
    notes: _Notes, versions: Mapping[Unit, Version], run: Callable[[], Floats], stops: np.ndarray
) -> dict[Unit, dict[int, frozenset[int]]]:
    """The blocks that change with the value of each expression that is a number or an array."""
    before, began = run(), time.process_time()
    reach: dict[Unit, dict[int, frozenset[int]]] = {unit: {} for unit in versions}
    for number, (unit, version) in enumerate(versions.items()):
        for k in heads(version):
            if notes.seen[unit].get(k, Seen("o")).kind not in "fi":
                continue
            if time.process_time() - began > MOST_SECONDS:
                break
            for change in (_nudge, _turn):
                notes.nudged = number, k, change
                try:
                    after = run()
                except Exception:
                    break
                same = (before == after) | (np.isnan(before) & np.isnan(after))
                changed = np.searchsorted(stops, np.flatnonzero(~same), side="right")
                reach[unit][k] = frozenset(map(int, np.unique(changed)))
                if reach[unit][k]:
                    break
    return reach


def _globals_read(version: Version) -> dict[str, Seen]:
    """What a version reads of its module: arrays, numbers, and structures of them."""
    space = version.unit.functions[0].__globals__
    names = {node.id for node in version.nodes if isinstance(node, ast.Name)}
    found = {n: seen(space[n]) for n in names if not isinstance(space.get(n), ModuleType | None)}
    return {name: what for name, what in found.items() if what.kind != "o" or what.fields}


def _worth(expression: CodeType, unit: Unit, names: Mapping[str, Any]) -> Seen:
    """What an expression is worth among a function's names; of kind "o" where it is nothing."""
    try:
        return seen(eval(expression, unit.functions[0].__globals__, names))
    except Exception:
        return Seen("o")


def _turn(value: Any) -> Any:
    """The value upside down: where it is only compared, as in ``argmax``, little changes nothing."""
    return -value if seen(value).kind in "fi" else value


def _nudge(value: Any) -> Any:
    if _is_tensor(value) and not isinstance(value, np.ndarray):
        return value * (1 + NUDGE) + NUDGE * abs(value).max()
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "f":
            return value
        noise = np.random.default_rng(0).uniform(0.5, 1.5, value.shape)
        size = float(np.abs(value).max(initial=0.0)) or 1.0
        return value + NUDGE * noise * np.where(value == 0, size, value)
    return value * (1 + NUDGE) if value else NUDGE


def heads(version: Version) -> list[int]:
    """The expressions whose reach is sought: values of statements, and the parts that they list."""
    index = {node: k for k, node in enumerate(version.nodes)}
    found: list[int] = []

    def add(node: ast.AST, depth: int) -> None:
        if isinstance(node, ast.expr) and not isinstance(node, ast.Starred):
            found.append(index[node])
        if depth and isinstance(node, ast.Tuple | ast.List):
            for part in node.elts:
                add(part, depth - 1)
        elif depth and isinstance(node, ast.Dict):
            for part in node.values:
                add(part, depth - 1)
        elif depth and isinstance(node, ast.Call):
            for part in (*node.args, *(k.value for k in node.keywords)):
                add(part, depth - 1)

    for node in version.nodes:
        if isinstance(node, ast.Lambda):
            add(node.body, 2)
        elif isinstance(node, VALUED) and node.value is not None:
            add(node.value, 2)
    return list(dict.fromkeys(found))


def _noting(version: Version, number: int) -> Function:
    """The function with every expression passed through `NOTE`, and `SCOPE` called at statements."""
    tree = parsed(version.unit, version.text)
    for k, node in enumerate(ast.walk(tree)):
        node.position = k  # type: ignore[attr-defined]
    return ast.fix_missing_locations(_Noting(number).visit(tree))


class _Noting(ast.NodeTransformer):
    """Wraps what is read, and nothing that is bound, declared or looked up."""

    def __init__(self, number: int):
        self.number = number

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.FunctionDef):
            node.body = self._statements(node.body)
            return node
        if isinstance(node, ast.Lambda):
            node.body = self.visit(node.body)
            return node
        if isinstance(node, ast.JoinedStr | ast.pattern):
            return node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            return self._called(node)
        visited = self.generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(node, ast.stmt | ast.ExceptHandler) and isinstance(block, list) and block:
                setattr(node, name, self._scoped(block))
        if not isinstance(node, ast.expr) or isinstance(node, ast.Starred | ast.Slice):
            return visited
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return visited
        return self._call(NOTE, node.position, visited)  # type: ignore[attr-defined, arg-type]

    def _called(self, node: ast.Call) -> ast.Call:
        """A call, whose function is looked up as it was."""
        position = node.position  # type: ignore[attr-defined]
        if isinstance(node.func, ast.Attribute):
            node.func.value = self.visit(node.func.value)
        node.args = [self.visit(part) for part in node.args]
        for keyword in node.keywords:
            keyword.value = self.visit(keyword.value)
        return self._call(NOTE, position, node)

    def _statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        return self._scoped([self.visit(statement) for statement in body])

    def _scoped(self, body: list[ast.stmt]) -> list[ast.stmt]:
        noted: list[ast.stmt] = []
        for statement in body:
            if hasattr(statement, "position") and not isinstance(
                statement, ast.Global | ast.Nonlocal
            ):
                names = ast.Call(ast.Name("locals", ast.Load()), [], [])
                noted.append(ast.Expr(self._call(SCOPE, statement.position, names)))
            noted.append(statement)
        return noted

    def _call(self, name: str, position: int, value: ast.expr) -> ast.Call:
        where = [ast.Constant(self.number), ast.Constant(position)]
        return ast.Call(ast.Name(name, ast.Load()), [*where, value], [])
