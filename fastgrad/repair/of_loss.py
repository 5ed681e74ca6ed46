"""What the source of a loss has that its gradient may lack: numbers, expressions, functions, penalties.

The derivative of what a loss says is made of the same words. Nothing here is trusted: whatever is
read is tried like any other edit, and is judged by the differences.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastgrad.repair.edits import grouped, plain
from fastgrad.repair.source import Unit, Version

MOST_NUMBERS = 8
"""Numbers of the loss that are tried in the gradient, of either kind, with their doubles."""
MOST_EXPRESSIONS = 40
LONGEST_TEXT = 60
"""Characters of an expression of the loss that is tried in the gradient."""
LARGEST_COUNT = 1000
"""Whole numbers beyond are no sizes."""
READ = ast.Call | ast.BinOp | ast.UnaryOp | ast.Compare | ast.Subscript | ast.Attribute | ast.Name
OWN_NAMES = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True)
class OfLoss:
    """What a loss's source has.

    Parameters
    ----------
    constants, counts : tuple of str
        Its numbers, and twice each: floats, and whole numbers.
    expressions : tuple of str
        What it computes with and the gradient does not, in the gradient's names.
    functions : frozenset of str
        Names of what it calls.
    penalties : tuple of str
        Slopes of its terms that are squares, absolute values or norms, with what stands before them.
    """

    constants: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    functions: frozenset[str] = frozenset()
    penalties: tuple[str, ...] = ()


NOTHING = OfLoss()


def of_the_loss(loss: Sequence[Unit], gradient: Sequence[Unit]) -> OfLoss:
    """What the units of a loss have that those of its gradient may lack.

    Parameters
    ----------
    loss, gradient : sequence of Unit
        What each of them runs; the first unit of either is what is called with theta.
    """
    versions = [unit.original for unit in loss]
    known = {ast.dump(node) for unit in gradient for node in unit.original.nodes}
    renamed = _renamed(loss, gradient)
    numbers = [
        node.value
        for version in versions
        for node in version.nodes
        if isinstance(node, ast.Constant) and not isinstance(node.value, bool)
    ]
    floats = [x for x in numbers if isinstance(x, float) and x > 0]
    counts = [n for n in numbers if isinstance(n, int) and 1 < n <= LARGEST_COUNT]
    return OfLoss(
        tuple(f"{c:.12g}" for c in _with_doubles(floats)),
        tuple(str(c) for c in _with_doubles(counts)),
        tuple(_expressions(versions, known, renamed)),
        frozenset(
            node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            for version in versions
            for node in version.nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
        ),
        tuple(dict.fromkeys(renamed(slope) for v in versions for slope in _penalties(v))),
    )


def _with_doubles(numbers: Sequence[float]) -> list[float]:
    both = dict.fromkeys(c for number in numbers for c in (number, 2 * number) if c != 1.0)
    return list(both)[:MOST_NUMBERS]


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]):
        self.names = names

    def __call__(self, text: str) -> str:
        """A text with the names of the loss's parameters as the gradient has them."""
        tree = ast.parse(plain(text), mode="eval")
        if not any(isinstance(n, ast.Name) and n.id in self.names for n in ast.walk(tree)):
            return text
        return ast.unparse(self.visit(tree))

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)


def _renamed(loss: Sequence[Unit], gradient: Sequence[Unit]) -> _Renamed:
    """Names of the loss's parameters by those that the gradient gives to the same arguments."""
    if not loss or not gradient:
        return _Renamed({})
    theirs, ours = (
        [a.arg for a in (*u.original.tree.args.posonlyargs, *u.original.tree.args.args)]
        for u in (loss[0], gradient[0])
    )
    return _Renamed({a: b for a, b in zip(theirs, ours, strict=False) if a != b})


