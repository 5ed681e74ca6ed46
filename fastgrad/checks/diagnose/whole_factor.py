"""A whole number, or one over it, beside a penalty: few samples tell no other two constants."""

from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.fitting import PROBE, thinned
from fastgrad.checks.diagnose.linear import SAMPLES, TERMS, Linear, Shape
from fastgrad.checks.diagnose.linear_words import STANDARD_ERRORS, finding
from fastgrad.checks.diagnose.rearrange import identity


def whole_factor_and_term(case: Case) -> Finding | None:
    """A whole number, or one over it, times the data's part, and a penalty, of four samples or five.

    That the factor comes out whole is the evidence that a fit of two constants to so few lacks.
    """
    if case.k <= SAMPLES:
        return None
    few = thinned(case, PROBE)
    for term in TERMS[:2]:
        quick = Linear(few, identity(few), Shape(True, (term,))).fit()
        if quick is None or not quick.holds.all():
            continue
        law = Linear(case, identity(case), Shape(True, (term,)))
        fit = law.fit()
        if fit is None or not fit.holds.all() or not law.supported(fit, each=SAMPLES):
            continue
        tolerance = STANDARD_ERRORS * float(fit.sd[0]) / fit.b[0] ** 2
        if named_constants.is_whole(float(1 / fit.b[0]), tolerance):
            return finding(law, fit)
    return None
