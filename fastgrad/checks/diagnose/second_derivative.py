"""The second derivative in place of the first, or a Newton step: what boosters hand over in pairs.

The second differences that a sweep has anyway are rough, to some 1e-5, and enough to tell.
"""

import numpy as np

from fastgrad.checks.diagnose.evidence import Case, Finding

FEWEST = 3
"""Samples wanted whose second difference shows."""
SHOWN = 30.0
"""It shows from so many of its bars up."""


def hessian(case: Case) -> Finding | None:
    """Every entry is the second derivative, or the first over the second."""
    if case.second is None or case.second_bar is None:
        return None
    H, bar = case.second, case.second_bar
    told = np.isfinite(H) & (np.abs(H) > SHOWN * bar)
    if np.count_nonzero(told) < FEWEST or np.ptp(H[told]) <= SHOWN * bar[told].max():
        return None
    if np.all(np.abs(case.a - H) <= bar + case.unit * np.abs(case.a)):
        clause = "the analytic gradient equals the second derivative: the hessian for the gradient"
        return Finding(("hessian",), {}, clause)
    if np.all(np.abs(case.a * H - case.D) <= bar * np.abs(case.a) + case.bar):
        clause = "the analytic gradient is the first derivative over the second: a Newton step"
        return Finding(("newton",), {}, clause)
    return None
