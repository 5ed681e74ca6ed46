"""The places of edits: expressions and statements, what was seen of them, and what is in scope."""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy

from fastgrad.repair.edits import CLOSE, OPEN, grouped, plain
from fastgrad.repair.observe import Observed, Seen
from fastgrad.repair.of_loss import NOTHING, OfLoss
from fastgrad.repair.source import Version

MULTIPLICATIVE = ast.Mult | ast.Div | ast.MatMult
MOST_ATOMS = 400


@dataclass(frozen=True)
class Atom:
    """A name, or a part of a structure, that can be written at a statement."""

    text: str
    seen: Seen


class Scenery:
    """A version with what was seen when it ran.

    Parameters
    ----------
    version : Version
    observed : Observed
    blocks : int
        Of theta.
    said : OfLoss
        What the loss has and the gradient may lack.
    """

    def __init__(self, version: Version, observed: Observed, blocks: int, said: OfLoss = NOTHING):
        self.version = version
        self.observed = observed
        self.position = {node: k for k, node in enumerate(version.nodes)}
        self.said = said
        self._everything = frozenset(range(blocks))
        self._scopes: dict[int, list[Atom]] = {}

    @cached_property
    def numpy(self) -> str:
        """The name of numpy in this code, or ""."""
        names = self.version.unit.functions[0].__globals__
        return next((n for n, v in names.items() if v is numpy and n.isidentifier()), "")

    def seen(self, node: ast.AST) -> Seen | None:
        """What an expression was worth; None where it never ran."""
        return self.observed.seen.get(self.position[node])

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Its parent, and so on up."""
        while (node := self.version.parents.get(node)) is not None:  # type: ignore[assignment]
            yield node

    def statement(self, node: ast.AST) -> ast.AST:
        """The statement that a node is part of; of a lambda, the lambda."""
        if isinstance(node, ast.stmt):
            return node
        return next((a for a in self.ancestors(node) if isinstance(a, ast.stmt)), self.version.tree)

    def reach(self, node: ast.AST) -> frozenset[int]:
        """The blocks that a node's value may change: those of the nearest value whose reach is known."""
        for up in (node, *self.ancestors(node)):
            known = self.observed.reach.get(self.position[up])
            if known is not None:
                return known
            if isinstance(up, ast.stmt):
                return self._reach_of_statement(up)
        return self._everything

    def _reach_of_statement(self, statement: ast.stmt) -> frozenset[int]:
        """What the values in a statement reach; everything where none is known."""
        positions = [self.position[node] for node in ast.walk(statement)]
        known = [self.observed.reach[k] for k in positions if k in self.observed.reach]
        return frozenset().union(*known) if known else self._everything

    def atoms(self, node: ast.AST) -> list[Atom]:
        """What can be written where a node stands."""
        where = self.position[self.statement(node)]
        if where not in self._scopes:
            self._scopes[where] = self._atoms_at(where)
        return self._scopes[where]

    def _atoms_at(self, where: int) -> list[Atom]:
        names = self.observed.scopes.get(where)
        if names is None and isinstance(self.version.tree, ast.Lambda):
            names = {
                node.id: known
                for node in self.version.nodes
                if isinstance(node, ast.Name) and (known := self.seen(node)) is not None
            }
        found: dict[str, Seen] = {}
        for name, what in (names or {}).items():
            if what.kind != "o":
                found[name] = what
            for suffix, part in what.fields:
                found[name + suffix] = part
        for node, text, what in self._written:
            if names and all(root in names for root in _roots(node)):
                found.setdefault(text, what)
        return [Atom(text, what) for text, what in list(found.items())[:MOST_ATOMS]]

    def borrowed(self, node: ast.AST) -> dict[str, Seen]:
        """What the loss computes with that can be computed where a node stands."""
        scope = self.observed.scopes.get(self.position[self.statement(node)], {})
        space = self.version.unit.functions[0].__globals__
        return {
            text: what
            for text, what in self.observed.borrowed.items()
            if all(name in scope or name in space for name in _names(text))
        }

    @cached_property
    def _written(self) -> list[tuple[ast.AST, str, Seen]]:
        """Attributes, items and sizes that the text itself has."""
        return [
            (node, self.version.source(node), what)
            for node in self.version.nodes
            if isinstance(node, ast.Attribute | ast.Subscript | ast.Call)
            and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
            and _is_plain(node)
            and (what := self.seen(node)) is not None
            and what.kind != "o"
        ]


