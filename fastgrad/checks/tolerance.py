"""Errors of one small size: at which rtol a gradient would agree, and what leaves such errors.

A loss and a gradient that stop an inner iteration at a tolerance are smooth functions of their own: no
step tells them from a wrong derivative. What tells is the error: small, spread over all entries, without
a law, and no further from the derivative of a function than it is large.
"""

from dataclasses import replace

import numpy as np

from fastgrad.checks.entry_checks import smallest_rtol
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.findings import Diagnosis
from fastgrad.numerics.norms import rms

SMALL_ERROR = 0.02
"""Errors up to this part of the gradient, by norms, may be those of an approximation."""
SPREAD = 0.5
"""They are everywhere if more than this part of the entries are beyond their bars."""
ALIKE = 0.05
"""One size: the largest error is at most this part of the rms of the block."""
TYPICAL = 1e-3
"""And of one size: half of them are at least this part of the largest."""
FEWEST = 3
"""Entries of which something is everywhere: smaller blocks are looked at with all others."""
LAW = "tolerance"


def is_approximate(judged: Judged, b: int | None = None) -> bool:
    """Whether the errors, of a block or of all entries, are small and nearly everywhere."""
    inside = np.isfinite(judged.analytic) & np.isfinite(judged.numeric)
    if b is not None and np.count_nonzero(judged.block == b) >= FEWEST:
        inside &= judged.block == b
    error, unit = judged.residual[inside], judged.scales.unit[inside]
    effect = np.abs(judged.numeric[inside]) * unit
    if effect.size == 0 or not effect.any():
        return False
    off = np.mean(error > judged.bar[inside])
    typical = rms(effect)
    small = rms(error * unit) <= SMALL_ERROR * typical
    largest = float((error * unit).max())
    one_size = float(np.median(error * unit)) >= TYPICAL * largest and largest <= ALIKE * typical
    return bool(off > SPREAD and small and one_size)


def with_tolerances(
    diagnoses: tuple[Diagnosis, ...], outcome: Outcome, names: list[str]
) -> tuple[Diagnosis, ...]:
    """The diagnoses, those of blocks without a law but with errors of one small size explained."""
    judged = outcome.judged
    if judged is None:
        return diagnoses
    return tuple(
        _of_a_tolerance(d, judged, names.index(d.block))
        if d.law == "unexplained" and is_approximate(judged, names.index(d.block))
        else d
        for d in diagnoses
    )


def _of_a_tolerance(diagnosis: Diagnosis, judged: Judged, b: int) -> Diagnosis:
    inside = judged.block == b
    unit = judged.scales.unit[inside]
    effect = np.abs(judged.numeric[inside]) * unit
    size = float((judged.residual[inside] * unit).max() / rms(effect))
    rtol = smallest_rtol(judged)
    would = "" if rtol is None else f" It would agree with rtol={rtol:g}."
    return replace(
        diagnosis,
        law=LAW,
        constants={"size": size},
        sentence=(
            f"{diagnosis.block}: errors of one small size, up to {size:.2g} of its rms, and no law: "
            "what an inner iteration leaves that stops at a tolerance (tighten it, in the loss and in "
            f"the gradient, and look again), or another approximation than the loss computes.{would}"
        ),
    )
