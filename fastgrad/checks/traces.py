"""Traces: entries so near zero that steps of their size drown in the rounding of the loss.

What a trace does to the loss is nothing beside what others do, so its bar passes for narrow, and any
claim for zero. On the far side of it, away from zero, steps may be as large as its neighbours are: where
they show a steady slope, a claim that is another one is not called right. It is not called wrong either:
what f does at the size of the trace itself is not seen.
"""

from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.outcome import Judged
from fastgrad.checks.rules import Verdict
from fastgrad.differences.entries import Entries
from fastgrad.numerics.bars import WIDER, noise_bar

HIDDEN = 0.5
"""A trace is hidden where its bar is beyond this part of claim and difference."""
CLEAR = 32.0
"""Bars that a slope rises above the noise by, to be one."""
STEADY = 0.05
"""Part of itself by which the slope over steps 8 times as long may differ."""
CLIMB = WIDER**2


def hear_traces(entries: Entries, judged: Judged) -> Judged:
    """What was judged, less the agreements of traces with claims that their far side contradicts."""
    left = _hidden(entries, judged)
    if left.size == 0:
        return judged
    x, unit = entries.x, entries.units
    verdict, notes = judged.verdict.copy(), dict(judged.notes)
    D, bar, step = judged.numeric.copy(), judged.bar.copy(), judged.differences.step.copy()
    h = CLIMB * unit
    widest = float(np.max(unit)) * WIDER
    while left.size and (h[left] < widest).any():
        left = left[h[left] < widest]
        slope, noise = _outward(entries, left, h[left])
        again, more = _outward(entries, left, WIDER * h[left])
        steady = np.abs(again - slope) <= STEADY * np.abs(slope) + noise + more
        bars = dict(zip(left, noise, strict=True))
        shown = (np.abs(slope) > CLEAR * noise) & steady
        for k, found, wide in zip(left[shown], slope[shown], again[shown], strict=True):
            a, off = judged.analytic[k], abs(wide - found) + bars[k]
            if abs(a - found) <= off + STEADY * abs(found):
                D[k], bar[k], step[k] = found, max(off, abs(a - found)), h[k]
                continue
            verdict[k] = Verdict.INCONCLUSIVE
            notes[int(k)] = (
                f"over {h[k]:.1g} away from zero the slope is {found:.6g}, and at {abs(x[k]):.1g} "
                "itself rounding hides it"
            )
        left = left[~shown]
        h = h * CLIMB
    differences = replace(judged.differences, D=D, bar=bar, step=step)
    return replace(judged, verdict=verdict, notes=notes, differences=differences)


def _hidden(entries: Entries, judged: Judged) -> Indices:
    """Entries that agree, though claim and difference lie within bars that tell neither from zero."""
    one_unit = entries.loss.units.one_unit
    if one_unit.all():
        return np.zeros(0, np.intp)
    alone = ~one_unit[judged.block]
    size = np.maximum(np.abs(judged.analytic), np.abs(judged.numeric))
    hidden = (judged.verdict == Verdict.AGREES) & (judged.bar > HIDDEN * size)
    moved = (judged.analytic != 0) & (entries.x != 0)
    return np.flatnonzero(alone & hidden & moved)


def _outward(entries: Entries, which: Indices, h: Floats) -> tuple[Floats, Floats]:
    """One-sided slopes away from zero, and their noise."""
    found = entries.at(which, h)
    out = np.sign(entries.x[which])
    far = np.where(out > 0, found.above, found.below)
    with np.errstate(invalid="ignore", over="ignore"):
        slope = np.nan_to_num(out * (far - entries.loss.base) / h, nan=0.0, posinf=0.0, neginf=0.0)
    return slope, noise_bar(found.sigma, h)
