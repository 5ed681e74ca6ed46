"""Blocks on a space: the same gradient under another convention, and entries that a projection smears.

Every sample is compared with the same differences: it costs no evaluation of the loss.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose.case import SHOWS, Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.numerics.norms import norm

FEWEST_SPACE = 2
"""Samples that a reading must explain which are neither zero nor as they were."""
LIKELY = 6
"""Entries tried as the one that was smeared: those with the largest residuals."""
DIRECTIONS = 3
"""Directions of the space for each entry that is fitted: as many entries as directions fit anything."""
MOST_SMEARED = 3
"""Entries wrong of a gradient whose others are right."""


def read_otherwise(case: Case) -> Finding | None:
    """The gradient is right under another convention of its space."""
    assert case.chart is not None
    told = case.telling | case.wrong
    if np.count_nonzero(told) < min(FEWEST_SPACE, case.k):
        return None
    for reading in case.chart.readings(case.analytic):
        values = reading.values[case.positions]
        size = max(float(np.abs(case.a).max(initial=0.0)), float(np.abs(values).max(initial=0.0)))
        slack = case.bar + case.unit * (np.abs(values) + size)
        if np.all(np.abs(values - case.D) <= slack):
            return Finding((reading.word,), dict(reading.constants), reading.clause)
    return None


def smeared(case: Case) -> Finding | None:
    """Some single entries are wrong by a number, and a projection spread that over all.

    The residual is a sum of c project(e_k), fitted entry by entry, by orthogonal matching pursuit.
    """
    assert case.chart is not None
    if case.chart.dimension is None or not case.complete:
        return None
    most = min(MOST_SMEARED, int(case.chart.dimension) // DIRECTIONS)
    r = case.a - case.D
    slack = case.bar + case.unit * np.abs(case.a).max(initial=0.0)
    columns: list[Floats] = []
    chosen: list[int] = []
    left = r
    for _ in range(most):
        best = _next(case, left, chosen)
        if best is None:
            return None
        chosen.append(best[0])
        columns.append(best[1])
        A = np.array(columns).T
        weights: Floats = np.asarray(np.linalg.lstsq(A, r, rcond=None)[0], np.float64)
        left = r - A @ weights
        if np.all(np.abs(left) <= slack):
            return _named(case, chosen, weights)
    return None


def _next(case: Case, left: Floats, chosen: list[int]) -> tuple[int, Floats] | None:
    """The entry whose projection takes most of what is left, and that projection."""
    assert case.chart is not None
    found: tuple[float, int, Floats] | None = None
    for k in np.argsort(-np.abs(left))[:LIKELY].tolist():
        e = np.zeros(case.k)
        e[k] = 1.0
        column = case.chart.projected(e)
        if column is None:
            return None
        length = norm(column)
        if k in chosen or length == 0:
            continue
        taken = abs(float(column @ left)) / length
        if found is None or taken > found[0]:
            found = taken, k, column
    return None if found is None else (found[1], found[2])


def _named(case: Case, chosen: list[int], weights: Floats) -> Finding | None:
    spread = np.count_nonzero(case.wrong) > len(chosen)
    clear = case.bar.max() * SHOWS
    if not spread or np.any(np.abs(weights) <= clear):
        return None
    alone = replace(case, positions=np.arange(case.k))
    wrong = [(alone.entry(k), w) for k, w in zip(chosen, weights.tolist(), strict=True)]
    constants = {"entries": float(len(chosen)), "largest": max(weights.tolist(), key=abs)}
    return Finding(("smeared",), constants, said_of_smeared(wrong))


def said_of_smeared(wrong: Sequence[tuple[str, float]]) -> str:
    """What is said of entries, each with its error, of a gradient before it was projected."""
    *first, last = [f"{name} by {error:.6g}" for name, error in wrong]
    said = f"{', '.join(first)} and {last}" if first else last
    entries = "one entry" if len(wrong) == 1 else f"{len(wrong)} entries"
    verb = "is" if len(wrong) == 1 else "are"
    return (
        f"{entries} of the gradient before it was projected {verb} wrong, {said}: the projection "
        "spreads that over all"
    )
