"""Factors of one entry or two, among others that are right or none: what needs no fit."""

from dataclasses import replace

import numpy as np

from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.linear import Linear, Shape
from fastgrad.checks.diagnose.linear_words import STANDARD_ERRORS, finding, times
from fastgrad.checks.diagnose.rearrange import identity

SURE = 1e-4
"""Relative tolerance of a factor that is believed on one or two samples, because it has a name."""
SURE_SIGN_AMONG = 2.0**-4
"""A sign of a few entries among others, at most this part: they may be wrong by any factor, and a few in
a hundred come as near to -1 by chance."""
FEW_FLIPPED = 2
"""Entries whose sign is told where their bars hide other laws."""


def named_factor(case: Case) -> Finding | None:
    """A factor that has a name, where there are too few samples to fit one."""
    found = flipped(case)
    law = Linear(case, identity(case), Shape(True, ()))
    fit = law.fit()
    if fit is not None and fit.holds.all() and fit.b[0]:
        tolerance = STANDARD_ERRORS * float(fit.sd[0]) / fit.b[0] ** 2
        named = named_constants.factor(1 / fit.b[0], tolerance, case.dims)
        if named.usual and tolerance < SURE * abs(named.value):
            found = finding(law, fit)
    if found is None or case.complete or not case.located:
        return found
    entries = ", ".join(case.entry(k) for k in range(case.k))
    there = "the analytic gradient" + found.clause.partition("the analytic gradient")[2]
    if found.words == ("sign",):
        there = "the analytic gradient has the wrong sign"
    return replace(found, clause=f"{case.counted(case.k)} ({entries}): there {there}")


def factor_of_few(some: Case) -> Finding | None:
    """The factor of one entry, or of two, where it is one that chance does not give."""
    a, D = some.a, some.D
    if not D.all() or not a.all():
        return None
    ratio = a / D
    slack = float(np.max(np.abs(ratio) * (some.bar / np.abs(D) + some.unit)))
    if np.ptp(ratio) > 2 * slack:
        return None
    factor = named_constants.factor(float(ratio.mean()), slack, some.dims, ratios=some.k > 1)
    return times(factor) if factor.named else None


def flipped(case: Case) -> Finding | None:
    """All of a few entries have the wrong sign, which wider bars tell as well than other factors."""
    slack = case.bar + case.unit * np.abs(case.a)
    sure = case.k and np.all(slack <= SURE_SIGN_AMONG * np.abs(case.D))
    if not sure or np.any(np.abs(case.a + case.D) > slack):
        return None
    return Finding(("sign",), {"factor": -1.0}, "the analytic gradient has the wrong sign")


def few_flipped(case: Case) -> Finding | None:
    """The few entries of a block that are wrong have the wrong sign, though nothing else can be told."""
    some = case.take(case.wrong)
    found = flipped(some) if 0 < some.k <= FEW_FLIPPED else None
    if found is None or (case.complete and some.k == case.k):
        return found
    entries = ", ".join(some.entry(k) for k in range(some.k))
    clause = f"{case.counted(some.k)} ({entries}): there {found.clause}"
    return Finding(found.words, {"entries": float(some.k), **found.constants}, clause)
