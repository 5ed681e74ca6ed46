"""A law for most of a block, and a few entries, rows or columns that disobey it."""

from collections.abc import Iterator
from dataclasses import replace
from math import comb
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.diagnose.boxes import (
    in_blocks,
    in_box,
    is_range,
    said_of_blocks,
    said_of_box,
)
from fastgrad.checks.diagnose.case import MATRIX_AXES, Case
from fastgrad.checks.diagnose.change_of_variables import factor_of_theta
from fastgrad.checks.diagnose.elementwise import of_theta, zero
from fastgrad.checks.diagnose.few_entries import factor_of_few, flipped
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.fingerprint import look_up
from fastgrad.checks.diagnose.fitting import best_fit, whole_factor_and_term
from fastgrad.checks.diagnose.linear import SAMPLES, Linear, linear_laws
from fastgrad.checks.diagnose.linear_words import finding
from fastgrad.checks.diagnose.row_factors import by_lines

MOST_OUTLIERS = 0.25
"""Scattered outliers are at most this part of the entries, and lines of them at most half."""
OBEYING = 3
"""Samples wanted, for each coefficient and one more, that obey the law of the rest."""
TRIES = {1: 12, 2: 30}
"""Fits to as many samples as coefficients that look for the law of the rest: with three quarters of
the samples obeying it, none of them is clean with probability 1e-7 and 1e-11."""
PROBE = 128
"""Samples on which the law of the rest is looked for."""
LISTED = 4
LINES_LISTED = 24
FEW_ENTRIES = 2
"""So few entries are believed to have a factor if it has a name."""
SIDES = 4
"""Wrong and right samples wanted where theta is to tell them apart: chance does once in 35."""
ODDS_OF_ZEROS, ODDS_OF_A_SIDE = 40, 200
"""One choice of so many, of as many wrong entries, is that of all zeros, or of all on one side."""
LEAP = 100.0
"""Bars by which every entry on the wrong side is off: an error that grows with theta passes its bar
where it is small."""


def with_outliers(case: Case) -> Finding | None:
    """The least complex law of most samples, with a description of the others."""
    for rest, outliers in _laws_of_the_rest(case):
        exception = _describe(case, outliers, rest is None)
        if exception is None:
            continue
        if rest is None:
            return exception
        return Finding(
            rest.words + exception.words,
            rest.constants | exception.constants,
            f"{rest.clause}; except {exception.clause}",
            rest.complexity + exception.complexity,
        )
    return None


def _laws_of_the_rest(case: Case) -> Iterator[tuple[Finding | None, Mask]]:
    """Laws that hold at most samples, and where they do not; None is "the rest is right"."""
    right = np.count_nonzero(case.telling & ~case.wrong)
    if right >= OBEYING - 1 or (right and case.complete):
        yield None, case.wrong
    for law in linear_laws(case.thinned(PROBE), most=2):
        if law.base.word == "swapped":
            continue
        b = _robust(law)
        if b is None:
            continue
        whole = law.at(case)
        fit = whole.fit(whole.obeyed(b)) if b.size else whole.fit()
        if fit is None:
            continue
        obeys = fit.holds
        enough = np.count_nonzero(obeys & case.telling) >= OBEYING * (1 + fit.b.size)
        if enough and whole.supported(fit, obeys):
            yield finding(whole, fit), ~obeys


def _robust(law: Linear) -> Floats | None:
    """Coefficients that most samples obey, from fits to as few samples as can be."""
    case, p = law.case, len(law.features)
    tries = _tries(law, np.flatnonzero(case.wrong & case.telling), p)
    if not p:
        obeyed = np.abs(law.target)[None] <= case.bar
    elif tries.size:
        obeyed = law.obeyed(tries)
    else:
        return None
    counts = np.count_nonzero(obeyed & case.telling, axis=1)
    best = int(counts.argmax())
    return tries[best] if 2 * counts[best] >= np.count_nonzero(case.telling) else None


