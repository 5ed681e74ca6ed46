"""Whole statements: too many, too few, ``=`` for ``+=``, targets exchanged, a name everywhere."""

import ast
from collections.abc import Iterator
from itertools import combinations

from fastgrad.repair.operators.names import alike
from fastgrad.repair.sites import Scenery, Site

Spans = tuple[tuple[int, int, str], ...]
SIMPLE = ast.Assign | ast.AugAssign | ast.Expr


def accumulated(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """``+=`` for ``=`` and ``-=``, and back."""
    version = scenery.version
    if isinstance(node, ast.AugAssign) and isinstance(
        node.op, ast.Add | ast.Sub | ast.Mult | ast.Div
    ):
        start, stop = version.span(node.target)[1], version.span(node.value)[0]
        old = version.text[start:stop]
        symbol = {ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*=", ast.Div: "/="}[type(node.op)]
        if symbol in old:
            for new in ("=", "+=", "-=", "*=", "/="):
                if new != symbol:
                    yield ((start, stop, old.replace(symbol, new)),)
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        if isinstance(target, ast.Name | ast.Subscript | ast.Attribute):
            start, stop = version.span(target)[1], version.span(node.value)[0]
            if version.text[start:stop].strip() == "=":
                yield ((start, stop, " += "),)
                yield ((start, stop, " -= "),)


def left_out(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """Without the statement."""
    if isinstance(node, SIMPLE):
        yield ((*scenery.version.span(node), "pass"),)


def targets_exchanged(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """Two of the names that a tuple is unpacked into, exchanged."""
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Tuple):
        return
    parts = node.targets[0].elts
    version = scenery.version
    for i in range(len(parts)):
        for j in range(i + 1, len(parts)):
            first, second = version.span(parts[i]), version.span(parts[j])
            yield (
                (*first, version.source(parts[j])),
                (*second, version.source(parts[i])),
            )


def keys_exchanged(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """Two values of a dict, or of keywords, exchanged."""
    version = scenery.version
    for part in ast.walk(node):
        if isinstance(part, ast.Dict):
            values = part.values
        elif isinstance(part, ast.Call):
            values = [k.value for k in part.keywords]
        else:
            continue
        for i in range(min(len(values), 8)):
            for j in range(i + 1, min(len(values), 8)):
                yield (
                    (*version.span(values[i]), version.source(values[j])),
                    (*version.span(values[j]), version.source(values[i])),
                )


def name_everywhere(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """Another name for one that a statement has several times."""
    uses: dict[str, list[ast.expr]] = {}
    for part in ast.walk(node):
        if not isinstance(part, ast.Name | ast.Attribute | ast.Subscript):
            continue
        if isinstance(part.ctx, ast.Load) and scenery.seen(part) is not None:
            uses.setdefault(scenery.version.source(part), []).append(part)
    for text, places in uses.items():
        if len(places) < 2 or scenery.seen(places[0]).kind == "o":  # type: ignore[union-attr]
            continue
        spans = sorted(scenery.version.span(place) for place in places)
        for atom in alike(Site(scenery, places[0])):
            if atom.text != text:
                yield tuple((*span, atom.text) for span in spans)


def names_exchanged(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """Two names of one kind and shape, each for the other, wherever a statement has them."""
    uses: dict[str, list[ast.expr]] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            what = scenery.seen(part)
            if what is not None and what.kind != "o":
                uses.setdefault(part.id, []).append(part)
    if isinstance(node, ast.FunctionDef | ast.For | ast.While | ast.If | ast.With):
        return
    for one, other in combinations(uses, 2):
        first, second = (scenery.seen(uses[name][0]) for name in (one, other))
        if first is None or second is None:
            continue
        if (first.kind, first.shape) == (second.kind, second.shape):
            spans = [(*scenery.version.span(place), other) for place in uses[one]]
            spans += [(*scenery.version.span(place), one) for place in uses[other]]
            yield tuple(sorted(spans))


def index_everywhere(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """Without an index that a statement has several times, as in ``X[:12].T @ d[:12]``."""
    uses: dict[str, list[ast.Subscript]] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Load):
            uses.setdefault(scenery.version.source(part.slice), []).append(part)
    for places in uses.values():
        if len(places) > 1:
            spans = sorted(
                (scenery.version.span(p), scenery.version.source(p.value)) for p in places
            )
            yield tuple((*span, text) for span, text in spans)


def whole_range(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """Loops over all of a range: forwards, backwards, from the first or the second on."""
    if not isinstance(node, ast.For):
        return
    span = scenery.version.span(node.iter)
    for atom in scenery.atoms(node):
        if atom.seen.kind == "i" and not atom.seen.shape and (atom.seen.number or 0) > 1:
            n = atom.text
            for new in (
                f"reversed(range({n}))",
                f"range({n})",
                f"range(1, {n})",
                f"range({n} - 1, -1, -1)",
            ):
                yield ((*span, new),)


def added_at(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """``np.add.at(A, index, v)`` for ``A[index] += v`` or ``=``, which count repeated rows once."""
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        target: ast.expr = node.target
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    else:
        return
    np = scenery.numpy
    if isinstance(target, ast.Subscript) and np:
        version = scenery.version
        array, index, value = map(version.source, (target.value, target.slice, node.value))
        yield ((*version.span(node), f"{np}.add.at({array}, {index}, {value})"),)


def inserted(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """A statement before this one that scales an array, or adds a penalty to it, in place."""
    version = scenery.version
    arrays = _changed_in_place(scenery)
    if not arrays or not isinstance(node, ast.stmt) or node is version.tree:
        return
    start = version.span(node)[0]
    indent = version.text[:start].rpartition("\n")[2]
    if indent.strip():
        return
    atoms = {a.text: a.seen for a in scenery.atoms(node)}
    for name in arrays:
        seen = atoms.get(name)
        if seen is None or seen.kind != "f":
            continue
        for new in _in_place(name, seen.shape, scenery, node):
            yield ((start, start, f"{new}\n{indent}"),)


def _changed_in_place(scenery: Scenery) -> list[str]:
    """Names of arrays that are written to."""
    found: dict[str, None] = {}
    for node in scenery.version.nodes:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AugAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Subscript | ast.Name):
                root = target.value if isinstance(target, ast.Subscript) else target
                if isinstance(root, ast.Name):
                    found[root.id] = None
    return list(found)


def _in_place(name: str, shape: tuple[int, ...], scenery: Scenery, node: ast.stmt) -> Iterator[str]:
    sizes: dict[int, str] = {}
    for atom in scenery.atoms(node):
        if atom.seen.kind == "i" and not atom.seen.shape and (atom.seen.number or 0) > 2:
            sizes.setdefault(int(atom.seen.number or 0), atom.text)
        if atom.seen.is_array and atom.text.isidentifier():
            sizes.setdefault(atom.seen.shape[0], f"{atom.text}.shape[0]")
    for size in list(sizes.values())[:4]:
        yield f"{name} /= {size}"
    for atom in scenery.atoms(node) if scenery.numpy and len(shape) == 2 else ():
        if atom.seen.kind == "i" and atom.seen.shape == shape[:1]:
            yield f"{name}[{scenery.numpy}.arange(len({atom.text})), {atom.text}] -= 1"


def mirrored(scenery: Scenery, node: ast.stmt) -> Iterator[Spans]:
    """The same once more with the other sign, at another index: what one gains another loses."""
    version = scenery.version
    if not isinstance(node, ast.AugAssign) or not isinstance(node.target, ast.Subscript):
        return
    if not isinstance(node.op, ast.Add | ast.Sub):
        return
    start, stop = version.span(node)
    indent = version.text[:start].rpartition("\n")[2]
    if indent.strip():
        return
    middle = version.text[version.span(node.target)[1] : version.span(node.value)[0]]
    other = middle.replace("+=", "-=") if "+=" in middle else middle.replace("-=", "+=")
    index = node.target.slice
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    for part in parts:
        seen = scenery.seen(part)
        if seen is None or seen.kind != "i" or seen.shape:
            continue
        for atom in scenery.atoms(node):
            if atom.seen.kind == "i" and not atom.seen.shape and atom.text != version.source(part):
                a, b = version.span(part)
                target = version.source(node.target)
                origin = version.span(node.target)[0]
                target = target[: a - origin] + atom.text + target[b - origin :]
                new = f"{target}{other}{version.source(node.value)}"
                yield ((stop, stop, f"\n{indent}{new}"),)
