"""The law of some entries alone, as the cause of what is wrong with these."""

from dataclasses import replace

import numpy as np

from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.elementwise import of_theta
from fastgrad.checks.diagnose.factor_of_theta import factor_of_theta
from fastgrad.checks.diagnose.few_digits import zero
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.fingerprint import look_up
from fastgrad.checks.diagnose.fitting import best_fit
from fastgrad.checks.diagnose.row_factors import by_lines
from fastgrad.checks.diagnose.whole_factor import whole_factor_and_term


def cause_of(some: Case) -> Finding | None:
    """The law of the outliers alone."""
    alone = replace(
        some, shape=(some.k,), theta=some.x, analytic=some.a, positions=np.arange(some.k), others=()
    )
    found = zero(some) or best_fit(alone, most=1) or of_theta(alone)
    found = found or factor_of_theta(alone) or whole_factor_and_term(alone)
    if found is None and some.k >= 2 and look_up(some, some.a, matches=2) is not None:
        return Finding(("permuted",), {}, "the right values stand in each other's places")
    if found is not None and found.words == ("sign",):
        return replace(found, clause="the analytic gradient has the wrong sign")
    return found or by_lines(some)
