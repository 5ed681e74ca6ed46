"""The laws in order of complexity, and what is said where none holds."""

from collections.abc import Callable, Sequence

import numpy as np

from fastgrad.checks.diagnose.elementwise import ELEMENTWISE, not_finite, rounded, zero
from fastgrad.checks.diagnose.evidence import Case, Evidence, Finding, case_of
from fastgrad.checks.diagnose.fingerprint import fingerprint
from fastgrad.checks.diagnose.fitting import best_fit
from fastgrad.checks.diagnose.outliers import with_outliers
from fastgrad.checks.diagnose.row_factors import by_lines
from fastgrad.checks.diagnose.where_to_start import start_here
from fastgrad.numerics.norms import norm
from fastgrad.results import Diagnosis

CLEAR = 100.0
"""No law is named unless half of the wrong samples are wrong by this many bars."""

LAWS: tuple[Callable[[Case], Finding | None], ...] = (
    zero,
    rounded,
    lambda case: best_fit(case, most=1),
    *ELEMENTWISE,
    lambda case: best_fit(case, most=4, least=2),
    fingerprint,
    with_outliers,
    by_lines,
)
"""The laws in order of complexity: the first that holds is the diagnosis."""


def diagnose(evidence: Sequence[Evidence], dims: Sequence[int] = ()) -> tuple[Diagnosis, ...]:
    """Why do the blocks disagree that do? One diagnosis for each of them.

    Parameters
    ----------
    evidence : sequence of Evidence
        All blocks, in the order in which the loss applies them.
    dims : sequence of int
        Leading dimensions of the loss's array arguments, for constants such as 1/m.

    Examples
    --------
    >>> g, w = np.array([0.3, -1.2, 0.7, 2.1]), np.array([1.0, 2.0, -1.0, 0.5])
    >>> block = Evidence("w", (4,), w, g - 0.01 * w, np.arange(4), g, np.full(4, 1e-10), False)
    >>> print(diagnose([block])[0].sentence)
    w: the analytic gradient is the numerical one minus 0.01 * w: the L2 term (lambda = 0.01) is...
    """
    start = start_here(evidence)
    found = []
    for block in evidence:
        if block.agrees:
            continue
        case = case_of(block, evidence, dims)
        law = explain(case)
        sentence = f"{law.clause}.{_asides(law, block, evidence)}"
        if not law.clause.startswith(f"{block.name}["):
            sentence = f"{block.name}: {sentence}"
        if start and start[0] == block.name:
            sentence += f" {start[1]}"
        found.append(Diagnosis(block.name, law.law, law.constants, sentence))
    return tuple(found)


def explain(case: Case) -> Finding:
    """The least complex law that every sample obeys, or "unexplained"."""
    with np.errstate(all="ignore"):
        bad = not_finite(case)
        if bad is not None:
            return bad
        error = np.abs(case.a - case.D) / case.bar
        if not case.wrong.any():
            return unexplained(case, "no wrong entry was sampled, so no law can be looked for")
        if np.median(error[case.wrong]) < CLEAR:
            return unexplained(case, "its error is too near the error bars to name a law")
        for law in LAWS:
            found = law(case)
            if found is not None:
                return found
        return unexplained(case)


def unexplained(case: Case, why: str = "no law explains its error") -> Finding:
    """How far off the block is, where no law is known."""
    a, D = case.a, case.D
    norms = norm(a), norm(D)
    cosine = float((a / norms[0]) @ (D / norms[1])) if min(norms) else 0.0
    ratio = norms[0] / norms[1] if norms[1] else float("inf")
    wrong = case.counted(int(np.count_nonzero(case.wrong)))
    clause = (
        f"{why}: {wrong}, the cosine with the numerical gradient is {cosine:.6g} and the norm "
        f"{ratio:.4g} times its norm"
    )
    return Finding(("unexplained",), {"cosine": cosine, "norm_ratio": ratio}, clause)


def _asides(law: Finding, block: Evidence, evidence: Sequence[Evidence]) -> str:
    """What the law cannot tell: a smaller lambda, and penalties that zeros hide."""
    text = ""
    if "missing-l2" in law.words:
        text = " (An L2 term that is there, but too small by this lambda, looks the same.)"
    if {"missing-l2", "extra-l2", "l2"} & set(law.words):
        hidden = [b.name for b in evidence if b.agrees and not np.any(b.theta)]
        if hidden:
            text += (
                f" {', '.join(hidden)} {'is' if len(hidden) == 1 else 'are'} all zero, which hides "
                "such an error there."
            )
    return text
