"""Entries that are each off by a whole number of their own, or by one number of either sign."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.row_factors import by_lines

FEWEST_WRONG = 3
"""Wrong samples wanted."""
LARGEST_WEIGHT = 100
"""Whole numbers up to this are weights, counts and multiplicities."""
SURE_WEIGHT = 1e-3
"""An entry's number is whole where it is known this well."""
ENTRIES_LISTED = 4


def entry_weights(case: Case) -> Finding | None:
    """Every wrong entry is k times the numerical one, or 1/k of it, of a whole number k of its own."""
    wrong = np.flatnonzero(case.wrong)
    if wrong.size < FEWEST_WRONG or np.any(case.D[wrong] == 0) or np.any(case.a[wrong] == 0):
        return None
    a, D, bar = case.a[wrong], case.D[wrong], case.bar[wrong]
    relative = bar / np.abs(D) + case.unit
    for ratio, inverse in ((D / a, True), (a / D, False)):
        whole = np.round(ratio)
        slack = np.abs(ratio) * relative
        fits = (
            (np.abs(ratio - whole) <= slack)
            & (slack <= SURE_WEIGHT)
            & (np.abs(whole) <= LARGEST_WEIGHT)
        )
        if not fits.all() or np.unique(whole).size < 2 or by_lines(case) is not None:
            continue
        listed = ", ".join(
            f"{_written(k, inverse)} in {case.entry(int(j))}"
            for k, j in zip(whole[:ENTRIES_LISTED], wrong[:ENTRIES_LISTED], strict=True)
        )
        more = ", ..." if wrong.size > ENTRIES_LISTED else ""
        rest = "" if wrong.size == case.k else ", the others are right"
        clause = (
            f"the analytic gradient is the numerical one {'over' if inverse else 'times'} a whole "
            f"number of its own in {wrong.size:,} of {case.population:,} entries ({listed}{more})"
            f"{rest}: a weight, a count or a multiplicity is {'missing' if inverse else 'too much'} "
            "there"
        )
        return Finding(("entry-weights",), {"entries": float(wrong.size)}, clause)
    return None


def _written(k: float, inverse: bool) -> str:
    if inverse and abs(k) != 1:
        return f"{'-' if k < 0 else ''}1/{abs(k):.0f}"
    return f"{k:.0f}"


def signed_offset(case: Case) -> Finding | None:
    """Some entries are too large by a number, others too small by the same one, the rest are right."""
    wrong = case.wrong
    r: Floats = (case.a - case.D)[wrong]
    slack = (case.bar + case.unit * np.abs(case.a))[wrong]
    up, down = np.count_nonzero(r > 0), np.count_nonzero(r < 0)
    if min(up, down) < FEWEST_WRONG:
        return None
    size = float(np.median(np.abs(r)))
    if np.any(np.abs(np.abs(r) - size) > slack + slack.min()):
        return None
    constant = named_constants.coefficient(size, float(slack.min()), case.dims)
    alike = up == down and constant.value == 1
    label = ": perhaps labels, or one-hot rows, that are shifted" if alike else ""
    clause = (
        f"{up:,} entries are too large by {constant.text} and {down:,} too small by it, the others "
        f"are right{label}"
    )
    return Finding(("offset",), {"offset": constant.value}, clause)
