"""The second stage: two evaluations more at 8 times the step, by which truncation is taken out.

Where it cannot be, the entry gets a step of its own and starts again.
"""

import time

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.referee import NO_TIME
from fastgrad.checks.rules import Verdict
from fastgrad.checks.stages.finer_steps import settle
from fastgrad.checks.stages.scales import set_scales
from fastgrad.checks.stages.standing import Standing
from fastgrad.differences.domain import finite_sides, nearest_of
from fastgrad.numerics.bars import CORRECTED, UNCERTAIN, WIDER
from fastgrad.numerics.quotients import Quotients
from fastgrad.numerics.two_steps import truncation

LATER_STAGES = 3.0
"""What the second and third stage cost an entry, in costs of the first; with a step of its own, up
to `OWN_STEP` times as much."""
OWN_STEP = 4.0
DESCENTS = 2
"""How often a step is shortened by 8 where truncation is too large to be taken out."""
BATCH = 0.1
"""Part of the time left that is spent before the clock is looked at again."""


def look_again(standing: Standing, which: Indices, near: Quotients, seconds: float) -> None:
    """Refine entries that the first stage left open, the worst first where time is short.

    Parameters
    ----------
    near : Quotients
        Their differences.
    seconds : float
        What these took an entry.
    """
    at_edge = _lie_at_an_edge(standing, which, near)
    if at_edge.any():
        which, near = which[~at_edge], near.take(~at_edge)
    if which.size == 0:
        return
    left, each = standing.left, LATER_STAGES * seconds
    if left is None or OWN_STEP * each * which.size <= left():
        refine(standing, which, near)
        return
    excess = np.nan_to_num(np.abs(standing.a[which] - near.D) / near.bar, nan=np.inf)
    order = np.argsort(-excess, kind="stable")
    one_look = seconds  # the worst is looked at if two evaluations fit
    while order.size and left() > min(each, one_look):
        one_look = np.inf
        count = max(1, int(BATCH * left() / each))
        batch, order = np.sort(order[:count]), order[count:]
        began = time.perf_counter()
        refine(standing, which[batch], near.take(batch))
        each = (time.perf_counter() - began) / batch.size
    standing.unfinished = order.size
    for k in which[order].tolist():
        standing.notes[k] = NO_TIME


def _lie_at_an_edge(standing: Standing, which: Indices, near: Quotients) -> Mask:
    """Whether f is not finite right beside an entry, on either side: no shorter step helps there."""
    at_edge = ~np.isfinite(near.above + near.below)
    if not at_edge.any() or standing.entries.loss.run.structured:
        return np.zeros(which.size, np.bool_)
    loss, indices = standing.entries.loss, standing.entries.indices[which[at_edge]]
    nearest = nearest_of(loss.theta, loss.units.entry, indices)
    below, above = finite_sides(loss.values, indices, nearest)
    outside = ~(below & above)
    at_edge[at_edge] = outside
    sides = np.where(below, 1.0, -1.0) * nearest
    for k, side in zip(which[at_edge].tolist(), sides[outside], strict=True):
        standing.notes[k] = f"the loss is not finite at {side:+.2g}"
    return at_edge


def refine(standing: Standing, which: Indices, near: Quotients) -> None:
    """Judge some entries, shape (k,), by differences beside those at steps ``near.h``."""
    a, rounding = standing.a[which], standing.rounding[which]
    wide, t = _read_truncation(standing, which, near)
    _descend(standing, which, (near, wide), t)
    lost = ~_converged(near, t)
    if lost.any():
        s = standing.s[which[lost]]
        own = standing.entries.adapted_steps(which[lost], near.h[lost] * s) / s
        near.put(lost, standing.at(which[lost], own))
        again, t[lost] = _read_truncation(standing, which[lost], near.take(lost))
        wide.put(lost, again)
    # A step of its own may agree as it is; t would only bring in a kink within 8 of them.
    plain = lost & (np.abs(a - near.D) <= near.bar + rounding)
    t[plain] = 0.0
    converged = _converged(near, t)
    corrected = np.where(converged, t, 0.0)
    D = near.D - corrected
    bar = np.where(
        converged,
        CORRECTED * near.bar + UNCERTAIN * np.abs(corrected) + rounding,
        near.bar + np.abs(t) + rounding,
    )
    standing.h[which], standing.D[which], standing.bar[which] = near.h, D, bar
    sound = np.ones(standing.D.size, np.bool_)
    sound[which] = converged
    set_scales(standing, sound)
    error = np.abs(a - D)
    agrees = converged & (error <= bar)
    agrees |= standing.rule.tolerates(error, bar, standing.scale[which])
    standing.verdict[which[agrees]] = Verdict.AGREES
    open_ = ~agrees
    if open_.any():
        settle(standing, which[open_], (near.take(open_), wide.take(open_)), converged[open_])


def _read_truncation(
    standing: Standing, which: Indices, near: Quotients
) -> tuple[Quotients, Floats]:
    wide = standing.at(which, WIDER * near.h)
    t = truncation(near.D, wide.D)
    t[~np.isfinite(t)] = np.inf
    return wide, t


def _descend(
    standing: Standing, which: Indices, known: tuple[Quotients, Quotients], t: Floats
) -> None:
    """Shorten steps by 8 until truncation can be read off, where that is a matter of few of them.

    Of a smooth f it falls by 64 a time, and noise grows by 8: that many parts of the bar it may be.
    """
    near, wide = known
    for left in range(DESCENTS, 0, -1):
        most = (WIDER**3) ** left / UNCERTAIN
        lost = ~_converged(near, t)
        lost &= ~(np.abs(t) > most * near.bar) | ~np.isfinite(t)
        if not lost.any():
            return
        before = near.take(lost)
        nearer = standing.at(which[lost], before.h / WIDER)
        change = truncation(nearer.D, before.D)
        change[~np.isfinite(change)] = np.inf
        wide.put(lost, before)
        near.put(lost, nearer)
        t[lost] = change


def _converged(near: Quotients, t: Floats) -> Mask:
    return np.isfinite(t) & (UNCERTAIN * np.abs(t) <= near.bar)
