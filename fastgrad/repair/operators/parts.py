"""Less than what is written, or its parts in another way: an operand, an operator, a sign, ``.T``."""

import ast
from collections.abc import Iterator

from fastgrad.repair.edits import grouped
from fastgrad.repair.sites import Site

OPERATORS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.MatMult: "@",
    ast.Pow: "**",
}
INSTEAD = {
    ast.Add: "-*/",
    ast.Sub: "+*/",
    ast.Mult: "/+-@",
    ast.Div: "*",
    ast.MatMult: "*",
    ast.Pow: "*",
}
COMPARISONS = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
DEEPEST = 40
PLACES = ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.BinOp | ast.Compare
"""Expressions for which another value may stand."""


def operand(site: Site) -> Iterator[str]:
    """One operand of a sum or product, the argument of a call, an array without its index."""
    node = site.node
    if isinstance(node, ast.BinOp):
        yield site.part(node.left)
        yield site.part(node.right)
    elif isinstance(node, ast.UnaryOp):
        yield site.part(node.operand)
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and site.of(node.func.value).kind != "o":
            yield site.part(node.func.value)
        for argument in node.args:
            if not isinstance(argument, ast.Starred):
                yield site.part(argument)
    elif isinstance(node, ast.Subscript | ast.Attribute):
        yield site.part(node.value)
    elif isinstance(node, ast.IfExp):
        yield site.part(node.body)
        yield site.part(node.orelse)
    elif isinstance(node, ast.Tuple) and not isinstance(site.parent, ast.Subscript | ast.Return):
        yield from map(site.part, node.elts)  # one axis of several
    elif isinstance(node, ast.Dict):
        yield from _entries_left_out(site, node)


def _entries_left_out(site: Site, node: ast.Dict) -> Iterator[str]:
    """``{**g, ...}`` without one of the entries that stand in the place of what g has."""
    source = site.scenery.version.source
    if None not in node.keys:
        return
    written = [
        f"**{source(value)}" if key is None else f"{source(key)}: {source(value)}"
        for key, value in zip(node.keys, node.values, strict=True)
    ]
    for k, key in enumerate(node.keys):
        if key is not None:
            rest = [text for i, text in enumerate(written) if i != k]
            alone = len(rest) == 1 and rest[0].startswith("**")
            yield rest[0][2:] if alone else f"{{{', '.join(rest)}}}"


def inner(site: Site) -> Iterator[str]:
    """Any part of the same shape, further in."""
    direct = set(operand(site))
    for part in list(ast.walk(site.node))[1:DEEPEST]:
        if (
            isinstance(part, ast.expr)
            and site.of(part).kind == "f"
            and site.of(part).shape == site.shape
        ):
            text = site.part(part)
            if text not in direct:
                direct.add(text)
                yield text


def other_operator(site: Site) -> Iterator[str]:
    """Another operator between the same operands; the same one with the operands exchanged."""
    node = site.node
    if not isinstance(node, ast.BinOp) or type(node.op) not in INSTEAD:
        return
    left, right = site.part(node.left), site.part(node.right)
    for symbol in INSTEAD[type(node.op)]:
        yield f"{left} {symbol} {right}"
    if isinstance(node.op, ast.Sub | ast.Div | ast.MatMult | ast.Pow):
        yield f"{right} {OPERATORS[type(node.op)]} {left}"
    if isinstance(node.op, ast.MatMult) and len(site.shape) == 2:
        yield f"{right}.T @ {left}"
        yield f"{left} @ {right}.T"
        yield f"{left}.T @ {right}"


def other_order(site: Site) -> Iterator[str]:
    """``a - (b - c)`` and ``(a - b) / c`` for ``a - b - c`` and ``a - b / c``, and back."""
    node = site.node
    if not isinstance(node, ast.BinOp):
        return
    symbol = OPERATORS.get(type(node.op))
    if symbol is None:
        return
    right = node.right
    if isinstance(right, ast.BinOp) and type(right.op) in OPERATORS:
        first, second, third = map(site.part, (node.left, right.left, right.right))
        yield f"{grouped(f'{first} {symbol} {second}')} {OPERATORS[type(right.op)]} {third}"
        if symbol == "*" and isinstance(right.op, ast.Add | ast.Sub):  # b + a * c was meant
            within = OPERATORS[type(right.op)]
            yield grouped(f"{second} {within} {first} * {third}")
    left = node.left
    if isinstance(left, ast.BinOp) and type(left.op) in OPERATORS:
        first, second, third = map(site.part, (left.left, left.right, node.right))
        yield f"{first} {OPERATORS[type(left.op)]} {grouped(f'{second} {symbol} {third}')}"
        if isinstance(left.op, ast.Add | ast.Sub):  # (a + b) * c, where a * c + b was meant
            within = OPERATORS[type(left.op)]
            yield grouped(f"{first} {symbol} {third} {within} {second}")


