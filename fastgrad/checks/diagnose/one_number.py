"""A block of one number: by what factor is it off, or by how much, or whose is it?"""

from dataclasses import replace

import numpy as np

from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.change_of_variables import variable_of_one
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.linear_words import times

CLEAR = 100.0
"""Bars between what is taken for alike and what is not."""
JACOBIANS = (1.0, 0.5)
"""What the log-density of a change of variables adds to the derivative, by a log or a log variance."""
SURE_SIGN = 0.1
"""A sign is known where the bar is at most this part of the difference."""
SURE_WHOLE = 1e-6
"""A whole number, or one over it, is believed of a single entry that is known this well."""
SURE_TERM = 1e-6
"""So is a round multiple of theta: of 90 with two digits one is hit once in 10,000 times."""
SURE_ALONE = 1e-12
"""A round multiple of theta is all that there is where it is that to the rounding of floats."""
SURE_OTHER = 1e-6
"""The gradient of another number is believed to be its where it is known to so many digits."""


def one_number(case: Case) -> Finding | None:
    """A block of one number: by what factor is it off, or by how much?"""
    if not case.D[0] or not case.a[0]:
        return None
    a, D, bar = float(case.a[0]), float(case.D[0]), float(case.bar[0])
    error, rounding = a - D, bar + case.unit * abs(a)
    for size in JACOBIANS:
        if abs(abs(error) - size) <= rounding < size / CLEAR**2:
            clause = (
                f"the analytic gradient is the numerical one {'plus' if error > 0 else 'minus'} "
                f"{size:g} exactly: perhaps the log-Jacobian of a change of variables"
                + (
                    ", or a complement (p - 1 for p, a put's delta for a call's)"
                    if size == 1
                    else ""
                )
            )
            return Finding(("offset",), {"offset": float(np.copysign(size, error))}, clause)
    if abs(a + D) <= rounding <= SURE_SIGN * abs(D):
        return Finding(("sign",), {"factor": -1.0}, "it has the wrong sign")
    slack = abs(a / D) * (bar / abs(D) + case.unit)
    factor = named_constants.factor(a / D, slack, case.dims, ratios=False)
    sure = slack <= named_constants.SURE_UNIT * abs(a / D)
    variable = variable_of_one(case, slack) if sure else None
    if factor.usual:
        same = f"; at this theta that is also {variable}" if variable else ""
        found = times(factor)
        return replace(found, clause=found.clause + same)
    if variable:
        clause = (
            f"the analytic gradient is {variable}, the loss's is by {case.name} itself "
            f"({a / D:.6g} times)"
        )
        sign = -1.0 if variable.startswith("minus") else 1.0
        return Finding(("change-of-variables",), {"sign": sign}, clause)
    return times(factor) if factor.named and slack <= SURE_WHOLE and _is_whole(factor) else None


def _is_whole(factor: named_constants.Constant) -> bool:
    value = abs(factor.value)
    return bool(value) and float(max(value, 1 / value)).is_integer()


def one_term(case: Case) -> Finding | None:
    """A block of one number that lacks a round multiple of theta, or of 1/theta, or has it too much.

    The penalty of a single parameter; the derivative of the log of a scale, which a density has.
    """
    if not case.x[0]:
        return None
    x, error = float(case.x[0]), float(case.a[0] - case.D[0])
    slack = float(case.bar[0]) + case.unit * abs(float(case.a[0]))
    if slack > SURE_TERM * abs(error) or named_constants.coefficient(error, slack, ()).named:
        return None
    penalty = named_constants.coefficient(error / x, slack / abs(x), case.dims)
    of_log = named_constants.coefficient(error * x, slack * abs(x), case.dims)
    if penalty.named == of_log.named:  # neither, or a theta that is round itself
        return None
    if penalty.named:
        size = penalty.text.lstrip("-")
        missing = penalty.value < 0
        clause = (
            f"the analytic gradient is the numerical one {'minus' if missing else 'plus'} {size} * "
            f"{case.name}: "
        )
        clause += (
            f"the L2 term (lambda = {size}) is missing"
            if missing
            else f"an L2 term (lambda = {size}) too much"
        )
        word = "missing-l2" if missing else "extra-l2"
        return Finding((word,), {"lambda": abs(penalty.value)}, clause)
    size = of_log.text.lstrip("-")
    clause = (
        f"the analytic gradient is the numerical one {'minus' if of_log.value < 0 else 'plus'} {size} "
        f"* 1/{case.name}, the derivative of {size} log({case.name}): perhaps the normaliser of a "
        "density, or a log-determinant"
    )
    return Finding(("function-of-theta",), {"weight": of_log.value}, clause)


def of_another_number(case: Case) -> Finding | None:
    """A block of one number has the gradient of another one, to the last digit that is known."""
    if not case.a[0]:
        return None
    a, D = float(case.a[0]), float(case.D[0])
    numbers = [o for o in case.others if o.analytic.size == 1 and o.numeric.size == 1]
    near = []
    for other in numbers:
        slack = float(other.bar[0]) + case.unit * abs(a)
        if slack <= SURE_OTHER * abs(a) and abs(a - float(other.numeric[0])) <= CLEAR * slack:
            near.append((other, abs(a - float(other.numeric[0])) <= slack))
    if len(near) != 1 or not near[0][1] or named_constants.coefficient(a, 0.0, ()).named:
        return None
    other, back = near[0][0], float(near[0][0].analytic[0])
    mutual = abs(back - D) <= float(case.bar[0]) + case.unit * abs(back)
    also = f", which has that of {case.name}: they are exchanged" if mutual else ""
    clause = f"the analytic gradient is the numerical one of {other.name}{also}"
    return Finding(("swapped" if mutual else "copied",), {}, clause)


def only_a_penalty(case: Case) -> Finding | None:
    """The gradient by one number is a round multiple of it, to the last digit, and the loss's is not."""
    if not case.x[0] or not case.a[0]:
        return None
    x, a, D = float(case.x[0]), float(case.a[0]), float(case.D[0])
    weight = named_constants.coefficient(a / x, SURE_ALONE * abs(a / x), case.dims)
    data = named_constants.coefficient(D, float(case.bar[0]), ())
    if not weight.named or data.named or weight.value < 0 or a.is_integer():
        return None
    clause = (
        f"the analytic gradient is {weight.text} * {case.name} to the last digit, and no data are in "
        f"it: the penalty (or the prior) alone, without the data's part"
    )
    return Finding(("only-l2",), {"lambda": weight.value}, clause)