def _tries(law: Linear, samples: Indices, p: int) -> Floats:
    """Coefficients that fit p samples exactly, drawn by a fixed generator: shape (tries, p)."""
    if p == 0:
        return np.zeros((1, 0))
    if samples.size < p:
        return np.zeros((0, p))
    rng = np.random.default_rng(p)
    drawn = samples[rng.random((TRIES[p], samples.size)).argsort(axis=1)[:, :p]]
    F = np.array(law.features)[:, drawn].transpose(1, 2, 0)
    solvable = np.abs(np.linalg.det(F)) > 0
    b = np.linalg.solve(F[solvable], law.target[drawn[solvable]][..., None])[..., 0]
    return np.asarray(b[np.isfinite(b).all(axis=1)])


def _describe(case: Case, outliers: Mask, rest_is_right: bool) -> Finding | None:
    """Whole lines if the outliers fill some, a range or box, else single entries."""
    if not outliers.any():
        return None
    line = _lines(case, outliers)
    if line is not None:
        return line
    box = in_box(case, outliers)
    if box is not None:
        place, where = box
        return said_of_box(case, place, where, _cause(case.take(outliers)))
    blocks = in_blocks(case, outliers) if rest_is_right else None
    if blocks is not None:
        return said_of_blocks(case, *blocks, _cause(case.take(outliers)))
    return _entries(case, outliers, rest_is_right)


def _lines(case: Case, outliers: Mask) -> Finding | None:
    """Rows or columns whose every telling sample is an outlier, and that hold all outliers."""
    telling = outliers | case.telling
    for axis in range(len(case.shape)) if len(case.shape) >= MATRIX_AXES else ():
        index = case.index[axis]
        bad = np.unique(index[outliers])
        pure = not np.any(telling & ~outliers & np.isin(index, bad))
        counts = [np.count_nonzero(outliers & (index == line)) for line in bad]
        known = case.shape[axis] if case.lines else np.unique(index[telling]).size
        few = 2 * bad.size <= known and not is_range(bad)
        if pure and min(counts) >= SAMPLES - 1 and few:
            return _said_of_lines(case, outliers, axis, bad)
    return None


def _said_of_lines(case: Case, outliers: Mask, axis: int, bad: Indices) -> Finding:
    kind = (
        {0: "row", 1: "column"}[axis] if len(case.shape) == MATRIX_AXES else f"axis {axis}, index"
    )
    place = kind if len(case.shape) == MATRIX_AXES else f"axis{axis}"
    numbers = ", ".join(map(str, bad[:LINES_LISTED]))
    numbers += ", ..." if bad.size > LINES_LISTED else ""
    kinds = f"axis {axis}, indices" if len(case.shape) != MATRIX_AXES else f"{kind}s"
    what = f"{kind} {numbers}" if bad.size == 1 else f"{kinds} {numbers}"
    where = {place: float(bad[0])} if bad.size == 1 else {f"{place}s": float(bad.size)}
    slots = [
        "..." if bad.size > 1 else str(bad[0]) if d == axis else ":" for d in range(len(case.shape))
    ]
    name = f"{case.name}[{', '.join(slots)}]: " if bad.size == 1 else ""
    cause = _cause(case.take(outliers))
    if cause is None:
        said = f"{what} {'is' if bad.size == 1 else 'are'} wrong, without a law"
        return Finding((f"wrong-{place}",), where, name + said)
    if cause.words == ("zero",):
        said = f"{what} {'is' if bad.size == 1 else 'are'} zero"
    else:
        said = f"in {what} {cause.clause}"
    return Finding(cause.words, where | cause.constants, name + said, 1 + cause.complexity)


def _entries(case: Case, outliers: Mask, rest_is_right: bool) -> Finding | None:
    told = _told_by_theta(case, outliers) if rest_is_right else Told("", None)
    some = case.take(outliers)
    count, cause = some.k, _cause(some)
    # Many that are scattered are a finding only where they have a law in common, or a place.
    if count > max(1, MOST_OUTLIERS * case.population) and cause is None and not told.said:
        return None
    listed = ", ".join(some.entry(k) for k in range(min(count, LISTED)))
    listed += ", ..." if count > LISTED else ""
    said = f"{case.counted(count)} ({listed}){told.said}"
    where = {"entries": float(count)}
    if cause is None and count <= FEW_ENTRIES:
        cause = factor_of_few(some) or flipped(some)
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


def _cause(some: Case) -> Finding | None:
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
