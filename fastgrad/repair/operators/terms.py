"""A term too few: a penalty, a mean, a projection, the labels."""

import ast
from collections.abc import Iterator

from fastgrad.repair.edits import grouped
from fastgrad.repair.operators.factors import factors_of, fits
from fastgrad.repair.sites import Atom, Site


def penalty(site: Site) -> Iterator[str]:
    """Plus or minus a number in scope times a parameter, or its sign."""
    if site.seen.kind != "f" or not site.shape or not site.is_value:
        return
    np = site.scenery.numpy
    scalars = [a.text for a in site.scalars() if a.seen.kind == "f"]
    for atom in site.arrays(site.shape):
        forms = [atom.text] + ([f"{np}.sign({atom.text})"] if np else [])
        for form in forms:
            for weight in scalars:
                yield f"{site.group} + {weight} * {form}"
                yield f"{site.group} - {weight} * {form}"
                yield f"{site.group} + 2 * {weight} * {form}"
    for weight in site.scenery.said.constants:
        for atom in site.arrays(site.shape):
            yield f"{site.group} + {weight} * {atom.text}"
            if np:
                yield f"{site.group} + {weight} * {np}.sign({atom.text})"
    for size in sizes_in(site):
        for atom in site.arrays(site.shape):
            for weight in scalars:
                yield f"{site.group} + {weight} / {size} * {atom.text}"


def carried_on(site: Site) -> Iterator[str]:
    """What the name that is assigned to was before, as it was or times another array."""
    if not isinstance(site.parent, ast.Assign) or site.seen.kind != "f" or not site.shape:
        return
    target = site.parent.targets[0]
    if isinstance(target, ast.Name) and target.id in {a.text for a in site.arrays(site.shape)}:
        yield target.id
        for atom in site.arrays():
            if fits(atom.seen.shape, site.shape) and atom.text != target.id:
                yield f"{target.id} * {atom.text}"


def sizes_in(site: Site) -> list[str]:
    """Integers in scope that count something."""
    return [a.text for a in site.atoms if a.seen.kind == "i" and (a.seen.number or 0) > 2][:3]


def sum_with(site: Site) -> Iterator[str]:
    """Plus or minus an array of the same shape in scope."""
    if site.seen.kind != "f" or not site.shape:
        return
    for atom in site.arrays(site.shape):
        if atom.text != site.text:
            yield f"{site.group} + {atom.text}"
            yield f"{site.group} - {atom.text}"


def plus_one(site: Site) -> Iterator[str]:
    """Plus or minus 1, or 1 minus it."""
    if site.seen.kind == "f":
        yield f"{site.group} - 1"
        yield f"{site.group} + 1"
        yield f"1 - {site.group}"


def without_its_mean(site: Site) -> Iterator[str]:
    """Minus its mean: what a normalisation, or a free constant, takes away."""
    if site.seen.kind != "f" or len(site.shape) not in (1, 2):
        return
    if len(site.shape) == 1:
        yield f"{site.group} - {site.group}.mean()"
        return
    for axis in (0, 1):
        keep = ", keepdims=True" if axis else ""
        yield f"{site.group} - {site.group}.mean(axis={axis}{keep})"


def without_projection(site: Site) -> Iterator[str]:
    """Minus its part along another array: softmax with all of its Jacobian, the variance's slope."""
    if site.seen.kind != "f" or len(site.shape) not in (1, 2):
        return
    for atom in site.arrays(site.shape):
        if atom.text == site.text:
            continue
        product = grouped(f"{site.group} * {atom.text}")
        if len(site.shape) == 1:
            yield f"{site.group} - {product}.sum()"
            yield f"{site.group} - {atom.text} * {product}.sum()"
            yield f"{site.group} - {atom.text} * {product}.mean()"
            continue
        for axis in (0, 1):
            keep = ", keepdims=True" if axis else ""
            yield f"{site.group} - {product}.sum(axis={axis}{keep})"
            yield f"{site.group} - {atom.text} * {product}.mean(axis={axis}{keep})"
            yield f"{site.group} - {atom.text} * {product}.sum(axis={axis}{keep})"


