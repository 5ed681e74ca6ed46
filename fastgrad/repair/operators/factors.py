"""A factor too few or too many: sizes, scalars, arrays in scope, slopes of activations."""

import ast
from collections.abc import Iterator

from fastgrad.repair.edits import grouped
from fastgrad.repair.sites import Site

MOST_SIZES = 8


def scaled(site: Site) -> Iterator[str]:
    """Times or over 2, a size, or a number in scope."""
    if site.seen.kind != "f" or not site.is_term:
        return
    for factor in ("2", *sizes(site)):
        yield f"{site.group} / {factor}"
        yield f"{site.group} * {factor}"
    for atom in site.scalars():
        if atom.seen.kind == "f":
            yield f"{site.group} * {atom.text}"
            yield f"{site.group} / {atom.text}"
            yield f"{site.group} * {atom.text}**2"
            yield f"{site.group} / {atom.text}**2"


def root_scaled(site: Site) -> Iterator[str]:
    """Times or over the root of a size or a number."""
    np = site.scenery.numpy
    if site.seen.kind != "f" or not site.is_term or not np:
        return
    for size in sizes(site):
        yield f"{site.group} / {np}.sqrt({size})"
        yield f"{site.group} * {np}.sqrt({size})"


def sizes(site: Site) -> list[str]:
    """How the numbers of rows, columns and entries in scope are written, each number once."""
    found: dict[int, str] = {}
    for atom in site.atoms:
        if atom.seen.kind == "i" and not atom.seen.shape and (atom.seen.number or 0) > 2:
            found.setdefault(int(atom.seen.number or 0), atom.text)
    for atom in site.atoms:
        if atom.seen.is_array and atom.text.isidentifier():
            for axis, size in enumerate(atom.seen.shape):
                if size > 2:
                    found.setdefault(size, f"{atom.text}.shape[{axis}]")
    for atom in site.atoms:
        if len(atom.seen.shape) > 1 and atom.text.isidentifier() and atom.seen.kind == "f":
            total = 1
            for size in atom.seen.shape:
                total *= size
            found.setdefault(total, f"{atom.text}.size")
    return list(found.values())[:MOST_SIZES]


def times_array(site: Site) -> Iterator[str]:
    """Times or over an array in scope that fits."""
    if site.seen.kind != "f" or not site.is_term:
        return
    whole = site.of(site.parent).shape if isinstance(site.parent, ast.BinOp) else ()
    into = site.shape or whole
    for atom in site.arrays():
        if fits(atom.seen.shape, into) and atom.text != site.text:
            yield f"{site.group} * {atom.text}"
            yield f"{site.group} / {atom.text}"
    for atom in site.atoms:
        if atom.seen.kind == "b" and atom.seen.shape and fits(atom.seen.shape, into):
            yield f"{site.group} * {atom.text}"


def fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Whether an array of one shape is spread over another without making it larger."""
    if len(shape) > len(into):
        return False
    return all(a in (1, b) for a, b in zip(reversed(shape), reversed(into), strict=False))


def slopes(site: Site) -> Iterator[str]:
    """Times the slope of an activation, whose value or argument is in scope."""
    if site.seen.kind != "f" or not site.is_term or not site.shape:
        return
    for atom in site.arrays(site.shape):
        for slope in slope_forms(atom.text, site.scenery.numpy):
            yield f"{site.group} * {slope}"


def slope_forms(v: str, np: str) -> Iterator[str]:
    """The derivatives of the usual functions, by their values and by their arguments."""
    yield f"{v} * {grouped(f'1 - {v}')}"
    yield grouped(f"1 - {v}**2")
    yield grouped(f"{v} > 0")
    yield grouped(f"1 - {v}")
    if np:
        yield grouped(f"1 - {np}.tanh({v}) ** 2")
        yield f"{np}.cos({v})"
        yield f"{np}.exp({v})"
        yield f"{np}.sign({v})"
        sigmoid = f"1 / {grouped(f'1 + {np}.exp(-{v})')}"
        yield grouped(sigmoid)


def factors_of(node: ast.expr) -> list[ast.expr]:
    """The operands of a chain of products, in order."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*factors_of(node.left), node.right]
    return [node]


def other_slope(site: Site) -> Iterator[str]:
    """Another slope for the last factors of a product, or for one that stands alone in it."""
    node = site.node
    in_product = isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, ast.Mult)
    if (
        site.shape
        and in_product
        and isinstance(node, ast.BinOp | ast.Call | ast.Compare | ast.Name)
    ):
        for atom in site.arrays(site.shape):
            for slope in slope_forms(atom.text, site.scenery.numpy):
                yield grouped(slope)
    chain = factors_of(node)
    for count in (2, 3):
        if len(chain) > count and site.shape and site.is_term:
            start = site.scenery.version.span(node)[0]
            stop = site.scenery.version.span(chain[-count - 1])[1]
            text = site.scenery.version.text
            kept = _balanced(text[start:stop])
            if kept is None:
                continue
            for atom in site.arrays(site.shape):
                for slope in slope_forms(atom.text, site.scenery.numpy):
                    yield f"{kept} * {slope}"


def _balanced(text: str) -> str | None:
    """A text whose parentheses pair, else None."""
    return text if text.count("(") == text.count(")") else None


def by_the_logarithm(site: Site) -> Iterator[str]:
    """Times or over the exponential of a number: the derivative by its logarithm, and back."""
    np = site.scenery.numpy
    if site.seen.kind != "f" or not site.is_value or not np:
        return
    for atom in site.scalars():
        if atom.seen.kind == "f":
            yield f"{site.group} * {np}.exp({atom.text})"
            yield f"{site.group} / {np}.exp({atom.text})"
