"""The source of functions: found, parsed, edited by spans of text, and compiled into the same function.

A `Unit` is a function of the user's that may be edited, a `Version` one text of it. A version is put
in place by its code object alone, so that whoever holds the function runs the edit.
"""

import ast
import linecache
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import CodeType, FunctionType
from typing import Any, TypeVar


class NoSourceError(Exception):
    """A function whose source cannot be read, or is not what runs; the message is a sentence."""


Function = ast.FunctionDef | ast.Lambda


@dataclass(frozen=True, eq=False)
class Unit:
    """A function of the user's, with all function objects that run its code.

    Parameters
    ----------
    functions : tuple of function
    path : str
        Of the file.
    file : str
        Its text.
    start, stop : int
        Where the function lies in it, from its ``def`` on.
    owner : str
        The class that it is a method of, or "".
    """

    functions: tuple[FunctionType, ...]
    path: str
    file: str
    start: int
    stop: int
    owner: str

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.functions[0].__qualname__.replace("<locals>.", "")

    @property
    def code(self) -> CodeType:
        return self.functions[0].__code__

    @cached_property
    def original(self) -> "Version":
        """The text that the file has."""
        return Version(self, self.file[self.start : self.stop])

    @cached_property
    def indent(self) -> str:
        """What stands before the ``def`` on its line, where that is white space."""
        before = self.file[: self.start].rpartition("\n")[2]
        return before if not before.strip() else ""


@dataclass(frozen=True, eq=False)
class Version:
    """A text of a unit, which parses."""

    unit: Unit
    text: str

    @cached_property
    def tree(self) -> Function:
        """The function's node; positions in it are those of `text`, by `offset`."""
        return parsed(self.unit, self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes, in an order that depends on the text alone."""
        return list(ast.walk(self.tree))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The start and end of a node's text."""
        return (
            self._offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self._offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def source(self, node: ast.AST) -> str:
        """A node's text."""
        start, stop = self.span(node)
        return self.text[start:stop]

    def _offset(self, line: int, column: int) -> int:
        start, encoded = self._lines[line]
        if encoded is None:
            return start + column
        return start + len(encoded[:column].decode())

    @cached_property
    def _lines(self) -> dict[int, tuple[int, bytes | None]]:
        """Offset of each line, and its bytes unless they are as many as its characters."""
        found: dict[int, tuple[int, bytes | None]] = {}
        prefix = _prefix(self.unit)
        start = -len(prefix)
        for number, line in enumerate((prefix + self.text).splitlines(keepends=True), 1):
            found[number] = (start, None if line.isascii() else line.encode())
            start += len(line)
        return found

    def compiled(self) -> CodeType:
        """The code of this text, for the unit's functions."""
        return compiled(self.unit, parsed(self.unit, self.text))


def _prefix(unit: Unit) -> str:
    """What a text needs before it to be parsed where it stands."""
    if unit.code.co_name == "<lambda>":
        return "("
    return f"if 1:\n{unit.indent}" if unit.indent else ""


def parsed(unit: Unit, text: str) -> Function:
    """The node of a unit's text.

    Raises
    ------
    SyntaxError
    """
    if unit.code.co_name == "<lambda>":
        return ast.parse(f"({text})", mode="eval").body  # type: ignore[return-value]
    (statement,) = ast.parse(_prefix(unit) + text).body
    return statement.body[0] if unit.indent else statement  # type: ignore


def compiled(unit: Unit, node: Function) -> CodeType:
    """The code of a function's node, with the free variables that the unit's functions have.

    Code can replace a function's only if it has the same free variables: one that an edit no longer
    uses is named where nothing runs.
    """
    free = unit.code.co_freevars
    kept = _placed(ast.If(ast.Constant(0), [ast.Expr(_names(free))], []))
    if isinstance(node, ast.Lambda):
        choice = _placed(ast.IfExp(ast.Constant(True), ast.Constant(None), _names(free)))
        choice.body = node.body
        inner: ast.stmt = _placed(ast.Return(ast.Constant(None)))
        inner.value = _placed(ast.Lambda(_NO_ARGUMENTS, ast.Constant(None)))  # type: ignore
        inner.value.args, inner.value.body = node.args, choice if free else node.body  # type: ignore
    else:
        inner = _placed(ast.FunctionDef(node.name, _bare(node.args), [], []))
        inner.body = [*node.body, kept] if free else node.body
    if unit.owner:
        owner = _placed(ast.ClassDef(unit.owner, [], [], [], []))
        owner.body, inner = [inner], owner
    outer = _placed(ast.FunctionDef("_", _NO_ARGUMENTS, [], []))
    outer.body = [
        *(_placed(ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None))) for name in free),
        inner,
    ]
    code = compile(ast.Module([outer], []), unit.path, "exec", dont_inherit=True)
    name = unit.code.co_name
    return next(c for c in _codes_within(code) if c.co_name == name)