@lru_cache(maxsize=1024)
def _names(text: str) -> frozenset[str]:
    """The names in an expression's text, built-in ones apart."""
    tree = ast.parse(plain(text), mode="eval")
    names = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
    return frozenset(names - vars(builtins).keys())


def _roots(node: ast.AST) -> set[str]:
    """The variables that a plain expression reads."""
    return {
        part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part.id not in ("len",)
    }


def _is_plain(node: ast.AST) -> bool:
    """Names, attributes, items with plain indices, and ``len`` of such."""
    if isinstance(node, ast.Name | ast.Constant):
        return True
    if isinstance(node, ast.Attribute):
        return node.attr != "T" and _is_plain(node.value)
    if isinstance(node, ast.Subscript):
        return _is_plain(node.value) and _is_plain(node.slice)
    if isinstance(node, ast.Call):
        is_len = isinstance(node.func, ast.Name) and node.func.id == "len"
        return is_len and len(node.args) == 1 and _is_plain(node.args[0])
    if isinstance(node, ast.BinOp):
        return (
            isinstance(node.op, ast.Add | ast.Sub)
            and _is_plain(node.left)
            and _is_plain(node.right)
        )
    return False


class Site:
    """One expression that may be replaced.

    Attributes
    ----------
    node, text, seen
        The expression, its source, and what it was worth.
    parent : ast.AST
    """

    def __init__(self, scenery: Scenery, node: ast.expr):
        self.scenery = scenery
        self.node = node
        seen = scenery.seen(node)
        assert seen is not None
        self.seen: Seen = seen
        self.text = scenery.version.source(node)
        self.parent = scenery.version.parents[node]
        self.shape = seen.shape

    @cached_property
    def group(self) -> str:
        """The expression as one operand."""
        plain = isinstance(self.node, ast.Name | ast.Attribute | ast.Subscript | ast.Call)
        return self.text if plain else f"{OPEN}{self.text}{CLOSE}"

    def plain(self, text: str) -> str:
        """An operand without the parentheses that were put around it."""
        return text[1:-1] if text.startswith(OPEN) and text.endswith(CLOSE) else text

    def part(self, node: ast.AST) -> str:
        """The text of a part as one operand."""
        plain = isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call)
        text = self.scenery.version.source(node)
        return text if plain else grouped(text)

    def of(self, node: ast.AST) -> Seen:
        """What a part was worth."""
        return self.scenery.seen(node) or Seen("o")

    @cached_property
    def atoms(self) -> list[Atom]:
        return self.scenery.atoms(self.node)

    @cached_property
    def borrowed(self) -> list[Atom]:
        """What the loss computes with, single numbers 0 and 1 apart."""
        return [
            Atom(text, what)
            for text, what in self.scenery.borrowed(self.node).items()
            if what.number not in (0.0, 1.0)
        ]

    def arrays(self, shape: tuple[int, ...] | None = None) -> Iterator[Atom]:
        """Arrays of floats in scope, of one shape or of any."""
        for atom in self.atoms:
            if (
                atom.seen.kind == "f"
                and atom.seen.shape
                and (shape is None or atom.seen.shape == shape)
            ):
                yield atom

    def scalars(self) -> Iterator[Atom]:
        """Single numbers in scope, other than 0 and 1."""
        for atom in self.atoms:
            if (
                atom.seen.kind in "fi"
                and not atom.seen.shape
                and atom.seen.number not in (0.0, 1.0)
            ):
                yield atom

    @cached_property
    def is_value(self) -> bool:
        """Whether it is the whole value of a statement, or a part that one lists."""
        up = self.parent
        while isinstance(up, ast.Tuple | ast.List | ast.Dict | ast.keyword):
            up = self.scenery.version.parents[up]
        if isinstance(up, ast.Call):  # a NamedTuple of gradients
            up = self.scenery.version.parents[up]
            return isinstance(up, ast.Return)
        return isinstance(up, ast.Assign | ast.AugAssign | ast.Return | ast.AnnAssign | ast.Lambda)

    @cached_property
    def is_term(self) -> bool:
        """Whether a factor here is not the same as one further out."""
        up = self.parent
        if isinstance(up, ast.BinOp) and isinstance(up.op, MULTIPLICATIVE):
            return False
        passes = isinstance(up, ast.Attribute) and up.attr in LINEAR
        return not (passes or isinstance(up, ast.UnaryOp))


LINEAR = {"T", "sum", "mean", "copy", "ravel", "reshape", "flatten"}
"""Attributes and methods that a factor passes through."""