def softmax_of_diagonal(site: Site) -> Iterator[str]:
    """All of softmax's Jacobian, ``s * (d - (s * d).sum())``, for its diagonal, ``s * (1 - s) * d``."""
    factors = factors_of(site.node)
    if not 3 <= len(factors) <= 5 or site.seen.kind != "f" or len(site.shape) not in (1, 2):
        return
    texts = [site.scenery.version.source(part).strip() for part in factors]
    for k, s in enumerate(texts):
        for i, other in enumerate(texts):
            if i == k or other.replace(" ", "").strip("()") != f"1-{s}".replace(" ", ""):
                continue
            rest = " * ".join(site.part(f) for j, f in enumerate(factors) if j not in (k, i))
            axis = "axis=-1, keepdims=True" if len(site.shape) == 2 else ""
            product = grouped(f"{s} * {rest}")
            yield f"{s} * {grouped(f'{grouped(rest)} - {product}.sum({axis})')}"


def zero_for_nothing(site: Site) -> Iterator[str]:
    """0 for 0 / 0."""
    if isinstance(site.node, ast.BinOp) and isinstance(site.node.op, ast.Div):
        np = site.scenery.numpy
        if np and site.seen.kind == "f" and site.shape:
            yield f"{np}.nan_to_num({site.text})"


def shared_by_ties(site: Site) -> Iterator[str]:
    """Divided among all that are the greatest."""
    if isinstance(site.node, ast.Compare) and site.seen.kind == "b" and site.shape:
        for axis in range(len(site.shape)):
            yield f"{site.group} / {site.group}.sum(axis={axis}, keepdims=True)"


def normalised(site: Site) -> Iterator[str]:
    """Minus its mean and its part along what is normalised: the slopes of a mean and of a deviation.

    Both at once, for each alone comes no closer. An array stands for what is normalised already, or is
    normalised here. A vector over its norm has its part along itself to lose, and that norm.
    """
    if site.seen.kind != "f" or len(site.shape) not in (1, 2) or not site.is_term:
        return
    e, np = site.group, site.scenery.numpy
    for v in (atom.text for atom in site.arrays(site.shape) if len(site.shape) == 1 and np):
        across = f"{e} - {v} * {grouped(f'{v} @ {e}')} / {grouped(f'{v} @ {v}')}"
        yield f"{grouped(across)} / {np}.linalg.norm({v})"
    for axis in range(len(site.shape)):
        how = f"axis={axis}, keepdims=True" if axis else f"axis={axis}"
        for v in (atom.text for atom in site.arrays(site.shape) if atom.text != site.text):
            yield f"{e} - {e}.mean({how}) - {v} * {grouped(f'{e} * {v}')}.mean({how})"
            free = grouped(f"{v} - {v}.mean({how})")
            along = f"{free} * {grouped(f'{e} * {free}')}.mean({how}) / {v}.var({how})"
            yield f"{e} - {e}.mean({how}) - {along}"


def minus_labels(site: Site) -> Iterator[str]:
    """Minus 1 at the label of each row."""
    np = site.scenery.numpy
    if site.seen.kind != "f" or len(site.shape) != 2 or not np or not site.is_value:
        return
    for atom in site.atoms:
        if atom.seen.kind == "i" and atom.seen.shape == site.shape[:1]:
            yield f"{site.group} - {np}.eye({columns(site)})[{atom.text}]"


def columns(site: Site) -> str:
    """How the number of columns of a site is written."""
    known: Atom | None = next(
        (a for a in site.atoms if len(a.seen.shape) == 2 and a.seen.shape[1] == site.shape[1]), None
    )
    if known is not None:
        return f"{known.text}.shape[1]"
    return f"{site.group}.shape[1]"
