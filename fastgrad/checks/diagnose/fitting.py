"""The least complex linear law of a case."""

from dataclasses import replace

import numpy as np

from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import SHOWS, Case
from fastgrad.checks.diagnose.few_entries import flipped
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.linear import SAMPLES, TERMS, Linear, Shape, identity, linear_laws
from fastgrad.checks.diagnose.linear_words import STANDARD_ERRORS, finding
from fastgrad.numerics.norms import rms

PROBE = 32
"""Samples on which laws are tried first: one that fails there is not fitted to all."""
SURE = 1e-4
"""Relative tolerance of a factor that is believed on one or two samples, because it has a name."""

ROUGH_PARTS = (1e-4, 1e-3, 1e-2, 3e-2)
"""What a factor that does not hold exactly may be off by, in parts of the gradient."""
ROUGH_SAMPLES = 6
TYPICAL = 0.3
"""Part of the rms below which errors are taken for absolute ones."""


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
                same = also.clause.removeprefix("the analytic gradient is ")
                return replace(
                    found, clause=f"{found.clause}; at this theta that is the same as {same}"
                )
            found = finding(whole, fit)
    return found


def _named_factor(case: Case) -> Finding | None:
    """A factor that has a name, where there are too few samples to fit one."""
    found = _factor_of_few(case) or flipped(case)
    if found is None or case.complete or not case.located:
        return found
    entries = ", ".join(case.entry(k) for k in range(case.k))
    there = "the analytic gradient" + found.clause.partition("the analytic gradient")[2]
    if found.words == ("sign",):
        there = "the analytic gradient has the wrong sign"
    return replace(found, clause=f"{case.counted(case.k)} ({entries}): there {there}")


def _factor_of_few(case: Case) -> Finding | None:
    law = Linear(case, identity(case), Shape(True, ()))
    fit = law.fit()
    if fit is None or not fit.holds.all() or not fit.b[0]:
        return None
    tolerance = STANDARD_ERRORS * float(fit.sd[0]) / fit.b[0] ** 2
    named = named_constants.factor(1 / fit.b[0], tolerance, case.dims)
    sure = tolerance < SURE * abs(named.value)
    return finding(law, fit) if sure and named_constants.has_name(named, case.dims) else None


def whole_factor_and_term(case: Case) -> Finding | None:
    """A whole number, or one over it, times the data's part, and a penalty, of four samples or five.

    That the factor comes out whole is the evidence that a fit of two constants to so few lacks.
    """
    if case.k <= SAMPLES:
        return None
    few = case.thinned(PROBE)
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


def roughly(case: Case) -> Finding | None:
    """One factor that holds to a part of a per cent or a few, where no law holds exactly."""
    typical = TYPICAL * rms(case.D)
    for part in ROUGH_PARTS:
        size = np.maximum(np.maximum(np.abs(case.D), np.abs(case.a)), typical)
        wide = replace(case, bar=np.maximum(case.bar, part * size))
        law = Linear(wide, identity(wide), Shape(True, ()))
        if np.count_nonzero(wide.telling) < ROUGH_SAMPLES:
            continue
        fit = law.fit()
        if fit is None or not fit.holds.all() or not fit.b[0]:
            continue
        factor = float(1 / fit.b[0])
        if abs(factor - 1) <= SHOWS * part * max(1.0, abs(factor)):
            return None
        left = float(np.max(np.abs(fit.residual) / np.maximum(size, np.abs(case.D))))
        sign = abs(factor + 1) <= part
        text = "-1" if sign else f"{factor:.{max(2, -int(np.floor(np.log10(part))))}g}"
        clause = (
            f"the analytic gradient is about {text} times the numerical one, to {100 * left:.2g}%: an "
            "approximation, or one cause beside a second"
        )
        words = ("sign",) if sign else ("scale",)
        return Finding(words, {"factor": -1.0 if sign else factor, "within": left}, clause)
    return None
