"""Symmetric matrices: one triangle that is read, and entries off the diagonal that count twice."""

import numpy as np

from fastgrad.checks.diagnose.case import SHOWS, Case
from fastgrad.checks.diagnose.finding import Finding

SIDE = 2
"""Entries wanted on the diagonal, and off it."""
OFF_DIAGONAL = {2.0: "twice", 0.5: "half of"}


def triangle(case: Case) -> Finding | None:
    """The loss reads one triangle of a matrix, the gradient is that by a symmetric one."""
    a, D, bar = (v.reshape(case.shape) for v in (case.a, case.D, case.bar))
    for side, part, strict in (
        ("lower", np.tril, np.triu(np.ones_like(D), 1)),
        ("upper", np.triu, np.tril(np.ones_like(D), -1)),
    ):
        if np.any(np.abs(D) * strict > bar):
            continue
        both = a + a.T - np.diag(np.diag(a))
        # Symmetric gradients are written as the derivative by S[i, j] alone, or shared by both.
        for expected in (part(both), part(a)):
            slack = bar + bar.T + case.unit * np.abs(a)
            told = (np.abs(D) > SHOWS * bar) & (strict.T > 0)
            if np.all(np.abs(expected - D) <= slack) and np.count_nonzero(told) >= SIDE - 1:
                clause = (
                    f"the loss reads the {side} triangle of {case.name} alone, and the analytic "
                    "gradient is that by the whole symmetric matrix: right if both triangles move "
                    "together"
                )
                return Finding(("triangle",), {}, clause)
    return None


def one_triangle(case: Case) -> Finding | None:
    """Theta is symmetric and so is D, and of the gradient one triangle is there."""
    a, D, bar, x = (v.reshape(case.shape) for v in (case.a, case.D, case.bar, case.theta))
    if not np.array_equal(x, x.T) or np.any(np.abs(D - D.T) > bar + bar.T):
        return None
    slack = 2 * (bar + case.unit * np.abs(a))
    upper = np.triu(np.ones_like(D), 1) > 0
    for side, missing in (("lower", upper), ("upper", upper.T)):
        told = missing & (np.abs(D) > SHOWS * bar)
        if np.any(a[missing]) or np.count_nonzero(told) < SIDE - 1:
            continue
        for factor, said in ((1.0, "right"), (2.0, "twice the right one off the diagonal")):
            expected = np.where(missing, 0.0, np.where(missing.T, factor * D, D))
            if np.all(np.abs(a - expected) <= slack):
                clause = (
                    f"it has its {side} triangle alone, which is {said}: the other was not filled in; "
                    f"if {case.name} lives on the symmetric matrices, say so by space="
                )
                return Finding(("one-triangle",), {"factor": factor}, clause)
    return None


def off_diagonal(case: Case) -> Finding | None:
    """Right on the diagonal, and twice or half of it elsewhere."""
    diagonal = case.index[0] == case.index[1]
    told = case.telling & ~diagonal
    if np.count_nonzero(case.telling & diagonal) < SIDE or np.count_nonzero(told) < SIDE:
        return None
    for factor, said in OFF_DIAGONAL.items():
        expected = np.where(diagonal, case.D, factor * case.D)
        slack = max(1.0, factor) * case.bar + case.unit * np.abs(case.a)
        if np.all(np.abs(case.a - expected) <= slack):
            clause = (
                f"the analytic gradient is right on the diagonal and {said} the numerical one off "
                f"it: entries off the diagonal stand for both triangles, or {case.name} is symmetric"
            )
            return Finding(("off-diagonal",), {"factor": factor}, clause)
    return None
