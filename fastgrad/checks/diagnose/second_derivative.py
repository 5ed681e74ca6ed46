"""The second derivative in place of the first, or a Newton step: what boosters hand over in pairs.

The second differences that a sweep has anyway are rough, to some 1e-5, and enough to tell.
"""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.numerics.norms import size_of

FEWEST = 3
"""Samples wanted whose second difference shows."""
SHOWN = 30.0
"""It shows from so many of its bars up."""
SURE_ALONE = 1e-4
"""Relative bar of a second difference that is believed of a single number."""


def hessian(case: Case) -> Finding | None:
    """Every entry is the second derivative, or the first over it, or times it."""
    H, bar = case.second, case.second_bar
    assert H is not None
    assert bar is not None
    told = np.isfinite(H) & (np.abs(H) > SHOWN * bar)
    if case.analytic.size == 1 and case.k == 1:
        sure = bool(bar[0] <= SURE_ALONE * abs(H[0]))
        off = abs(float(H[0] - case.D[0])) > SHOWN * float(bar[0])
        return _equal(case, H, bar) if sure and off else None
    if np.count_nonzero(told) < FEWEST or np.ptp(H[told]) <= SHOWN * bar[told].max():
        return None
    found = _equal(case, H, bar)
    if found is not None:
        return found
    # Products of derivatives may be beyond the floats: each is taken in parts of its size.
    a, D, second = size_of(case.a), size_of(case.D), size_of(H[told])
    H, bar = H / second, bar / second
    gap = np.abs(case.a / a * H - case.D / a / second)
    if np.all(gap <= bar * np.abs(case.a / a) + case.bar / a / second):
        clause = "the analytic gradient is the first derivative over the second: a Newton step"
        return Finding(("newton",), {}, clause)
    whole = case.a / D / second
    slack = bar * np.abs(case.D / D) + case.bar / D * np.abs(H) + case.unit * np.abs(whole)
    if np.all(np.abs(whole - case.D / D * H) <= slack):
        clause = (
            "the analytic gradient is the first derivative times the second: a link was differentiated "
            "that the loss has differentiated already (a sigmoid's slope beside a cross entropy)"
        )
        return Finding(("times-hessian",), {}, clause)
    return None


def _equal(case: Case, H: Floats, bar: Floats) -> Finding | None:
    if np.any(np.abs(case.a - H) > bar + case.unit * np.abs(case.a)):
        return None
    clause = "the analytic gradient equals the second derivative: the hessian for the gradient"
    return Finding(("hessian",), {}, clause)
