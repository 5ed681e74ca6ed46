"""What is said where no law holds: a symmetry that is broken, about what factor, how far off."""

from dataclasses import replace

import numpy as np

from fastgrad.checks.diagnose.case import SHOWS, Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.invariance import invariance
from fastgrad.checks.diagnose.linear import Linear, Shape
from fastgrad.checks.diagnose.named_constants import beside_one
from fastgrad.checks.diagnose.rearrange import identity
from fastgrad.numerics.norms import norm, rms

CLEAR = 100.0
"""No law is named unless half of the wrong samples are wrong by this many bars."""
ROUGH_PARTS = (1e-4, 1e-3, 1e-2, 3e-2)
"""What a factor that does not hold exactly may be off by, in parts of the gradient."""
ROUGH_SAMPLES = 6
TYPICAL = 0.3
"""Part of the rms below which errors are taken for absolute ones."""


def without_a_law(case: Case, wide: Case, found: Finding | None) -> Finding:
    """What is said where no law holds, or of some entries only that they are wrong.

    Parameters
    ----------
    wide : Case
        The same, where what is within rtol is right.
    found : Finding or None
        Which entries are wrong, if that is known.
    """
    hints = found is not None
    broken = invariance(wide, hints) if wide.complete and wide.clear >= CLEAR else None
    if found is not None and broken is not None:
        words, constants = broken.words + found.words, broken.constants | found.constants
        return Finding(words, constants, f"{found.clause}; {broken.clause}", found.complexity + 1)
    found = found or broken or _roughly(case)
    if found is not None:
        return found
    if case.clear < CLEAR:
        return unexplained(case, "its error is too near the error bars to name a law")
    return unexplained(case)


def _roughly(case: Case) -> Finding | None:
    """One factor that holds to a part of a per cent or a few, where no law holds exactly."""
    typical = TYPICAL * rms(case.D)
    for part in ROUGH_PARTS:
        size = np.maximum(np.maximum(np.abs(case.D), np.abs(case.a)), typical)
        wide = replace(case, bar=np.maximum(case.bar, part * size))
        law = Linear(wide, identity(wide), Shape(True, ()))
        if np.count_nonzero(wide.telling) < ROUGH_SAMPLES:
            continue
        fit = law.fit()
        if fit is None or not fit.holds.all() or not fit.b[0]:
            continue
        factor = float(1 / fit.b[0])
        if abs(factor - 1) <= SHOWS * part * max(1.0, abs(factor)):
            return None
        left = float(np.max(np.abs(fit.residual) / np.maximum(size, np.abs(case.D))))
        sign = abs(factor + 1) <= part
        text = "-1" if sign else f"{factor:.{max(2, -int(np.floor(np.log10(part))))}g}"
        clause = (
            f"the analytic gradient is about {text} times the numerical one, to {100 * left:.2g}%: an "
            "approximation, or one cause beside a second"
        )
        words = ("sign",) if sign else ("scale",)
        return Finding(words, {"factor": -1.0 if sign else factor, "within": left}, clause)
    return None


def unexplained(case: Case, why: str = "no law explains its error") -> Finding:
    """How far off the block is, where no law is known."""
    a, D = case.a, case.D
    norms = norm(a), norm(D)
    cosine = float((a / norms[0]) @ (D / norms[1])) if min(norms) else 0.0
    ratio = norms[0] / norms[1] if norms[1] else float("inf")
    constants = {"cosine": cosine, "norm_ratio": ratio}
    if case.k == 1 and D[0] != 0:
        clause = (
            f"the analytic gradient is {a[0]:.6g} where the numerical one is {D[0]:.6g}: "
            f"{a[0] / D[0]:.6g} times, {a[0] - D[0]:+.6g}"
        )
        return Finding(("unexplained",), constants, clause)
    wrong = case.counted(int(np.count_nonzero(case.wrong)))
    hint = invariance(case, hints=True) if case.complete else None
    more = "" if hint is None else f"; {hint.clause}"
    clause = (
        f"{why}: {wrong}, the cosine with the numerical gradient is {beside_one(cosine, 6)} and the "
        f"norm {beside_one(ratio)} times its norm{_flipped(case)}{more}"
    )
    return Finding(("unexplained",), constants, clause)


def _flipped(case: Case) -> str:
    """Which entries have the wrong sign, where nothing else is known: an aside."""
    known = case.wrong & case.telling & (case.bar < np.abs(case.D) / CLEAR**2)
    flipped = np.flatnonzero(known & (np.abs(case.a + case.D) <= SHOWS * case.bar))
    if not flipped.size or 2 * flipped.size > case.k:
        return ""
    listed = ", ".join(case.entry(int(k)) for k in flipped[:4])
    listed += ", ..." if flipped.size > 4 else ""
    return f"; {listed} {'has' if flipped.size == 1 else 'have'} the wrong sign exactly"
