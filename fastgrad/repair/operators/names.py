"""Another name, or another function: what was copied from the line above, or mixed up."""

import ast
from collections.abc import Iterator

from fastgrad.repair.edits import grouped
from fastgrad.repair.sites import Atom, Site

TWINS = (
    ("sin", "cos"), ("exp", "log"), ("exp", "expm1"), ("log", "log1p"), ("maximum", "minimum"),
    ("max", "min"), ("tanh", "arctan"), ("sinh", "cosh"), ("floor", "ceil"), ("argmax", "argmin"),
    ("dot", "outer"), ("abs", "sign"), ("sqrt", "square"), ("cumsum", "sum"),
    ("zeros_like", "ones_like"),
)  # fmt: skip
"""Functions of NumPy that are taken for each other."""


def other_name(site: Site) -> Iterator[str]:
    """Another value of the same kind and shape that is in scope."""
    if not _is_place(site):
        return
    for atom in alike(site):
        yield atom.text


def _is_place(site: Site) -> bool:
    return (
        isinstance(site.node, ast.Name | ast.Attribute | ast.Subscript) and site.seen.kind in "fib"
    )


def alike(site: Site) -> Iterator[Atom]:
    """What is in scope of the kind and shape of a site."""
    for atom in site.atoms:
        same = atom.seen.shape == site.shape and atom.seen.kind == site.seen.kind
        if same and atom.text != site.text:
            yield atom


def other_transposed(site: Site) -> Iterator[str]:
    """Another matrix on its side."""
    if _is_place(site) and len(site.shape) == 2 and site.seen.kind == "f":
        for atom in site.arrays(site.shape[::-1]):
            yield f"{atom.text}.T"


def value_of_same_shape(site: Site) -> Iterator[str]:
    """A value in scope for a whole expression of the same shape."""
    if isinstance(site.node, ast.Call | ast.BinOp | ast.Compare) and site.seen.kind in "fb":
        for atom in alike(site):
            yield atom.text


def twin(site: Site) -> Iterator[str]:
    """The function that it is mixed up with."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    function = site.scenery.version.source(node.func)
    rest = site.text[len(function) :]
    for pair in TWINS:
        if name in pair:
            other = pair[1 - pair.index(name)]
            yield f"{function[: len(function) - len(name)]}{other}{rest}"


def complement(site: Site) -> Iterator[str]:
    """1 minus it; its square, its root, its inverse, its sign."""
    np = site.scenery.numpy
    if site.seen.kind != "f":
        return
    yield grouped(f"{site.group}**2")
    if isinstance(site.node, ast.Name | ast.Attribute | ast.Subscript) and np:
        yield f"{np}.exp({site.text})"
        yield f"{np}.log({site.text})"
        yield f"{np}.tanh({site.text})"
        yield f"{np}.abs({site.text})"
        yield f"{np}.sign({site.text})"
        yield f"{np}.sqrt({site.text})"
        yield grouped(f"1 / {site.text}")
