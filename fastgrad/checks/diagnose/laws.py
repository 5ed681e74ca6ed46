"""The laws in order of complexity, and what is said where none holds."""

from collections.abc import Sequence

import numpy as np

from fastgrad.checks.diagnose.case import Case, Law, case_of
from fastgrad.checks.diagnose.change_of_variables import (
    by_another_variable,
    factor_of_theta,
    function_of_theta,
)
from fastgrad.checks.diagnose.conjugated import conjugated
from fastgrad.checks.diagnose.elementwise import ELEMENTWISE, rounded, zero
from fastgrad.checks.diagnose.evidence import Evidence
from fastgrad.checks.diagnose.few_entries import (
    exchanged,
    few_flipped,
    of_another_number,
    one_number,
    one_term,
    only_a_penalty,
    same_size,
    two_entries,
)
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.fingerprint import fingerprint
from fastgrad.checks.diagnose.fitting import best_fit, roughly, whole_factor_and_term
from fastgrad.checks.diagnose.invariance import invariance, not_projected, right_on_a_set
from fastgrad.checks.diagnose.line_offsets import (
    by_line_offsets,
    by_normalisation,
    by_softmax,
)
from fastgrad.checks.diagnose.masks import masked
from fastgrad.checks.diagnose.named_constants import beside_one
from fastgrad.checks.diagnose.outliers import with_outliers
from fastgrad.checks.diagnose.own_factors import entry_weights, signed_offset
from fastgrad.checks.diagnose.readings import read_otherwise, smeared
from fastgrad.checks.diagnose.row_factors import by_lines
from fastgrad.checks.diagnose.second_derivative import hessian
from fastgrad.checks.diagnose.several_blocks import shared, unused
from fastgrad.checks.diagnose.sizes import Size, numbers_of, sizes_of
from fastgrad.checks.diagnose.symmetric import off_diagonal, one_triangle, triangle
from fastgrad.checks.diagnose.turned import turned
from fastgrad.checks.diagnose.where_to_start import start_here
from fastgrad.findings import Diagnosis
from fastgrad.numerics.norms import norm

CLEAR = 100.0
"""No law is named unless half of the wrong samples are wrong by this many bars."""
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


def diagnose(
    evidence: Sequence[Evidence],
    dims: Sequence[int | Size] = (),
    rtol: float = 0.0,
    value: float = 0.0,
) -> tuple[Diagnosis, ...]:
    """Why do the blocks disagree that do? One diagnosis for each of them.

    Parameters
    ----------
    evidence : sequence of Evidence
        All blocks, in the order in which the loss applies them.
    dims : sequence of int or Size
        Lengths of the arrays that the loss reads, for constants such as 1/m.
    rtol : float
        A law that holds within so much of the gradient holds.
    value : float
        The loss at theta, for what is the derivative of its square, root or logarithm.

    Examples
    --------
    >>> g, w = np.array([0.3, -1.2, 0.7, 2.1]), np.array([1.0, 2.0, -1.0, 0.5])
    >>> block = Evidence("w", (4,), w, g - 0.01 * w, np.arange(4), g, np.full(4, 1e-10), False)
    >>> print(diagnose([block])[0].sentence)
    w: the analytic gradient is the numerical one minus 0.01 * w: the L2 term (lambda = 0.01) is...
    """
    failing = [block for block in evidence if not block.agrees]
    numbers = numbers_of((b.name, float(b.theta[0])) for b in evidence if b.theta.size == 1)
    cases = []
    for block in failing:
        sizes = sizes_of(dims, block.name, block.shape, value)
        # A number has laws of its own parameter, of which round values of others may be look-alikes.
        sizes += numbers if block.theta.size > 1 else ()
        cases.append(case_of(block, [b for b in evidence if b is not block], sizes))
    everywhere = unused(evidence)
    laws = shared(cases, [everywhere or explain(case, rtol) for case in cases], rtol)
    start = None if everywhere else start_here(evidence)
    found = []
    for block, law in zip(failing, laws, strict=True):
        stop = "" if law.clause.endswith("?") else "."
        sentence = f"{law.clause}{stop}{_asides(law, block, evidence)}"
        if not law.clause.startswith(f"{block.name}["):
            sentence = f"{block.name}: {sentence}"
        if start and start[0] == block.name:
            sentence += f" {start[1]}"
        found.append(Diagnosis(block.name, law.law, law.constants, sentence))
    return tuple(found)


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
        if rtol and (found is None or found.is_lawless):
            within = _named(case.widened(rtol))
            found = within if within is not None and not within.is_lawless else found
        if found is None or found.is_lawless:
            found = _breaks_invariance(case.widened(rtol), found)
        if found is None:
            found = roughly(case)
        if found is not None:
            return found
        if _clearness(case) < CLEAR:
            return unexplained(case, "its error is too near the error bars to name a law")
        return unexplained(case)


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
    clear = _clearness(case)
    wrong = np.count_nonzero(case.wrong & case.telling)
    many = wrong >= MANY_WRONG or ALL_WRONG <= wrong == np.count_nonzero(case.telling)
    laws: tuple[Law, ...] = LAWS if clear >= CLEAR else ()
    if not laws and clear >= NEAR:
        laws = CONSTANTS_OF_ONE if many else (one_number, few_flipped)
    return next((found for law in laws if (found := law(case)) is not None), None)


