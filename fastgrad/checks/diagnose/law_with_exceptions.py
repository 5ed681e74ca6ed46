"""A law for most of a block, and a few entries, rows or columns that disobey it."""

from collections.abc import Iterator

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
from fastgrad.checks.diagnose.cause_of_exceptions import cause_of
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.fitting import thinned
from fastgrad.checks.diagnose.linear import SAMPLES, Linear, linear_laws
from fastgrad.checks.diagnose.linear_words import finding
from fastgrad.checks.diagnose.rearrange import rearrangements
from fastgrad.checks.diagnose.wrong_entries import wrong_entries

OBEYING = 3
"""Samples wanted, for each coefficient and one more, that obey the law of the rest."""
TRIES = {1: 12, 2: 30}
"""Fits to as many samples as coefficients that look for the law of the rest: with three quarters of
the samples obeying it, none of them is clean with probability 1e-7 and 1e-11."""
PROBE = 128
"""Samples on which the law of the rest is looked for."""
LINES_LISTED = 24


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
    if np.count_nonzero(case.telling) < OBEYING:
        return
    few = thinned(case, PROBE)
    for law in linear_laws(few, tuple(rearrangements(few)), most=2):
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
        return said_of_box(case, place, where, cause_of(case.take(outliers)))
    blocks = in_blocks(case, outliers) if rest_is_right else None
    if blocks is not None:
        return said_of_blocks(case, *blocks, cause_of(case.take(outliers)))
    return wrong_entries(case, outliers, rest_is_right)


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
    cause = cause_of(case.take(outliers))
    if cause is None:
        said = f"{what} {'is' if bad.size == 1 else 'are'} wrong, without a law"
        return Finding((f"wrong-{place}",), where, name + said)
    if cause.words == ("zero",):
        said = f"{what} {'is' if bad.size == 1 else 'are'} zero"
    else:
        said = f"in {what} {cause.clause}"
    return Finding(cause.words, where | cause.constants, name + said, 1 + cause.complexity)
