"""The least complex linear law of a case."""

from dataclasses import replace

from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.evidence import Case, Finding
from fastgrad.checks.diagnose.linear import SAMPLES, Linear, Shape, identity, linear_laws
from fastgrad.checks.diagnose.linear_words import STANDARD_ERRORS, finding

PROBE = 32
"""Samples on which laws are tried first: one that fails there is not fitted to all."""
SURE = 1e-4
"""Relative tolerance of a factor that is believed on one or two samples, because it has a name."""


def best_fit(case: Case, most: int, least: int = 0) -> Finding | None:
    """The least complex linear law that holds at all samples; says so if another one does too."""
    if case.k < SAMPLES:
        return _named_factor(case) if case.k and not least else None
    found: Finding | None = None
    for law in linear_laws(case.thinned(PROBE), most, least):
        if found is not None and (
            law.complexity > found.complexity or law.base.word in found.words
        ):
            continue
        quick = law.fit()
        if quick is None or not quick.holds.all():
            continue
        whole = law.at(case)
        fit = whole.fit()
        if fit is not None and fit.holds.all() and whole.supported(fit):
            if found is not None:
                also = finding(whole, fit)
                return replace(
                    found, clause=f"{found.clause} (so it is to {also.law}: {also.clause})"
                )
            found = finding(whole, fit)
    return found


def _named_factor(case: Case) -> Finding | None:
    """A factor that has a name, where there are too few samples to fit one."""
    law = Linear(case, identity(case), Shape(True, ()))
    fit = law.fit()
    if fit is None or not fit.holds.all() or not fit.b[0]:
        return None
    tolerance = STANDARD_ERRORS * float(fit.sd[0]) / fit.b[0] ** 2
    named = named_constants.factor(1 / fit.b[0], tolerance, case.dims)
    sure = tolerance < SURE * abs(named.value)
    return finding(law, fit) if sure and named_constants.has_name(named, case.dims) else None
