"""Single entries that are wrong where the rest is right, or obeys a law."""

from dataclasses import replace
from math import comb
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Mask
from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.cause_of_exceptions import cause_of
from fastgrad.checks.diagnose.few_entries import factor_of_few
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.linear import SAMPLES

MOST_OUTLIERS = 0.25
"""Scattered outliers are at most this part of the entries, and lines of them at most half."""
LISTED = 4
FEW_ENTRIES = 2
"""So few entries are believed to have a factor if it has a name."""
SIDES = 4
"""Wrong and right samples wanted where theta is to tell them apart: chance does once in 35."""
ODDS_OF_ZEROS, ODDS_OF_A_SIDE = 40, 200
"""One choice of so many, of as many wrong entries, is that of all zeros, or of all on one side."""
LEAP = 100.0
"""Bars by which every entry on the wrong side is off: an error that grows with theta passes its bar
where it is small."""


class Told(NamedTuple):
    """How theta tells the wrong entries from the right ones, and what that says of the cause."""

    said: str
    cause: Finding | None


AT_ZERO = Finding(
    ("at-zero",),
    {},
    "what is derived reads theta off a quotient, a sign or a mask that 0 has not (x/x, sign(x), x != 0)",
)
BRANCH = Finding(
    ("branch",),
    {},
    "the derivative of that branch of a piecewise function is wrong, or what chooses the branch is",
)


def wrong_entries(case: Case, outliers: Mask, rest_is_right: bool) -> Finding | None:
    """The law of single entries, how they are told by theta, or only which they are."""
    told = _told_by_theta(case, outliers) if rest_is_right else Told("", None)
    some = case.take(outliers)
    count, where = some.k, {"entries": float(some.k)}
    listed = ", ".join(some.entry(k) for k in range(min(count, LISTED)))
    listed += ", ..." if count > LISTED else ""
    said = f"{case.counted(count)} ({listed}){told.said}"
    cause = cause_of(some)
    # Many that are scattered are a finding only where they have a law in common, or a place.
    if count > max(1, MOST_OUTLIERS * case.population) and cause is None and not told.said:
        return None
    if cause is None and count <= FEW_ENTRIES:
        cause = factor_of_few(some)
    if cause is None and told.cause is not None:
        return replace(told.cause, constants=where, clause=f"{said}: {told.cause.clause}")
    if cause is None:
        known = (
            f": the analytic gradient is {some.a[0]:.6g} where the numerical one is {some.D[0]:.6g}"
        )
        if some.D[0]:
            known += f" ({some.a[0] / some.D[0]:.6g} times)"
        elif count == 1:
            known += ": the loss is flat there, as by a clip, a mask or a ReLU"
        return Finding(
            ("wrong-entries",), where, said + (known if count == 1 else ", without a law")
        )
    there = "there " + cause.clause
    if cause.words == ("offset",) and abs(cause.constants["offset"]) == 1.0:
        there = there.partition(" (perhaps")[0]
        there += " (perhaps a label, or a one-hot, that was not taken off)"
    if (
        rest_is_right
        and cause.words == ("scale",)
        and count >= SAMPLES
        and "factor" in cause.constants
    ):
        weight = 1 / cause.constants["factor"]
        there += f"; the others are right: a weight of {weight:.6g} is missing there"
    return Finding(cause.words, where | cause.constants, f"{said}: {there}", 1 + cause.complexity)


def _told_by_theta(case: Case, outliers: Mask) -> Told:
    """Which entries are wrong, if theta tells them from the right ones: 0 exactly, or below 0, say."""
    right = case.telling & ~outliers
    count, others = np.count_nonzero(outliers), np.count_nonzero(right)
    if np.array_equal(case.x == 0, outliers) and case.k - count >= SIDES:
        sure = comb(case.k, count) >= ODDS_OF_ZEROS
        return Told(f", all those where {case.name} is exactly 0", AT_ZERO if sure else None)
    if min(count, others) < SIDES:
        return Told("", None)
    leaps = np.abs(case.a - case.D)[outliers] > LEAP * case.bar[outliers]
    sure = bool(leaps.all()) and comb(count + others, count) >= ODDS_OF_A_SIDE
    wrong_x, right_x = case.x[outliers], case.x[right]
    for word, inner, outer in (("below", wrong_x, right_x), ("above", -wrong_x, -right_x)):
        low, high = float(inner.max()), float(outer.min())
        if low >= high:
            continue
        sign = 1.0 if word == "below" else -1.0
        ends = sorted((sign * low, sign * high))
        value = "0" if low <= 0.0 <= high else f"a value between {ends[0]:.4g} and {ends[1]:.4g}"
        return Told(f", where {case.name} is {word} {value}", BRANCH if sure else None)
    return Told("", None)
