"""Bars that say too little: what a bar is worth beside the scale of its entry, and longer steps.

A bar is worth something beside the difference itself, the size of its block, or what the entry does to
the loss a little away.
"""

import numpy as np

from fastgrad.arrays import Indices, Mask
from fastgrad.checks.rules import USEFUL_BAR, USEFUL_BAR_OF_ZERO, Verdict
from fastgrad.checks.stages.first_differences import BEND_SDS, lengthened
from fastgrad.checks.stages.refinement import refine
from fastgrad.checks.stages.scales import set_scales
from fastgrad.checks.stages.standing import Standing
from fastgrad.numerics.bars import NEGLIGIBLE, ROUNDING, WIDER
from fastgrad.numerics.quotients import Quotients

RESOLVED = 0.5
"""An entry in a unit of its own is told from zero by a bar up to this part of it."""
AWAY = 2.0**-3
"""How far off, in units, f is looked at to see what an entry can do whose gradient is zero."""
LONGEST_STEP = 2.0**-3
"""The longest step, in units of an entry of its own, that useless bars lead to: beyond it an entry that
does not rise above the noise may have turned."""
CLIMBS = 8
"""How often a step is lengthened by 8, at most: 2^24 times, as arrays of very small weights need."""


def is_untold(standing: Standing) -> Mask:
    """Whether the bar says too little of an entry that its difference agrees with."""
    agrees = standing.verdict == Verdict.AGREES
    told = _is_useful(standing)[0] & (standing.one_unit | _is_resolved(standing))
    return np.asarray(agrees & ~told)


def _is_useful(standing: Standing) -> tuple[Mask, Mask]:
    """Whether the bar is narrow beside the scale, or the block is zero; and whether that is zero."""
    a, D, bar, block = standing.a, standing.D, standing.bar, standing.block
    narrow = bar <= USEFUL_BAR * np.maximum(standing.scale, standing.typical)
    is_zero = np.maximum(np.abs(a), np.abs(D)) <= bar
    if not is_zero.any():
        return narrow, is_zero
    exact = (D == 0) & (a == 0)
    zero_block = np.bincount(block, ~is_zero, standing.blocks)[block] == 0
    exact_block = np.bincount(block, ~exact, standing.blocks)[block] == 0
    zero_scale = standing.overall or abs(standing.entries.loss.value) * NEGLIGIBLE
    useful = np.where(zero_block, exact_block | (bar <= USEFUL_BAR_OF_ZERO * zero_scale), narrow)
    return useful, zero_block


def _is_resolved(standing: Standing) -> Mask:
    """Whether the bar tells the entry from zero, or the entry is zero exactly."""
    size = np.maximum(np.abs(standing.a), np.abs(standing.D))
    return np.asarray((size == 0) | (standing.bar <= RESOLVED * size))


def climb_where_bars_are_useless(standing: Standing, untold: Mask) -> None:
    """Lengthen steps by 8 while noise dominates, for entries that their bars do not tell.

    Beside the noise of others a bar may look narrow: what is told is asked again each time.
    """
    done = ~np.isfinite(standing.D)
    still = np.zeros(standing.D.size, np.bool_)
    for _ in range(2 * CLIMBS):
        left = np.flatnonzero(untold & ~done)
        far = WIDER * standing.h[left] > LONGEST_STEP
        rises = np.abs(standing.D[left]) > standing.bar[left]
        left = left[standing.one_unit[left] | ~far | rises | still[left]]
        if left.size == 0 or (standing.left is not None and standing.left() <= 0):
            return
        known = standing.bar[left] - standing.rounding[left]
        wide, bar, better = lengthened(standing, left, standing.h[left], standing.D[left], known)
        done[left[~better]] = True
        still[left] = _is_still(standing, wide)
        left, wide, bar = left[better], wide.take(better), bar[better]
        standing.h[left], standing.D[left] = wide.h, wide.D
        standing.bar[left] = bar + standing.rounding[left]
        error, bar = np.abs(standing.a[left] - wide.D), standing.bar[left]
        within = error <= bar
        standing.verdict[left[within]] = Verdict.AGREES
        told = standing.verdict != Verdict.INCONCLUSIVE
        set_scales(standing, np.isfinite(standing.D) & told)
        beyond = ~within & standing.rule.refuses(error, bar, standing.scale[left])
        standing.verdict[left[beyond]] = Verdict.INCONCLUSIVE
        if beyond.any():
            done[left[beyond]] = True
            refine(standing, left[beyond], wide.take(beyond))
        untold = is_untold(standing)


def _is_still(standing: Standing, quotients: Quotients) -> Mask:
    """Whether f is what it is at theta on both sides, within its noise."""
    base, sigma = standing.entries.loss.base, quotients.sigma
    change = np.fmax(np.abs(quotients.above - base), np.abs(quotients.below - base))
    return np.asarray(change <= BEND_SDS * sigma)


def refuse_useless_bars(standing: Standing) -> None:
    """An entry agrees only if its bar is narrow beside the scale, or its block is zero."""
    useful, zero_block = _is_useful(standing)
    s, bar = standing.s, standing.bar
    for k in np.flatnonzero(_is_refused(standing, useful)):
        standing.verdict[k] = Verdict.INCONCLUSIVE
        own = max(standing.scale[k], standing.typical[k])
        scale = standing.overall if zero_block[k] else own
        standing.notes[int(k)] = (
            f"the error bar {bar[k] / s[k]:.2g} is too wide beside a gradient of {scale / s[k]:.2g}"
        )


def _is_refused(standing: Standing, useful: Mask) -> Mask:
    """Whether an entry that agrees does so only because its bar is wide."""
    a, D, bar, known_rms = standing.a, standing.D, standing.bar, standing.known_rms
    largest = np.abs(a).max(initial=0.0 if known_rms is None else known_rms.max())
    means_zero = np.abs(a) <= ROUNDING * largest
    told = useful & (standing.one_unit | means_zero | _is_resolved(standing))
    refused = np.flatnonzero((standing.verdict == Verdict.AGREES) & ~told)
    is_zero = np.maximum(np.abs(a[refused]), np.abs(D[refused])) <= bar[refused]
    left = np.zeros(D.size, np.bool_)
    left[refused[~is_zero]] = True
    left[refused[is_zero]] = _is_wide_beside_effect(standing, refused[is_zero])
    return left


def _is_wide_beside_effect(standing: Standing, which: Indices) -> Mask:
    """Whether the bars are wide beside what the entries do to f an eighth of their unit away."""
    if which.size == 0 or (standing.left is not None and standing.left() <= 0):
        return np.ones(which.size, np.bool_)
    away = standing.at(which, np.full(which.size, AWAY))
    base = standing.entries.loss.base
    effect = np.fmax(np.abs(away.above - base), np.abs(away.below - base)) / AWAY
    return np.asarray(~(standing.bar[which] <= USEFUL_BAR * effect))