def _expressions(versions: Sequence[Version], known: set[str], renamed: _Renamed) -> Iterator[str]:
    """Expressions that no unit of the gradient has, no text twice, the shortest first."""
    found: dict[str, None] = {}
    for version in versions:
        called = {n.func for n in version.nodes if isinstance(n, ast.Call)}
        for node in version.nodes:
            if not isinstance(node, READ) or node in called:
                continue
            if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                continue
            text = version.source(node)
            if len(text) > LONGEST_TEXT or "\n" in text:
                continue
            text = renamed(text)
            parts = list(ast.walk(tree := ast.parse(text, mode="eval").body))
            has_names = any(isinstance(part, ast.Name) for part in parts)
            is_plain = not any(isinstance(part, OWN_NAMES) for part in parts)
            if has_names and is_plain and ast.dump(tree) not in known:
                found[text] = None
    yield from sorted(found, key=len)[:MOST_EXPRESSIONS]


def _penalties(version: Version) -> Iterator[str]:
    """Slopes of a version's terms that are squares, absolute values or norms of something."""
    for node in version.nodes:
        if isinstance(node, ast.expr):
            for slope, times in _slopes(version, node):
                yield _with_factors(version, node, slope, times)


def _slopes(version: Version, node: ast.expr) -> Iterator[tuple[str, int]]:
    """The slope of a sum of squares or of absolute values, or of a norm, and its number, 1 or 2."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        left, right = version.source(node.left), version.source(node.right)
        if left == right:
            yield grouped(left), 2
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    name, module = node.func.attr, version.source(node.func.value)
    if name in ("dot", "vdot") and len(node.args) == 2:
        one, other = map(version.source, node.args)
        if one == other:
            yield grouped(one), 2
    if name == "norm" and len(node.args) == 1:
        inner = version.source(node.args[0])
        yield f"{grouped(inner)} / {version.source(node)}", 1
    if name != "sum":
        return
    match node.args[0] if node.args else node.func.value:
        case ast.BinOp(base, ast.Pow(), ast.Constant(2)):
            yield grouped(version.source(base)), 2
        case ast.Call(ast.Attribute(numpy, "square"), [base]):
            yield grouped(version.source(base)), 2
        case ast.Call(ast.Attribute(numpy, "abs" | "absolute" | "fabs"), [base]):
            yield f"{version.source(numpy) or module}.sign({version.source(base)})", 1


def _with_factors(version: Version, node: ast.AST, slope: str, times: int) -> str:
    """A slope with the factors that stand around its term, up to the statement; halves of 2 cancel."""
    inside = node
    while isinstance(up := version.parents.get(inside), ast.BinOp | ast.UnaryOp):
        if isinstance(up, ast.UnaryOp):
            slope = f"-{grouped(slope)}" if isinstance(up.op, ast.USub) else slope
        elif isinstance(up.op, ast.Mult):
            other = up.right if up.left is inside else up.left
            text, times = _halved(version, other) if times == 2 else (version.source(other), times)
            slope = f"{grouped(text)} * {slope}" if text else slope
        elif isinstance(up.op, ast.Div) and up.left is inside:
            text, times = (
                _over_half(version, up.right) if times == 2 else (version.source(up.right), 1)
            )
            slope = f"{slope} / {grouped(text)}" if text else slope
        elif isinstance(up.op, ast.Sub) and up.right is inside:
            slope = f"-{grouped(slope)}"
        inside = up
    return f"2 * {slope}" if times == 2 else slope


def _halved(version: Version, factor: ast.expr) -> tuple[str, int]:
    """What is left of a factor before ``2 * x`` that the 2 is taken into, and the 2 or 1 that stays."""
    match factor:
        case ast.Constant(0.5):
            return "", 1
        case ast.BinOp(ast.Constant(0.5), ast.Mult(), other):
            return version.source(other), 1
        case ast.BinOp(other, ast.Div(), under):
            text, times = _over_half(version, under)
            first = version.source(other)
            return (f"{first} / {grouped(text)}" if text else first), times
    return version.source(factor), 2


def _over_half(version: Version, under: ast.expr) -> tuple[str, int]:
    """The same of what ``2 * x`` is divided by: half of it, where it is an even number."""
    match under:
        case ast.Constant(int(value)) if value > 0 and value % 2 == 0:
            return ("" if value == 2 else str(value // 2)), 1
        case ast.BinOp(ast.Constant(2), ast.Mult(), other):
            return version.source(other), 1
    return version.source(under), 2
