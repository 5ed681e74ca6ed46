"""The laws in order of complexity: the first that holds is the diagnosis of a block."""

import numpy as np

from fastgrad.checks.diagnose.case import Case, Kind, Law
from fastgrad.checks.diagnose.change_of_variables import by_another_variable, function_of_theta
from fastgrad.checks.diagnose.conjugated import conjugated
from fastgrad.checks.diagnose.conventions import read_otherwise, smeared
from fastgrad.checks.diagnose.elementwise import ELEMENTWISE
from fastgrad.checks.diagnose.factor_of_theta import factor_of_theta
from fastgrad.checks.diagnose.few_digits import rounded, zero
from fastgrad.checks.diagnose.few_entries import few_flipped
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.fingerprint import fingerprint
from fastgrad.checks.diagnose.fitting import best_fit
from fastgrad.checks.diagnose.invariance import not_projected, right_on_a_set
from fastgrad.checks.diagnose.law_with_exceptions import with_outliers
from fastgrad.checks.diagnose.line_offsets import (
    by_line_offsets,
    by_normalisation,
    by_softmax,
)
from fastgrad.checks.diagnose.masks import masked
from fastgrad.checks.diagnose.one_number import (
    of_another_number,
    one_number,
    one_term,
    only_a_penalty,
)
from fastgrad.checks.diagnose.own_factors import entry_weights, signed_offset
from fastgrad.checks.diagnose.pairs import exchanged, two_entries
from fastgrad.checks.diagnose.row_factors import by_lines
from fastgrad.checks.diagnose.second_derivative import hessian
from fastgrad.checks.diagnose.symmetric import off_diagonal, one_triangle, triangle
from fastgrad.checks.diagnose.turned import turned
from fastgrad.checks.diagnose.unexplained import CLEAR, unexplained, without_a_law
from fastgrad.checks.diagnose.whole_factor import whole_factor_and_term

NEAR = 30.0
"""A law of one constant is, by this many bars, where so many samples as `MANY_WRONG` hold it."""
MANY_WRONG = 8
ALL_WRONG = 3
"""Samples that will do where all that tell are wrong, and obey the law."""
CONSTANTS_OF_ONE: tuple[Law, ...] = (
    zero,
    read_otherwise,
    one_number,
    exchanged,
    lambda case: best_fit(case, most=1),
)

LAWS: tuple[Law, ...] = (
    zero,
    rounded,
    read_otherwise,
    only_a_penalty,
    of_another_number,
    one_number,
    exchanged,
    one_triangle,
    triangle,
    not_projected,
    right_on_a_set,
    lambda case: best_fit(case, most=1),
    two_entries,
    smeared,
    *ELEMENTWISE,
    masked,
    conjugated,
    off_diagonal,
    hessian,
    one_term,
    by_another_variable,
    function_of_theta,
    by_line_offsets,
    by_softmax,
    by_normalisation,
    lambda case: best_fit(case, most=4, least=2),
    whole_factor_and_term,
    factor_of_theta,
    fingerprint,
    signed_offset,
    entry_weights,
    lambda case: None if case.loose else turned(case),  # a turn by one axis leaves columns right
    with_outliers,
    by_lines,
    turned,
)
"""All laws in order of complexity: the first that holds is the diagnosis."""

ASKED_OF: dict[Law, Kind] = {
    read_otherwise: "on a space",
    only_a_penalty: "one number",
    of_another_number: "one number",
    one_number: "one number",
    one_triangle: "square matrix",
    triangle: "square matrix",
    not_projected: "known in every entry",
    right_on_a_set: "known in every entry",
    two_entries: "two numbers",
    smeared: "on a space",
    off_diagonal: "square matrix",
    hessian: "with second differences",
    one_term: "one number",
    by_line_offsets: "matrix",
    by_normalisation: "matrix",
    by_lines: "matrix",
}
"""Laws that are asked of blocks of one kind alone; all others are asked of any block."""


def explain(case: Case, rtol: float = 0.0) -> Finding:
    """The least complex law that every sample obeys, or "unexplained".

    Laws hold within the bars, or else within ``rtol``, or else approximately, which is said.
    """
    with np.errstate(all="ignore"):
        bad = _not_finite(case)
        if bad is not None:
            return bad
        if not case.wrong.any():
            return unexplained(case, "no wrong entry was sampled, so no law can be looked for")
        found = _named(case)
        if found is not None and not found.is_lawless:
            return found
        wide = case.widened(rtol) if rtol else case
        within = _named(wide) if rtol else None
        if within is not None and not within.is_lawless:
            return within
        return without_a_law(case, wide, found)


def _not_finite(case: Case) -> Finding | None:
    """The gradient under test has entries that are infinite or no number."""
    bad = ~np.isfinite(case.analytic)
    if not bad.any():
        return None
    count, size = int(bad.sum()), case.analytic.size
    which = "every entry" if count == size else f"{count:,} of {size:,} entries"
    clause = f"{which} of the analytic gradient {'is' if count in (1, size) else 'are'} not finite"
    if np.array_equal(bad, case.theta == 0):
        those = "that" if count == 1 else "those"
        clause += (
            f": {those} where {case.name} is exactly 0 (theta/theta, log 0, or a norm of 0 is divided "
            "by); a mask in the loss does not save them, 0 * inf is no number"
        )
    return Finding(("not-finite",), {"entries": float(count)}, clause)


def _named(case: Case) -> Finding | None:
    """The first law that holds, of those that the bars are narrow enough for."""
    wrong = np.count_nonzero(case.wrong & case.telling)
    many = wrong >= MANY_WRONG or ALL_WRONG <= wrong == np.count_nonzero(case.telling)
    laws: tuple[Law, ...] = LAWS if case.clear >= CLEAR else ()
    if not laws and case.clear >= NEAR:
        laws = CONSTANTS_OF_ONE if many else (one_number, few_flipped)
    asked = (law for law in laws if law not in ASKED_OF or ASKED_OF[law] in case.kinds)
    return next((found for law in asked if (found := law(case)) is not None), None)
