"""The units of entries that nothing tells: found from what the entries do to the loss.

An entry at zero of a vector of seconds and metres has a guess for its unit
(`fastgrad.evaluate.units`). Where a difference in that guess shows the entry to matter about as much
as others do, it is good enough; otherwise its unit is the step over which it changes f by as much as
the steepest of the others does over its own (`fastgrad.numerics.reach`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.differences.confined import Confined
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.numerics.quotients import Quotients
from fastgrad.numerics.reach import HINTED_AT, Reach, reaches
from fastgrad.numerics.steps import power_of_two

GOOD_ENOUGH = 2.0**10
"""A guess so many times too large or too small does: truncation and noise are read off."""
TOLD = 2.0**-10
"""A claim that agrees with a difference whose bar is this part of it lets a unit be too small."""
REACH = 2.0**-3
"""Part of the effect at which a unit is read off: over this part of it f has not turned yet."""
NOISES = 2.0**6
"""Changes of so many sds of the noise are no noise."""
UNSEEN = 2.0**-20
"""Part of the largest effect: what directions do not show of entries that are said to do less."""
SOUGHT = 32
"""The most entries that are looked at one by one before directions move them."""
FINER = 2.0**-10
LEAST_OVER_FINER, MOST_OVER_FINER = 2.0**-36, 2.0**-5
"""What a smooth f changes by over so much shorter a step, in parts of what it does over the whole: from
a third power, with a slack of 64, to a kink's first, with one of 32."""
LEAST_POWER, MOST_POWER = 0.5, 3.5
"""Powers of the step that changes grow with, from a slope's to a cube's."""
PILOTS = 3
"""Entries at which a screen looks at that."""
FEWEST = 3
"""So many entries that the guess does for, and none that it does not, show that it does for those too
that are said to do nothing, and do nothing."""


class Found(NamedTuple):
    """Positions of entries whose unit is another than was guessed, and of those still unknown."""

    which: Indices
    units: Floats
    """Powers of two."""
    untold: Indices
    """Along these f does not move, however far."""


def found_units(entries: Entries, first: Quotients, agrees: Mask, claims: Floats) -> Found:
    """The units of entries that were guessed wrong.

    Parameters
    ----------
    first : Quotients
        Differences of all entries.
    agrees : ndarray of bool, shape (m,)
        Which have a claim that agrees with them.
    claims : ndarray, shape (m,)
        What is claimed of their slopes: where f does not move, how far it would have to go.
    """
    loss = entries.loss
    unknown = loss.units.unknown
    nobody = np.zeros(0, np.intp)
    if unknown is None or isinstance(loss.run, Confined):
        return Found(nobody, np.zeros(0), nobody)
    noise = loss.measured.least if unknown.all() else loss.noise
    by_others = _effect(entries, first, ~unknown[entries.indices], noise)
    effect = by_others or abs(loss.value)
    if not effect:
        return Found(nobody, np.zeros(0), np.flatnonzero(unknown[entries.indices]))
    which, goal = np.flatnonzero(unknown[entries.indices]), REACH * effect
    near = first.take(which)
    with np.errstate(invalid="ignore", over="ignore"):
        changes = _changes(near.above, near.below, loss.base)
    guessed = _Guessed(which, near, changes, claims[which])
    left = guessed.take(~_guess_does(entries, guessed, agrees[which], goal, NOISES * noise))
    if left.which.size == 0:
        return Found(left.which, np.zeros(0), left.which)
    return _found_far(entries, left, goal, NOISES * noise, bool(by_others))


class _Guessed(NamedTuple):
    """Entries whose unit was guessed, by position, and what is known of them."""

    which: Indices
    near: Quotients
    """Their differences."""
    changes: Floats
    """What they change f by over the steps of these."""
    claims: Floats

    def take(self, some: Mask) -> "_Guessed":
        return _Guessed(
            self.which[some], self.near.take(some), self.changes[some], self.claims[some]
        )