def negated(site: Site) -> Iterator[str]:
    """The other sign."""
    if site.seen.kind == "f" and site.is_term:
        yield f"-{site.group}"


def transposed(site: Site) -> Iterator[str]:
    """A matrix on its side; ``.T`` left out."""
    if isinstance(site.node, ast.Attribute) and site.node.attr == "T":
        return  # `operand` leaves it out
    if len(site.shape) == 2:
        yield f"{site.group}.T"


def constant(site: Site) -> Iterator[str]:
    """A number near by, doubled, halved, or of the other sign."""
    value = site.node.value if isinstance(site.node, ast.Constant) else None
    if isinstance(value, bool):
        yield str(not value)
    if isinstance(site.node, ast.Name) and site.seen.number and isinstance(site.parent, ast.Call):
        yield "0"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if isinstance(value, int):
        changed = [value - 1, value + 1, 2 * value, -value, value / 2, 0, 1]
    else:
        changed = [-value, 2 * value, value / 2, value - 1, value + 1, 0.0, 1.0]
    for other in dict.fromkeys(changed):
        if other != value:
            yield grouped(f"{other:g}" if isinstance(other, float) else str(other))


def comparison(site: Site) -> Iterator[str]:
    """Another comparison of the same two."""
    node = site.node
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = site.part(node.left), site.part(node.comparators[0])
        for symbol in COMPARISONS.values():
            yield f"{left} {symbol} {right}"
        yield f"{left} > 0"
        yield f"{left} == 0"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        yield from _turned_round(site, node)


TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "!=", "!=": "=="}


def _turned_round(site: Site, node: ast.BinOp) -> Iterator[str]:
    """Both of two comparisons the other way round; one of them or the other, for both."""
    symbol = "&" if isinstance(node.op, ast.BitAnd) else "|"
    left, right = site.part(node.left), site.part(node.right)
    yield f"{left} {'|' if symbol == '&' else '&'} {right}"
    turned = []
    for part in (node.left, node.right):
        if not isinstance(part, ast.Compare) or len(part.ops) != 1:
            return
        known = COMPARISONS.get(type(part.ops[0]))
        if known is None:
            return
        a, b = map(site.part, (part.left, part.comparators[0]))
        turned.append(grouped(f"{a} {TURNED[known]} {b}"))
    yield f" {symbol} ".join(turned)


def neighbour(site: Site) -> Iterator[str]:
    """An index one further, or one back."""
    up = site.parent
    is_index = isinstance(up, ast.Subscript | ast.Slice) or (
        isinstance(up, ast.Tuple) and isinstance(site.scenery.version.parents[up], ast.Subscript)
    )
    if is_index and site.seen.kind == "i" and not isinstance(site.node, ast.Constant):
        yield f"{site.group} - 1"
        yield f"{site.group} + 1"


def other_slice(site: Site) -> Iterator[str]:
    """The other part of what ``[:n]`` or ``[n:]`` divides, and as much from the end."""
    node = site.node
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice):
        return
    bounds = [b for b in (node.slice.lower, node.slice.upper) if b is not None]
    if len(bounds) == 1 and node.slice.step is None:
        array, bound = site.part(node.value), site.part(bounds[0])
        for new in (f"{bound}:", f":{bound}", f"-{bound}:", f":-{bound}"):
            yield f"{array}[{new}]"


def exchanged(site: Site) -> Iterator[str]:
    """Two elements of a list, tuple or call exchanged, or one put in the place of another."""
    node = site.node
    if isinstance(node, ast.Tuple | ast.List):
        parts = list(node.elts)
    elif isinstance(node, ast.Call):
        parts = list(node.args)
    else:
        return
    if not 2 <= len(parts) <= 8:
        return
    texts = [site.scenery.version.source(p) for p in parts]
    start = site.scenery.version.span(node)[0]
    spans = [site.scenery.version.span(p) for p in parts]
    for i in range(len(parts)):
        for j in range(i + 1, len(parts)):
            new = list(texts)
            new[i], new[j] = new[j], new[i]
            text = site.text
            for (a, b), value in reversed(list(zip(spans, new, strict=True))):
                text = text[: a - start] + value + text[b - start :]
            yield text
