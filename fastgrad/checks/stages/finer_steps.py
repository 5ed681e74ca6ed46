"""The third stage: four evaluations more at h/2 and h/16, for what is not plainly smooth.

Is there a kink, and does every step that can tell say that the entry is wrong?
"""

import numpy as np

from fastgrad.arrays import Indices, Mask
from fastgrad.checks.rules import Verdict
from fastgrad.checks.stages.standing import Standing
from fastgrad.numerics.bars import WIDER
from fastgrad.numerics.kinks import KINK, Kinks, Slopes, find_kinks
from fastgrad.numerics.quotients import Quotients
from fastgrad.numerics.steps import finest_steps, power_of_two

FINER = (1 / 16, 1 / 2)
"""Steps of the third stage, in h."""
FAR_FINER = 2.0**-12
"""Part of the finest step at which a kink is looked at again."""
KINK_SDS = 64.0
"""Noise, in what the one-sided slopes differ by there, is a part 2^-4 or less of their difference."""
GONE = 0.25
"""A kink of which so little is left there is none of f at theta."""
MOST_KINKS = 64


def settle(
    standing: Standing, which: Indices, known: tuple[Quotients, Quotients], converged: Mask
) -> None:
    """Disagreement, kink, or nothing that differences can tell: what differences near and wide leave."""
    near, wide = known
    value, D, bar = standing.entries.loss.base, standing.D[which], standing.bar[which]
    error = np.abs(standing.a[which] - D)
    coarse = find_kinks(_slopes(known, value), near.sigma)
    smooth = (coarse.order > 1.5) & (coarse.order < 2.5)
    # A kink on the way to x + h biases D by half of S / h at most.
    bend = np.abs(near.above - 2 * value + near.below) / (2 * near.h)
    smooth &= error > bar + bend
    wrong = converged & standing.rule.refuses(error, bar, standing.scale[which])
    standing.verdict[which[wrong & smooth]] = Verdict.DISAGREES
    rest = ~(wrong & smooth)
    if not rest.any():
        return
    which, near, wide = which[rest], near.take(rest), wide.take(rest)
    finest, finer = (standing.at(which, part * near.h) for part in FINER)
    kinks = find_kinks(_slopes((finest, finer, near, wide), value), near.sigma)
    wrong = _settled_below(standing, which, (near, finer, finest), converged[rest])
    a, D, bar = standing.a[which], standing.D[which], standing.bar[which]
    rounding = standing.rounding[which]
    bends = np.abs(D - finest.D) > bar + finest.bar
    agrees = bends & (np.abs(a - finest.D) <= finest.bar + rounding)
    adopted = which[agrees]
    standing.h[adopted], standing.D[adopted] = finest.h[agrees], finest.D[agrees]
    standing.bar[adopted] = finest.bar[agrees] + rounding[agrees]
    wrong &= ~kinks.kink & ~kinks.jump
    wrong &= ~(coarse.order[rest] < KINK) | (np.abs(a - D) > bar + 2 * bend[rest])
    wrong &= np.abs(a - finer.D) >= np.abs(D - finer.D)
    for other in (finest, finer):
        wrong &= (np.abs(a - other.D) > other.bar) | (other.bar >= np.abs(a - D))
        # A kink so near that its order passes for 2 lies within twice the change of D.
        change = np.abs(D - other.D)
        wrong &= (change <= bar + other.bar) | (np.abs(a - D) > bar + 2 * change)
    smooths = _smooths_out(standing, which, finest, kinks)
    wrong &= ~smooths
    kinks.kink[smooths] = False
    inside = (kinks.low <= a) & (a <= kinks.high)
    verdict = np.select(
        [agrees, kinks.kink & inside, kinks.kink, wrong],
        [Verdict.AGREES, Verdict.KINK_VALID, Verdict.KINK_OUTSIDE, Verdict.DISAGREES],
        Verdict.INCONCLUSIVE,
    )
    standing.verdict[which] = verdict
    for k in np.flatnonzero(verdict >= Verdict.INCONCLUSIVE).tolist():
        standing.notes[int(which[k])] = _note(standing, which, near, kinks, k)


def _slopes(quotients: tuple[Quotients, ...], value: float) -> Slopes:
    steps, above, below = (
        np.stack([getattr(q, name) for q in quotients], axis=1) for name in ("h", "above", "below")
    )
    return Slopes.of(steps, above, below, value)


def _settled_below(
    standing: Standing,
    which: Indices,
    known: tuple[Quotients, Quotients, Quotients],
    converged: Mask,
) -> Mask:
    """Who may be called wrong: also entries where 8h crosses a kink, but all steps to h agree."""
    near, finer, finest = known
    alike = (np.abs(near.D - finer.D) <= near.bar + finer.bar) & (
        np.abs(near.D - finest.D) <= near.bar + finest.bar
    )
    taken = alike & ~converged
    standing.D[which[taken]] = near.D[taken]
    standing.bar[which[taken]] = (
        near.bar[taken] + finer.bar[taken] + standing.rounding[which[taken]]
    )
    error = np.abs(standing.a[which] - standing.D[which])
    refused = standing.rule.refuses(error, standing.bar[which], standing.scale[which])
    return (converged | taken) & refused


def _smooths_out(standing: Standing, which: Indices, finest: Quotients, kinks: Kinks) -> Mask:
    """Whether f is smooth at far finer steps where it has a kink at those that were taken.

    So it is where f turns within them, as beside an epoch. A kink where the entry is exactly zero is
    where kinks belong.
    """
    smooths = np.zeros(which.size, np.bool_)
    width, x = kinks.high - kinks.low, standing.entries.x[which]
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = KINK_SDS * finest.sigma / width
    h = np.maximum(seen, finest_steps(x) / standing.s[which])
    h = power_of_two(np.maximum(h, FAR_FINER * finest.h))
    odd = np.flatnonzero(kinks.kink & (x != 0) & (h <= finest.h / WIDER) & (width > 0))[:MOST_KINKS]
    if odd.size == 0 or (standing.left is not None and standing.left() <= 0):
        return smooths
    near = standing.at(which[odd], h[odd])
    base = standing.entries.loss.base
    apart = np.abs((near.above - base) + (near.below - base)) / near.h
    smooths[odd] = apart < GONE * width[odd]
    return smooths


def _note(standing: Standing, which: Indices, near: Quotients, kinks: Kinks, k: int) -> str:
    """Why the k-th of some entries is not plainly right or wrong."""
    s, entry = standing.s[which[k]], which[k]
    if standing.verdict[entry] != Verdict.INCONCLUSIVE:
        return f"a kink: subgradients from {kinks.low[k] / s:.6g} to {kinks.high[k] / s:.6g}"
    if not (np.isfinite(near.above[k]) and np.isfinite(near.below[k])):
        h = float(near.h[k] * s)
        return f"the loss is not finite at {-h if np.isfinite(near.above[k]) else h:+.2g}"
    if kinks.jump[k]:
        return "the loss jumps here"
    return "differences at other steps do not confirm the error"