def _guess_does(
    entries: Entries, guessed: _Guessed, agrees: Mask, goal: float, floor: float
) -> Mask:
    """Which entries the guess does for: their differences reach the goal over about the unit."""
    which, near, changes, claims = guessed
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        bend = np.abs(near.above - 2 * entries.loss.base + near.below)
        straight = np.abs(near.above - near.below) >= bend
        part = goal / changes
        reach = near.h * np.where(straight, part, np.sqrt(part)) / (REACH * entries.units[which])
        told = agrees & (near.bar <= TOLD * np.abs(near.D))
    moves = changes > floor
    does = moves & (reach >= 1 / GOOD_ENOUGH) & (told | (reach <= GOOD_ENOUGH))
    if np.count_nonzero(does) >= FEWEST and does[moves].all():
        does |= (changes == 0.0) & (claims == 0.0)
    return np.asarray(does)


def _found_far(
    entries: Entries, left: _Guessed, goal: float, floor: float, by_others: bool
) -> Found:
    """The units of entries that go further, or less far, for what they change f by to be the goal.

    Parameters
    ----------
    by_others : bool
        Whether it is what entries of known units change f by, and not the value of f.
    """
    loss, nobody = entries.loss, np.zeros(0, np.intp)
    which, near, changes, claims = left
    noise, zero = np.full(which.size, floor), claims == 0.0
    at_edge = ~(np.isfinite(near.above) & np.isfinite(near.below))
    sample = _sampler(loss, entries.indices[which], at_edge)
    with _far_off(loss):
        hints = np.where(zero, 0.0, goal / np.abs(claims))
        found = reaches(sample, near.h, changes, goal, noise, hints)
    grows = _keeps_growing(loss, entries.indices[which], found.step, goal, noise)
    which, zero = which[grows], zero[grows]
    far, still = found.step[grows], found.still[grows]
    known = np.isfinite(far)
    if not by_others and not _is_smooth(loss, entries.indices[which[known]], far[known], goal):
        return Found(nobody, np.zeros(0), nobody)
    step = np.where(known, far / REACH, still)
    said = known | (~zero & (step > 0))  # what does nothing may not be said to do something
    return Found(which[said], power_of_two(step[said]), which[~known])


def in_claimed_units(loss: Loss, claims: Floats) -> Loss:
    """The loss with units that were guessed made those that a claim makes plausible.

    Where directions are to move all entries at once there are no differences of single ones to go by. A
    claim that would have an entry do far more than others does not let it go so far; of a few that would
    have it do next to nothing it is looked at whether it does more over a step so much longer.

    Parameters
    ----------
    claims : ndarray, shape (n,)
        The slopes under test.
    """
    unknown, s = loss.units.unknown, loss.units.entry
    if unknown is None or loss.run.structured or isinstance(loss.run, Confined):
        return loss
    claimed = np.abs(claims) * s
    moved = np.isfinite(claimed) & (claimed > 0.0)
    if loss.free is not None:
        moved &= loss.free
    by_others = float(claimed.max(initial=0.0, where=moved & ~unknown))
    effect = by_others or abs(loss.value)
    if not effect:
        return loss
    units = s.copy()
    asked = unknown & moved
    far = np.flatnonzero(asked & (claimed > GOOD_ENOUGH * effect))
    units[far] = power_of_two(effect / np.abs(claims[far]))
    pilots = far[:PILOTS]
    if not by_others and not _is_smooth(loss, pilots, REACH * units[pilots], REACH * effect):
        return loss
    near = np.flatnonzero(asked & (claimed < UNSEEN * effect))
    guessed_wrong = far.size + near.size > 0  # and so may be those that are said to do nothing
    untold = np.flatnonzero(unknown & (claims == 0.0) & guessed_wrong)
    if near.size <= SOUGHT:
        goal = REACH * effect
        steps = goal / np.abs(claims[near])
        steps[steps > HINTED_AT * s[near]] = 0.0
        near, steps = near[steps > 0], steps[steps > 0]
        found = _sought(loss, near, steps, goal)
        noise = np.full(near.size, NOISES * loss.measured.least)
        known = np.isfinite(found.step)
        known &= _keeps_growing(loss, near, found.step, goal, noise)
        units[near[known]] = power_of_two(found.step[known] / REACH)
        untold = np.append(untold, near[~known])
    everyone = np.arange(units.size)
    return replace(loss, units=loss.units.found(everyone, units, untold))


