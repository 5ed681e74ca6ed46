"""The first stage: two evaluations an entry, in a unit that suits it. What agrees is done."""

from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.rules import Verdict
from fastgrad.checks.stages.scales import set_scales
from fastgrad.checks.stages.standing import Standing
from fastgrad.differences.unknown_units import found_units
from fastgrad.numerics.bars import WIDER
from fastgrad.numerics.quotients import Quotients
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import finest_steps

BEND_SDS = 16.0
"""The noise of a second difference: six of its sds, 6 sqrt(6)."""
BORROWED = 2.0
"""An entry so many times smaller than its unit has it from its block."""
BENT = 2.0**-6
"""f is no straight line over the steps if its second difference is beyond this part of the first."""
BENT_TOO_FAR = 2.0**-4
"""The same for steps that are lengthened: what bends by a part r there is off by about r^2."""
FLAT = 0.5
"""f is flat at both steps if its second difference at an eighth of them is beyond this part of what it
is there: a kink at x leaves 1/8 of it, a bend 1/64."""
PART_WITHIN_RTOL, NUMBER_WITHIN_RTOL = 0.125, 8
"""More entries than this part, and so many, that agree at the first step within rtol and not in their
bars show that the gradient has no more digits: no second look at each would give it any."""


def first_stage(standing: Standing) -> None:
    """Judge entries by their first differences, taken anew for those whose step does not suit them."""
    entries, first = standing.entries, standing.first
    # What is known was asked at a glance, and units with it.
    if entries.loss.units.unknown is not None and entries.known is None:
        _find_unknown_units(standing)
    second = first.above - 2 * entries.loss.base + first.below
    standing.second = second / first.h**2
    standing.second_bar = BEND_SDS * first.sigma / first.h**2
    _leave_borrowed_units(standing)
    _leave_plateaus(standing)
    error = np.abs(standing.a - standing.D)
    agrees = error <= standing.bar
    loose = ~agrees & standing.rule.tolerates(error, standing.bar, np.abs(standing.D))
    if np.count_nonzero(loose) > max(NUMBER_WITHIN_RTOL, PART_WITHIN_RTOL * error.size):
        agrees |= loose
    set_scales(standing, agrees if agrees.any() else np.isfinite(standing.D))
    agrees |= standing.rule.tolerates(error, standing.bar, standing.scale)
    standing.verdict[agrees] = Verdict.AGREES


def _find_unknown_units(standing: Standing) -> None:
    """Find the units that were but guessed, and difference those entries anew in them."""
    first, s = standing.first, standing.s
    agrees = np.abs(standing.a - standing.D) <= first.bar
    absolute = replace(first, h=first.h * s, D=first.D / s, bar=first.bar / s)
    which, found, untold = found_units(standing.entries, absolute, agrees, standing.a / s)
    standing.measure_in(which, found, untold)
    if which.size:
        again = standing.at(which, np.full(which.size, CENTRAL[2].step))
        _replace(standing, which, again, again.bar)


def _leave_borrowed_units(standing: Standing) -> None:
    """Difference entries anew in their own size where f is not straight over their block's.

    An entry that is small beside its block is either so by accident, and then f is smooth over
    the block's unit, or it is measured in another one.
    """
    entries, first = standing.entries, standing.first
    x = np.abs(entries.x)
    suspects = np.flatnonzero((x < standing.s / BORROWED) & (x > 0))
    if suspects.size == 0:
        return
    straight = _bend(standing, first) <= BENT * np.abs(first.above - first.below)
    odd = suspects[~straight[suspects]]
    if odd.size:
        own = entries.loss.units.own(entries.loss.theta, entries.indices[odd])
        again = standing.at(odd, first.h[odd] * own / standing.s[odd])
        _replace(standing, odd, again, again.bar)


def _leave_plateaus(standing: Standing) -> None:
    """Difference entries anew, from the smallest steps up, where f is flat at both steps.

    There the difference is zero and says nothing: f at theta itself is another value.
    """
    first = standing.first
    bend = _bend(standing, first)
    odd = np.flatnonzero((np.abs(first.D) <= first.bar) & (bend > 0))
    if odd.size == 0:
        return
    finer = standing.at(odd, first.h[odd] / WIDER)
    odd = odd[_bend(standing, finer) > FLAT * bend[odd]]
    if odd.size == 0:
        return
    smallest = finest_steps(standing.entries.x[odd]) / standing.s[odd]
    near = standing.at(odd, np.minimum(smallest, first.h[odd]))
    bar, open_ = near.bar.copy(), np.arange(odd.size)
    while (open_ := open_[WIDER * near.h[open_] < first.h[odd[open_]]]).size:
        wide, wider_bar, better = lengthened(
            standing, odd[open_], near.h[open_], near.D[open_], bar[open_]
        )
        open_ = open_[better]
        into = np.zeros(odd.size, np.bool_)
        into[open_] = True
        near.put(into, wide.take(better))
        bar[open_] = wider_bar[better]
    _replace(standing, odd, near, bar)


def _replace(standing: Standing, which: Indices, again: Quotients, bar: Floats) -> None:
    """Take other differences for some entries."""
    into = np.zeros(standing.D.size, np.bool_)
    into[which] = True
    standing.first.put(into, again)
    standing.h[which], standing.D[which] = again.h, again.D
    standing.bar[which] = bar + standing.rounding[which]


def lengthened(
    standing: Standing, which: Indices, h: Floats, D: Floats, bar: Floats
) -> tuple[Quotients, Floats, Mask]:
    """Differences at 8 times the steps h, their bars, and where these are narrower and hold.

    They hold where f is nearly straight. What the wider step changed may be truncation, beside
    noise: it stays in the bar, as does what the bend tells of it.
    """
    wide = standing.at(which, WIDER * h)
    change, rise = np.abs(wide.D - D), np.abs(wide.above - wide.below)
    bend = _bend(standing, wide)
    holds = (change <= wide.bar + bar) & (bend <= BENT_TOO_FAR * rise)
    part = np.divide(bend, rise, out=np.zeros_like(bend), where=rise > 0)
    wider_bar = wide.bar + change + part**2 * np.abs(wide.D)
    return wide, wider_bar, holds & (wider_bar < bar)


def _bend(standing: Standing, quotients: Quotients) -> Floats:
    """The second difference beyond its noise, as it is above 0."""
    bend = np.abs(quotients.above - 2 * standing.entries.loss.base + quotients.below)
    return np.maximum(bend - BEND_SDS * quotients.sigma, 0.0)
