"""Sums and means: the axis, what is kept, one for the other, and one where there was none."""

import ast
from collections.abc import Iterator
from itertools import combinations

from fastgrad.repair.sites import Site

MOST_FACTORS = 12
"""Arrays of one shape whose products are tried."""
REDUCTIONS = {"sum": "mean", "mean": "sum", "max": "sum", "min": "sum", "prod": "sum"}


def other_reduction(site: Site) -> Iterator[str]:
    """``mean`` for ``sum``, another axis, ``keepdims``."""
    node = site.node
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    name = node.func.attr
    if name not in REDUCTIONS:
        return
    base = site.of(node.func.value)
    if base.kind == "o" and node.args:  # np.sum(x)
        operand, shape = site.part(node.args[0]), site.of(node.args[0]).shape
        given = [site.scenery.version.source(a) for a in node.args[1:]]
    else:
        operand, shape = site.part(node.func.value), base.shape
        given = [site.scenery.version.source(a) for a in node.args]
    options = {k.arg: site.scenery.version.source(k.value) for k in node.keywords}
    module = site.scenery.version.source(node.func.value) if base.kind == "o" else ""
    axis = options.get("axis", given[0] if given else None)
    keeps = options.get("keepdims") == "True"

    def written(reduction: str, axis: str | None, keepdims: bool) -> str:
        inside = ([f"axis={axis}"] if axis is not None else []) + (
            ["keepdims=True"] if keepdims else []
        )
        if module:
            return f"{module}.{reduction}({', '.join([site.plain(operand), *inside])})"
        return f"{operand}.{reduction}({', '.join(inside)})"

    yield written(REDUCTIONS[name], axis, keeps)
    axes: list[str | None] = [str(k) for k in range(len(shape))]
    if len(shape) == 3:
        axes += ["(0, 1)", "(0, 2)", "(1, 2)"]
    for other in [*axes, None]:
        for keep in (keeps, not keeps):
            if (other, keep) != (axis, keeps) and not (other is None and keep):
                yield written(name, other, keep)


def summed(site: Site) -> Iterator[str]:
    """A sum or a mean over one axis, or over all, of a value that is too large for its place."""
    if site.seen.kind != "f" or not site.shape or not site.is_value:
        return
    for axis in range(len(site.shape)):
        yield f"{site.group}.sum(axis={axis})"
        yield f"{site.group}.mean(axis={axis})"
    if len(site.shape) > 1:
        yield f"{site.group}.sum()"


def from_scratch(site: Site) -> Iterator[str]:
    """What a gradient of this shape is made of: a sum over the examples, a product of two arrays."""
    if site.seen.kind != "f" or not site.shape or not site.is_value:
        return
    for atom in site.arrays():
        shape = atom.seen.shape
        if len(shape) == len(site.shape) + 1:
            for axis in range(len(shape)):
                if shape[:axis] + shape[axis + 1 :] == site.shape:
                    yield f"{atom.text}.sum(axis={axis})"
        if len(shape) == len(site.shape) + 2:
            for axes, left in (((0, 1), shape[2:]), ((1, 2), shape[:1]), ((0, 2), shape[1:2])):
                if left == site.shape:
                    yield f"{atom.text}.sum(axis={axes})"
    if len(site.shape) == 2:
        matrices = [a for a in site.arrays() if len(a.seen.shape) == 2]
        for a in matrices:
            for b in matrices if a.seen.shape[1] == site.shape[0] else ():
                if b.seen.shape == (a.seen.shape[0], site.shape[1]):
                    yield f"{a.text}.T @ {b.text}"
                    yield f"{site.group} + {a.text}.T @ {b.text}"


def product(site: Site) -> Iterator[str]:
    """The product of two arrays in scope."""
    if site.seen.kind != "f" or not site.shape or not site.is_value:
        return
    for one, other in combinations(list(site.arrays(site.shape))[:MOST_FACTORS], 2):
        yield f"{one.text} * {other.text}"


def outer_sums(site: Site) -> Iterator[str]:
    """A row or column made an axis of its own: ``x[:, None]``, ``x[None, :]``."""
    if site.seen.kind == "f" and len(site.shape) == 1 and isinstance(site.parent, ast.BinOp):
        yield f"{site.group}[:, None]"