def _keeps_growing(loss: Loss, indices: Indices, steps: Floats, goal: float, floor: Floats) -> Mask:
    """Whether what entries do grows as a power of the step from the guessed unit to steps far beyond it.

    Where it does not, f has turned on the way, and the guess is the better unit, however little the
    entry does; so it is where steps are about as long. True where they are far shorter or not known,
    and where f stands still at the guess.
    """
    s = REACH * loss.units.entry[indices]
    beyond = np.flatnonzero(steps > GOOD_ENOUGH * s)
    result = ~(steps >= s / GOOD_ENOUGH)
    result |= np.isnan(steps)
    if beyond.size == 0:
        return result
    change = _changes_over(loss, indices[beyond], s[beyond])
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.log(goal / change) / np.log(steps[beyond] / s[beyond])
    regular = (power >= LEAST_POWER) & (power <= MOST_POWER)
    result[beyond] = regular | (change <= floor[beyond])
    return result


def _is_smooth(loss: Loss, indices: Indices, steps: Floats, goal: float) -> bool:
    """Whether f is smooth on the scale of its own value, where that is what steps were taken from.

    It is not where the value is what cancellation left of larger terms: then it is rounding, and so is
    what f does over steps that change it by as much.
    """
    changes = _changes_over(loss, indices, FINER * steps)
    return bool(np.all((changes >= LEAST_OVER_FINER * goal) & (changes <= MOST_OVER_FINER * goal)))


def _sought(loss: Loss, indices: Indices, steps: Floats, goal: float) -> Reach:
    """How far some entries must go, looked at first over some steps."""
    everyone, noise = np.arange(indices.size), np.full(indices.size, NOISES * loss.measured.least)
    sample = _sampler(loss, indices, np.zeros(indices.size, np.bool_))
    with _far_off(loss):
        return reaches(sample, steps, sample(everyone, steps), goal, noise)


def _sampler(loss: Loss, indices: Indices, at_edge: Mask) -> Callable[[Indices, Floats], Floats]:
    """What some of the entries change f by; infinite outside its domain, but for those at its edge."""

    def sample(some: Indices, steps: Floats) -> Floats:
        above, below = _around(loss, indices[some], steps)
        inside = at_edge[some] | (np.isfinite(above) & np.isfinite(below))
        return np.where(inside, _changes(above, below, loss.base), np.inf)

    return sample


@contextmanager
def _far_off(loss: Loss) -> Iterator[None]:
    """While f is asked so far away that where it is not finite is no matter of the loss's domain."""
    outside = loss.run.outside
    with np.errstate(all="ignore"):
        yield
    loss.run.outside = outside


def _effect(entries: Entries, first: Quotients, known: Mask, noise: float) -> float:
    """The most that some entries change f by over their units, by slope and bend; 0 if none does."""
    steps = entries.units / first.h
    rise = np.abs(first.above - first.below) / 2
    bend = np.abs(first.above - 2 * entries.loss.base + first.below) / 2
    with np.errstate(invalid="ignore", over="ignore"):
        moves = [np.where(part > NOISES * noise, part, 0.0) for part in (rise, bend)]
        effects = np.maximum(moves[0] * steps, moves[1] * steps**2)
    return float(np.max(effects, initial=0.0, where=known & np.isfinite(effects)))


def _around(loss: Loss, indices: Indices, steps: Floats) -> Floats:
    """f above and below entries, shape (2, m)."""
    return loss.values(indices, np.stack([steps, -steps], axis=1)).T


def _changes_over(loss: Loss, indices: Indices, steps: Floats) -> Floats:
    """What entries change f by over some steps, shape (m,)."""
    above, below = _around(loss, indices, steps)
    return _changes(above, below, loss.base)


def _changes(above: Floats, below: Floats, base: float) -> Floats:
    """The larger change of f on two sides, or that on the only one where f is finite; or infinite."""
    sides = np.abs(np.stack([above, below]) - base)
    sides[~np.isfinite(sides)] = -np.inf
    changes = sides.max(axis=0)
    return np.where(np.isfinite(changes), changes, np.inf)