Placed = TypeVar("Placed", bound=ast.AST)


def _placed(node: Placed) -> Placed:
    """A new node with locations; of what was parsed it has none yet, for that has its own."""
    return ast.fix_missing_locations(node)


_NO_ARGUMENTS = ast.arguments([], [], None, [], [], None, [])


def _bare(given: ast.arguments) -> ast.arguments:
    """Arguments without annotations and defaults, which the function object already has."""

    def plain(a: ast.arg) -> ast.arg:
        return ast.arg(a.arg)

    return ast.arguments(
        [plain(a) for a in given.posonlyargs],
        [plain(a) for a in given.args],
        plain(given.vararg) if given.vararg else None,
        [plain(a) for a in given.kwonlyargs],
        [None] * len(given.kwonlyargs),
        plain(given.kwarg) if given.kwarg else None,
        [],
    )


def _names(names: tuple[str, ...]) -> ast.expr:
    return ast.Tuple([ast.Name(name, ast.Load()) for name in names], ast.Load())


def _codes_within(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_within(constant)


def unit_of(functions: tuple[FunctionType, ...]) -> Unit:
    """The unit of function objects that share one code.

    Raises
    ------
    NoSourceError
    """
    code = functions[0].__code__
    name = functions[0].__qualname__.replace("<locals>.", "")
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, functions[0].__globals__)
    if not lines:
        raise NoSourceError(f"{name} has no source to edit ({code.co_filename})")
    file = "".join(lines)
    try:
        tree = ast.parse(file)
    except SyntaxError:
        raise NoSourceError(f"{code.co_filename} does not parse: was it changed?") from None
    found = _find(tree, code)
    if found is None:
        raise NoSourceError(f"{code.co_filename} has no {name} at line {code.co_firstlineno}")
    node, owner = found
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def offset(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    start = offset(node.lineno, node.col_offset)
    stop = offset(node.end_lineno or 0, node.end_col_offset or 0)
    unit = Unit(functions, os.path.abspath(code.co_filename), file, start, stop, owner)
    if not _is_what_runs(code, file):
        raise NoSourceError(f"the source of {name} is not what runs: was the file changed since?")
    return unit


def _is_what_runs(code: CodeType, file: str) -> bool:
    """Whether a code is one of those that a file's text compiles to."""
    if any(name.startswith("@py") for name in (*code.co_names, *code.co_varnames)):
        return True  # pytest wrote its own assertions into it
    return any(
        found.co_name == code.co_name and alike(found, code)
        for found in _codes_within(_compiled_file(file, code.co_filename))
    )


@lru_cache(maxsize=16)
def _compiled_file(text: str, path: str) -> CodeType:
    return compile(text, path, "exec", dont_inherit=True)


def _find(tree: ast.Module, code: CodeType) -> tuple[Function, str] | None:
    """The node that a code was compiled from, and the class that it is a method of."""
    found: list[tuple[Function, str]] = []
    place = code.co_firstlineno, code.co_name
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        inside = node.name if isinstance(node, ast.ClassDef) else ""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef) and child.name == code.co_name:
                first = child.decorator_list[0] if child.decorator_list else child
                if code.co_firstlineno in (first.lineno, child.lineno):
                    found.append((child, inside))
            elif isinstance(child, ast.Lambda) and (child.lineno, "<lambda>") == place:
                found.append((child, ""))
            stack.append(child)
    if code.co_name != "<lambda>" or len(found) < 2:
        return found[0] if found else None
    columns = {p[2] for p in code.co_positions() if p[2] is not None}
    for child, owner in found:  # several on one line
        if child.col_offset <= min(columns, default=-1) < (child.end_col_offset or 0):
            return child, owner
    return None


def alike(one: Any, other: Any) -> bool:
    """Whether two codes do the same, whatever their lines and names of files."""
    if not isinstance(one, CodeType) or not isinstance(other, CodeType):
        return type(one) is type(other) and repr(one) == repr(other)
    return (
        one.co_code == other.co_code
        and one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and len(one.co_consts) == len(other.co_consts)
        and all(map(alike, one.co_consts, other.co_consts))
    )