def _breaks_invariance(case: Case, found: Finding | None) -> Finding | None:
    """An invariance that is broken, by more than rtol, beside what is known of where."""
    hints = found is not None
    broken = invariance(case, hints) if _clearness(case) >= CLEAR else None
    if found is None or broken is None:
        return found or broken
    words, constants = broken.words + found.words, broken.constants | found.constants
    return Finding(words, constants, f"{found.clause}; {broken.clause}", found.complexity + 1)


def _clearness(case: Case) -> float:
    """The bars by which the wrong samples are wrong, in the median."""
    error = np.abs(case.a - case.D) / case.bar
    return float(np.median(error[case.wrong])) if case.wrong.any() else 0.0


def unexplained(case: Case, why: str = "no law explains its error") -> Finding:
    """How far off the block is, where no law is known."""
    a, D = case.a, case.D
    norms = norm(a), norm(D)
    cosine = float((a / norms[0]) @ (D / norms[1])) if min(norms) else 0.0
    ratio = norms[0] / norms[1] if norms[1] else float("inf")
    constants = {"cosine": cosine, "norm_ratio": ratio}
    if case.k == 1 and D[0] != 0:
        clause = (
            f"the analytic gradient is {a[0]:.6g} where the numerical one is {D[0]:.6g}: "
            f"{a[0] / D[0]:.6g} times, {a[0] - D[0]:+.6g}"
        )
        return Finding(("unexplained",), constants, clause)
    wrong = case.counted(int(np.count_nonzero(case.wrong)))
    hint = invariance(case, hints=True)
    more = "" if hint is None else f"; {hint.clause}"
    clause = (
        f"{why}: {wrong}, the cosine with the numerical gradient is {beside_one(cosine, 6)} and the "
        f"norm {beside_one(ratio)} times its norm{same_size(case)}{more}"
    )
    return Finding(("unexplained",), constants, clause)


def _asides(law: Finding, block: Evidence, evidence: Sequence[Evidence]) -> str:
    """What the law cannot tell: a smaller lambda, and penalties that zeros hide."""
    text = ""
    if "missing-l2" in law.words and "norm(" not in law.clause:
        text = " (An L2 term that is there, but too small by this lambda, looks the same.)"
    if {"missing-l2", "extra-l2", "l2"} & set(law.words):
        hidden = [b.name for b in evidence if b.agrees and not np.any(b.theta)]
        if hidden:
            text += (
                f" {', '.join(hidden)} {'is' if len(hidden) == 1 else 'are'} all zero, which hides "
                "such an error there."
            )
    return text
