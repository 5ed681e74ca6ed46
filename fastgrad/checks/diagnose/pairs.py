"""Two entries: two that are exchanged, and blocks of two, whose digits tell what no fit can."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.linear_words import times

PAIR = 2
CLEAR = 100.0
"""Bars between two values that are not alike."""
SURE_PAIR = 1e-6
"""Two entries that have one constant to so many digits share it: chance makes that once in a million."""
UNLIKE = 1e-3
"""They say so where what it is a multiple of differs by this part between them."""


def exchanged(case: Case) -> Finding | None:
    """Two entries have each other's values, and the others are right."""
    wrong = np.flatnonzero(case.wrong)
    if wrong.size != PAIR:
        return None
    i, j = map(int, wrong)
    slack = case.bar[[i, j]] + case.unit * np.abs(case.a[[i, j]])
    apart = abs(case.D[i] - case.D[j]) > CLEAR * slack.max()
    if not apart or np.any(np.abs(case.a[[i, j]] - case.D[[j, i]]) > slack[::-1] + slack):
        return None
    clause = f"{case.entry(i)} and {case.entry(j)} are exchanged"
    return Finding(("permuted",), {"moved": 2.0}, clause)


def two_entries(case: Case) -> Finding | None:
    """Both entries of a block have one factor, one constant, or one multiple of theta.

    Three entries are fitted; of two it is the digits that tell. Where two laws have them, none does.
    """
    if not case.wrong.all():
        return None
    if not (_unlike(case.D) and _unlike(case.x)):
        return None
    r = case.a - case.D
    slack = case.bar + case.unit * np.abs(case.a)
    factor = _shared(case.a, case.D, slack + np.abs(case.a) * case.bar / np.abs(case.D))
    weight, offset = _shared(r, case.x, slack), _shared(r, np.ones(PAIR), slack)
    if sum(known is not None for known in (factor, weight, offset)) != 1:
        return None
    if factor is not None:
        named = named_constants.factor(*factor, case.dims)
        return times(named) if named.value != 1 else None
    if offset is not None:
        constant = named_constants.coefficient(*offset, case.dims)
        sign = "minus" if constant.value < 0 else "plus"
        clause = (
            f"the analytic gradient is the numerical one {sign} {constant.text.lstrip('-')} in both "
            "entries"
        )
        return Finding(("offset",), {"offset": constant.value}, clause)
    assert weight is not None
    penalty = named_constants.coefficient(*weight, case.dims)
    missing, size = penalty.value < 0, penalty.text.lstrip("-")
    much = "is missing" if missing else "too much"
    clause = (
        f"the analytic gradient is the numerical one {'minus' if missing else 'plus'} {size} * "
        f"{case.name}: an L2 term (lambda = {size}) {much}"
    )
    word = "missing-l2" if missing else "extra-l2"
    return Finding((word,), {"lambda": abs(penalty.value)}, clause)


def _shared(y: Floats, f: Floats, slack: Floats) -> tuple[float, float] | None:
    """The constant c of y = c f in both entries, and its slack."""
    c, sure = y / f, slack / np.abs(f)
    if not abs(c[0] - c[1]) <= sure.sum() or np.any(sure > SURE_PAIR * np.abs(c)):
        return None
    return float(c.mean()), float(sure.min())


def _unlike(f: Floats) -> bool:
    return bool(f.all() and np.ptp(np.abs(f)) > UNLIKE * np.abs(f).max())
