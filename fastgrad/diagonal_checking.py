"""A gradient with the diagonal of its Hessian, as objectives of boosters return them: both checked."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np

from fastgrad.checks.options import Options
from fastgrad.checks.rules import Rule
from fastgrad.checks.sparse import sparse_sweep
from fastgrad.checks.summary import worst_of
from fastgrad.cluster.campaign import NOTHING, Campaign
from fastgrad.cluster.fingerprints import of_value
from fastgrad.jacobians import Question
from fastgrad.results import GradientCheck

UNSHAPED = {"trainable": None, "scale": None}
FIRST, SECOND = "(returned first)", "(returned second: the diagonal of the Hessian)"


def check_with_diagonal(
    check: Callable[[Callable[..., Any]], list[GradientCheck]],
    both: Callable[..., Any],
    arguments: tuple[Any, ...],
    rule: Rule,
    options: Options,
    through: Campaign = NOTHING,
) -> GradientCheck:
    """Both parts of ``both(theta, *args) -> (gradient, hessian)``, as two points of one report.

    The second is held against differences of the first, whatever was found of that: all entries are
    moved together, and what is not on the diagonal is noticed.

    Parameters
    ----------
    check : callable
        ``check(gradient)`` checks the first part against the loss.
    arguments : tuple
        Theta and the others.
    through : Campaign
        What the differences of the first part go through.
    """
    from scipy import sparse

    def part(k: int) -> Callable[..., Any]:
        return wraps(both)(lambda *own: np.asarray(both(*own)[k]))

    (first,) = check(part(0))
    diagonal = sparse.diags_array(part(1)(*arguments))
    within = through.within(f"diagonal of {of_value(both)}") if through.goes_anywhere else None
    running = {"backend": "python", "executor": within, "checkpoint": None}
    question = Question.of(part(0), arguments[0], arguments[1:], UNSHAPED, running)
    given = diagonal, question.free
    options = replace(options, strategy="sweep", steps=None)
    second = sparse_sweep(question.run, question.layout, question.units, given, rule, options)
    said = (
        "Two arrays like theta were returned: the first was checked as the gradient, the second as "
        "the diagonal of its Hessian. If that is not what they are, hand over one of them; if there "
        "is one for each argument, give these as one tuple, with argnum=(0, 1)."
    )
    checks = [replace(first, label=FIRST), replace(second, label=SECOND, subject="Jacobian")]
    found = worst_of(checks)
    return replace(found, remarks=(*found.remarks, said))
