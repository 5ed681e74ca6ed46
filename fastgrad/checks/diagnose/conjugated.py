"""Complex numbers that are kept as pairs of real ones: a gradient of which one of each is negated."""

import numpy as np

from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.finding import Finding

PAIR = 2
ALTERNATE = 4
"""Entries wanted of a pattern of every second one."""
CONJUGATED = {1.0: "as large as", 0.5: "half of", 2.0: "twice"}
"""Conventions of complex gradients: df/dx - i df/dy, and Wirtinger's half of that."""


def conjugated(case: Case) -> Finding | None:
    """Every second entry has the wrong sign, as of complex numbers that were conjugated."""
    if not case.shape or case.k < ALTERNATE:
        return None
    last = case.index[-1] % PAIR
    slack = case.bar + case.unit * np.abs(case.a)
    for second in (1, 0):
        flipped = last == second
        if min((case.telling & flipped).sum(), (case.telling & ~flipped).sum()) < PAIR:
            continue
        for factor, way in CONJUGATED.items():
            expected = factor * np.where(flipped, -case.D, case.D)
            if np.all(np.abs(case.a - expected) <= max(1.0, factor) * slack):
                return _conjugated(factor, way, second)
    return None


def _conjugated(factor: float, way: str, second: int) -> Finding:
    what = "imaginary" if second else "real"
    negated = "" if second else ", and negated"
    if factor == 1.0:
        clause = (
            "every second entry has the wrong sign, the others are right: read as complex numbers, it "
            f"is conjugated{negated} (the {what} parts)"
        )
        return Finding(("conjugate",), {}, clause)
    clause = (
        f"it is {way} the right one, with the wrong sign in every second entry: read as complex "
        f"numbers, it is conjugated{negated} (the {what} parts), in another convention"
    )
    return Finding(("convention",), {"factor": factor}, clause)
