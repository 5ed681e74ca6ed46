"""Blocks of one number, factors of one entry or two, two that are exchanged: what needs no fit."""

from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import SHOWS, Case
from fastgrad.checks.diagnose.change_of_variables import variable_of_one
from fastgrad.checks.diagnose.finding import Finding

CLEAR = 100.0
"""Bars between what is taken for alike and what is not."""
JACOBIANS = (1.0, 0.5)
"""What the log-density of a change of variables adds to the derivative, by a log or a log variance."""
SURE_SIGN = 0.1
"""A sign is known where the bar is at most this part of the difference."""
SURE_SIGN_AMONG = 2.0**-4
"""A sign of a few entries among others, at most this part: they may be wrong by any factor, and a few in
a hundred come as near to -1 by chance."""
FEW_FLIPPED = 2
"""Entries whose sign is told where their bars hide other laws."""
SURE_WHOLE = 1e-6
"""A whole number, or one over it, is believed of a single entry that is known this well."""
SURE_TERM = 1e-6
"""So is a round multiple of theta: of 90 with two digits one is hit once in 10,000 times."""
SURE_ALONE = 1e-12
"""A round multiple of theta is all that there is where it is that to the rounding of floats."""
SURE_PAIR = 1e-6
"""Two entries that have one constant to so many digits share it: chance makes that once in a million."""
UNLIKE = 1e-3
"""They say so where what it is a multiple of differs by this part between them."""
PAIR = 2


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


def one_number(case: Case) -> Finding | None:
    """A block of one number: by what factor is it off, or by how much?"""
    if case.k != 1 or case.analytic.size != 1 or not case.D[0] or not case.a[0]:
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
    if factor.named and named_constants.has_name(factor, case.dims):
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
    if case.k != 1 or case.analytic.size != 1 or not case.x[0]:
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
    if case.k != 1 or case.analytic.size != 1 or not case.a[0]:
        return None
    a, D = float(case.a[0]), float(case.D[0])
    numbers = [o for o in case.others if o.analytic.size == 1 and o.numeric.size == 1]
    near = []
    for other in numbers:
        slack = float(other.bar[0]) + case.unit * abs(a)
        if slack <= SURE_PAIR * abs(a) and abs(a - float(other.numeric[0])) <= CLEAR * slack:
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
    if case.k != 1 or case.analytic.size != 1 or not case.x[0] or not case.a[0]:
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


def two_entries(case: Case) -> Finding | None:
    """Both entries of a block have one factor, one constant, or one multiple of theta.

    Three entries are fitted; of two it is the digits that tell. Where two laws have them, none does.
    """
    if case.k != PAIR or case.analytic.size != PAIR or not case.wrong.all():
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


def times(factor: named_constants.Constant) -> Finding:
    """The law of a factor, with what it usually comes from."""
    if factor.value == -1.0:
        return Finding(("sign",), {"factor": -1.0}, "the analytic gradient has the wrong sign")
    meaning = f" ({factor.meaning})" if factor.meaning else ""
    clause = f"the analytic gradient is {factor.text} times the numerical one{meaning}"
    return Finding(("scale",), {"factor": factor.value}, clause)


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


def same_size(case: Case) -> str:
    """Which entries have the wrong sign, where nothing else is known: an aside."""
    known = case.wrong & case.telling & (case.bar < np.abs(case.D) / CLEAR**2)
    flipped = np.flatnonzero(known & (np.abs(case.a + case.D) <= SHOWS * case.bar))
    if not flipped.size or 2 * flipped.size > case.k:
        return ""
    listed = ", ".join(case.entry(int(k)) for k in flipped[:4])
    listed += ", ..." if flipped.size > 4 else ""
    return f"; {listed} {'has' if flipped.size == 1 else 'have'} the wrong sign exactly"
