"""What the loss says and the gradient does not: its values, factors, penalties, functions, numbers."""

import ast
from collections.abc import Iterator

from fastgrad.repair.edits import grouped
from fastgrad.repair.operators.factors import factors_of, fits
from fastgrad.repair.operators.parts import PLACES
from fastgrad.repair.sites import Atom, Site

SLOPES = {
    "tanh": ("1 - {v}**2", "1 - {np}.tanh({v}) ** 2"),
    "sin": ("{np}.cos({v})",),
    "cos": ("-{np}.sin({v})",),
    "sinh": ("{np}.cosh({v})",),
    "cosh": ("{np}.sinh({v})",),
    "exp": ("{np}.exp({v})", "{v} * (1 - {v})"),
    "expm1": ("{np}.exp({v})", "{v} + 1"),
    "log": ("1 / {v}",),
    "log1p": ("1 / (1 + {v})",),
    "sqrt": ("0.5 / {v}", "0.5 / {np}.sqrt({v})"),
    "abs": ("{np}.sign({v})",),
    "absolute": ("{np}.sign({v})",),
    "maximum": ("{v} > 0",),
    "square": ("2 * {v}",),
    "arctan": ("1 / (1 + {v}**2)",),
    "logaddexp": ("1 / (1 + {np}.exp(-{v}))",),
    "norm": ("{v} / {np}.linalg.norm({v})",),
}
"""Derivatives of functions, by their values and by their arguments."""


def _of_its_kind(site: Site) -> Iterator[Atom]:
    for atom in site.borrowed:
        if atom.seen.kind == site.seen.kind and atom.text != site.text:
            yield atom


def value(site: Site) -> Iterator[str]:
    """What the loss has in its place: of the same shape, or of another where it is handed on."""
    if site.seen.kind not in "fib" or not isinstance(site.node, PLACES):
        return
    handed_on = isinstance(site.parent, ast.Call)
    for atom in _of_its_kind(site):
        of_its_rank = handed_on and site.shape and len(atom.seen.shape) == len(site.shape)
        if atom.seen.shape == site.shape or of_its_rank:
            yield atom.text


def factor(site: Site) -> Iterator[str]:
    """Times or over what the loss has; a mask multiplies."""
    if site.seen.kind != "f" or not site.is_term:
        return
    for atom in site.borrowed:
        if atom.seen.kind == "o" or not fits(atom.seen.shape, site.shape):
            continue
        yield f"{site.group} * {grouped(atom.text)}"
        if atom.seen.kind != "b":
            yield f"{site.group} / {grouped(atom.text)}"


def term(site: Site) -> Iterator[str]:
    """Plus or minus what the loss has."""
    if site.seen.kind != "f" or not site.shape or not site.is_value:
        return
    for atom in _of_its_kind(site):
        if atom.seen.shape == site.shape:
            yield f"{site.group} + {grouped(atom.text)}"
            yield f"{site.group} - {grouped(atom.text)}"


def penalty_of_loss(site: Site) -> Iterator[str]:
    """Plus the slope of a penalty that the loss has."""
    if site.seen.kind != "f" or not site.shape or not site.is_value:
        return
    known = site.scenery.borrowed(site.node)
    for slope in site.scenery.said.penalties:
        if slope in known and known[slope].shape == site.shape:
            yield f"{site.group} + {slope}"


def slopes_of_loss(site: Site) -> Iterator[str]:
    """The slope of a function that the loss calls: in its place in a product, or as a factor more."""
    np = site.scenery.numpy
    if site.seen.kind != "f" or not site.shape or not np:
        return
    forms = [
        form for name in SLOPES if name in site.scenery.said.functions for form in SLOPES[name]
    ]
    in_product = isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, ast.Mult)
    for atom in site.arrays(site.shape):
        for form in dict.fromkeys(forms):
            slope = grouped(form.format(v=atom.text, np=np))
            if in_product and len(factors_of(site.node)) == 1:
                yield slope
            if site.is_term:
                yield f"{site.group} * {slope}"


def count(site: Site) -> Iterator[str]:
    """A whole number of the loss for one that is handed on."""
    value = site.node.value if isinstance(site.node, ast.Constant) else None
    if isinstance(value, int) and isinstance(site.parent, ast.Call | ast.BinOp):
        for other in site.scenery.said.counts:
            if other != str(value):
                yield other
