"""The gradient as it was stored: zeros alone, or numbers of few digits."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.finding import Finding

MEMBERS = 3
"""Entries wanted that are not zero."""
DECIMALS = range(1, 9)
"""Rounding to so many decimals is looked for."""


def zero(case: Case) -> Finding | None:
    """The gradient under test was never computed, or never stored."""
    if case.k == 0 or np.any(case.a):
        return None
    return Finding(("zero",), {}, "the analytic gradient is zero", 0)


def rounded(case: Case) -> Finding | None:
    """The right gradient in a shorter format, or printed with few decimals."""
    a = case.analytic
    if np.count_nonzero(a) < MEMBERS or a.size == 0:
        return None
    for name, step in _formats(a):
        if np.all(np.abs(case.a - case.D) <= 0.5 * step[case.positions] + case.bar):
            clause = f"the analytic gradient is the numerical one rounded to {name}"
            return Finding(("rounded",), {}, clause)
    return None


def _formats(a: Floats) -> list[tuple[str, Floats]]:
    """Formats that hold every entry exactly, with the spacing of their numbers there."""
    found = []
    with np.errstate(over="ignore"):
        for name, dtype in (("float32", np.float32), ("float16", np.float16)):
            short = a.astype(dtype)
            if np.array_equal(short.astype(np.float64), a):
                found.append((name, np.abs(np.spacing(short)).astype(np.float64)))
        bits = a.astype(np.float32).view(np.uint32)
        if found and not np.any(bits & 0xFFFF):
            found.append(("bfloat16", 2.0 ** (np.floor(np.log2(np.abs(a) + 1e-300)) - 7)))
    for decimals in DECIMALS:
        if np.array_equal(np.round(a, decimals), a):
            found.append((f"{decimals} decimals", np.full(a.size, 10.0**-decimals)))
            break
    return found
