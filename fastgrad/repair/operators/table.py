"""The tables of operators, and all edits of a version that they make, best first."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from fastgrad.repair.edits import Edit, grouped, plain
from fastgrad.repair.operators import (
    borrowed,
    factors,
    names,
    parts,
    reductions,
    statements,
    terms,
)
from fastgrad.repair.sites import Scenery, Site


class OfExpressions(NamedTuple):
    """A row: what makes the edits, what they cost, and the laws that call for them."""

    make: Callable[[Site], Iterator[str]]
    cost: float
    laws: tuple[str, ...] = ()


class OfStatements(NamedTuple):
    """The same for statements."""

    make: Callable[[Scenery, ast.stmt], Iterator[statements.Spans]]
    cost: float
    laws: tuple[str, ...] = ()


EXPRESSIONS = (
    OfExpressions(
        parts.operand, 1.0, ("extra-l2", "extra-l1", "scale", "zero", "clipped", "rounded")
    ),
    OfExpressions(parts.other_operator, 1.2, ("sign",)),
    OfExpressions(parts.negated, 1.2, ("sign",)),
    OfExpressions(parts.transposed, 1.2, ("transposed",)),
    OfExpressions(reductions.other_reduction, 1.3, ("scale", "repeated")),
    OfExpressions(parts.comparison, 1.5),
    OfExpressions(parts.constant, 1.5, ("scale",)),
    OfExpressions(parts.exchanged, 1.5, ("swapped", "misplaced", "copied")),
    OfExpressions(names.other_name, 1.6, ("swapped", "copied", "theta")),
    OfExpressions(parts.inner, 1.6, ("sign-only", "absolute", "rectified", "repeated", "permuted")),
    OfExpressions(names.twin, 1.8),
    OfExpressions(parts.other_slice, 1.8, ("wrong-range", "wrong-row")),
    OfExpressions(parts.neighbour, 1.8),
    OfExpressions(factors.scaled, 2.0, ("scale", "sign", "line-scale")),
    OfExpressions(terms.penalty, 2.0, ("missing-l2", "missing-l1", "extra-l2", "only-l2")),
    OfExpressions(borrowed.penalty_of_loss, 2.0, ("missing-l2", "missing-l1", "l1", "l2")),
    OfExpressions(factors.by_the_logarithm, 2.1, ("change-of-variables",)),
    OfExpressions(borrowed.slopes_of_loss, 2.1, ("line-scale", "entry-factors")),
    OfExpressions(names.value_of_same_shape, 2.2, ("zero", "theta")),
    OfExpressions(factors.slopes, 2.2),
    OfExpressions(factors.other_slope, 2.3),
    OfExpressions(parts.other_order, 2.3),
    OfExpressions(terms.plus_one, 2.4, ("offset",)),
    OfExpressions(names.complement, 2.4),
    OfExpressions(borrowed.value, 2.4, ("zero", "theta", "another-loss")),
    OfExpressions(borrowed.count, 2.4, ("not-finite",)),
    OfExpressions(terms.softmax_of_diagonal, 2.4, ("softmax-diagonal", "not-shift-free")),
    OfExpressions(borrowed.factor, 2.5, ("change-of-variables", "masked", "scale", "line-scale")),
    OfExpressions(terms.zero_for_nothing, 2.5, ("not-finite",)),
    OfExpressions(terms.shared_by_ties, 2.5, ("ties",)),
    OfExpressions(names.other_transposed, 2.5),
    OfExpressions(factors.root_scaled, 2.5, ("scale",)),
    OfExpressions(terms.carried_on, 2.0, ("zero",)),
    OfExpressions(
        factors.times_array, 2.6, ("line-scale", "masked", "entry-factors", "factor-of-theta")
    ),
    OfExpressions(terms.minus_labels, 2.7),
    OfExpressions(terms.sum_with, 2.8),
    OfExpressions(borrowed.term, 2.9),
    OfExpressions(terms.without_its_mean, 2.8, ("spurious", "normalisation", "line-offset")),
    OfExpressions(reductions.summed, 2.8, ("repeated",)),
    OfExpressions(reductions.from_scratch, 3.0, ("zero", "repeated")),
    OfExpressions(reductions.outer_sums, 3.0),
    OfExpressions(reductions.product, 3.1),
    OfExpressions(terms.without_projection, 3.2, ("softmax-sum", "normalisation", "radial")),
    OfExpressions(
        terms.normalised,
        3.2,
        ("normalisation", "not-shift-free", "not-scale-free", "not-projected"),
    ),
)
"""An operator of expressions is a function and a row here."""

STATEMENTS = (
    OfStatements(statements.accumulated, 1.2),
    OfStatements(statements.left_out, 1.4),
    OfStatements(statements.targets_exchanged, 1.5, ("swapped",)),
    OfStatements(statements.keys_exchanged, 1.5, ("swapped",)),
    OfStatements(statements.added_at, 1.8),
    OfStatements(statements.name_everywhere, 2.0),
    OfStatements(statements.index_everywhere, 2.0),
    OfStatements(statements.names_exchanged, 2.0),
    OfStatements(statements.whole_range, 2.4),
    OfStatements(statements.inserted, 2.8, ("scale",)),
    OfStatements(statements.mirrored, 3.2),
)
"""The same for statements."""

CALLED_FOR = 1.0
"""What an edit is cheaper by if a law calls for it."""
PARTLY, BEYOND, INSIDE = 0.6, 2.0, 0.3
"""What it costs more to reach some of the wrong blocks only, to reach right ones too, and to stand
inside an expression."""
A_CHARACTER, A_NUMBER = 0.003, 0.1
"""What it costs to write one more; a 2 may be a size, or a root of one, by chance."""
A_NAME, MOST_NAMES = 0.2, 2
"""What it costs to take a name that does not stand in the same arithmetic, and how many count: the slope
that a product lacks is mostly one of what it has already."""
NAME = re.compile(r"[A-Za-z_]\w*")
NUMBER = re.compile(r"(?<![\w.])\d+")
NOT_EDITED = ast.Slice | ast.Starred | ast.JoinedStr | ast.FormattedValue | ast.Lambda


def edits_of(
    scenery: Scenery, wrong: Sequence[bool], laws: frozenset[str] = frozenset()
) -> list[Edit]:
    """All edits of one version that can reach a wrong block, cheapest first, no text twice."""
    blamed = frozenset(b for b, bad in enumerate(wrong) if bad)
    found: dict[tuple[tuple[int, int, str], ...], Edit] = {}
    for edit in (*_of_expressions(scenery, blamed, laws), *_of_statements(scenery, blamed, laws)):
        key = tuple((a, b, plain(new)) for a, b, new in edit.spans)
        if key not in found or edit.cost < found[key].cost:
            found[key] = edit
    return sorted(found.values(), key=lambda edit: edit.cost)


def _of_expressions(
    scenery: Scenery, blamed: frozenset[int], laws: frozenset[str]
) -> Iterator[Edit]:
    version = scenery.version
    for node in version.nodes:
        if not isinstance(node, ast.expr) or isinstance(node, NOT_EDITED):
            continue
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or scenery.seen(node) is None:
            continue
        penalty = _penalty(scenery.reach(node), blamed)
        if penalty is None:
            continue
        site = Site(scenery, node)
        near = frozenset(NAME.findall(version.source(_arithmetic(scenery, node))))
        start, stop = version.span(node)
        if not site.is_value:
            penalty += INSIDE
        for row in EXPRESSIONS:
            cost = row.cost + penalty - CALLED_FOR * _called_for(row.laws, laws)
            for new in row.make(site):
                yield Edit(
                    version.unit,
                    ((start, stop, _in_place(new, site)),),
                    scenery.position[node],
                    row.make.__name__,
                    cost + _of_length(new, site.text) + _of_names(new, near),
                )


def _of_statements(
    scenery: Scenery, blamed: frozenset[int], laws: frozenset[str]
) -> Iterator[Edit]:
    for node in scenery.version.nodes:
        if not isinstance(node, ast.stmt) or node is scenery.version.tree:
            continue
        value = getattr(node, "value", None)
        reach = scenery.reach(value) if isinstance(value, ast.expr) else scenery.reach(node)
        penalty = _penalty(reach, blamed)
        if penalty is None:
            continue
        for row in STATEMENTS:
            cost = row.cost + penalty - CALLED_FOR * _called_for(row.laws, laws)
            for spans in row.make(scenery, node):
                yield Edit(scenery.version.unit, spans, -1, row.make.__name__, cost)


def _of_length(new: str, old: str) -> float:
    """What an edit costs for what it adds: characters, and numbers that were not there."""
    numbers = len(NUMBER.findall(new)) - len(NUMBER.findall(old))
    return A_CHARACTER * max(len(new) - len(old), 0) + A_NUMBER * max(numbers, 0)


def _arithmetic(scenery: Scenery, node: ast.AST) -> ast.AST:
    """All of the arithmetic that an expression is part of."""
    while isinstance(up := scenery.version.parents[node], ast.BinOp | ast.UnaryOp):
        node = up
    return node


def _of_names(new: str, near: frozenset[str]) -> float:
    """What an edit costs for names that do not stand beside it."""
    return A_NAME * min(len(set(NAME.findall(new)) - near), MOST_NAMES)


def _in_place(new: str, site: Site) -> str:
    """A replacement, safe from what stands around it."""
    return new if isinstance(site.node, ast.Tuple) else grouped(new)


def _penalty(reach: frozenset[int], blamed: frozenset[int]) -> float | None:
    """What the reach of a place costs; None where it reaches nothing that is wrong."""
    if not reach & blamed:
        return None
    return (PARTLY if blamed - reach else 0.0) + (BEYOND if reach - blamed else 0.0)


def _called_for(by: tuple[str, ...], laws: frozenset[str]) -> bool:
    return any(law in laws for law in by)
