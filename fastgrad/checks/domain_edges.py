"""Entries at the edge of the domain of the loss: judged by the side where it is finite."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastgrad.arrays import Array, Indices, Mask
from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Differences, Judged
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.checks.stages import judge
from fastgrad.differences.confined import Confined
from fastgrad.differences.domain import finite_sides, nearest_of
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.differences.pairs import PairLoss
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.parameters.bounds import Box
from fastgrad.parameters.layout import Layout

MOST_PROBED = 1000
"""Entries looked at, two evaluations each."""
NAMED = 3
"""Entries that a remark names."""
REACH = 2.0**-9
"""Distance from a bound, in units, at which directions leave an entry alone: 2^-17 climbs by 8s."""


def judged_at_edges(
    loss: Loss, claim: Claim, rule: Rule, judged: Judged, left: Callable[[], float]
) -> tuple[Judged, list[str]]:
    """What has no difference, judged again where the loss is finite on one side alone.

    Returns
    -------
    judged : Judged
    remarks : list of str
    """
    said = about_bounds(loss.run, loss.layout) if isinstance(loss.run, Confined) else []
    judged = _no_kinks_at_bounds(loss, judged)
    untold = (judged.verdict == Verdict.INCONCLUSIVE) & ~np.isfinite(judged.numeric + judged.bar)
    open_ = np.flatnonzero(untold)[:MOST_PROBED]
    by_structure = loss.run.structured and not isinstance(loss, PairLoss)
    if open_.size == 0 or by_structure:
        return judged, said
    indices = judged.indices[open_]
    nearest = nearest_of(loss.theta, loss.units.entry, indices)
    below, above = finite_sides(loss.values, indices, nearest)
    at_edge = below != above
    if not at_edge.any():
        return judged, said
    open_, indices = open_[at_edge], indices[at_edge]
    run = _inside(loss, indices, above[at_edge])
    entries = Entries(replace(loss, run=run), indices)
    again = judge(entries, claim, rule, CENTRAL[2].step * entries.units, left=left)
    told = np.flatnonzero(again.verdict != Verdict.INCONCLUSIVE)
    if told.size == 0:
        return judged, said
    said.append(_at_edges(judged, open_[told], above[at_edge][told], loss.layout))
    return _replaced(judged, open_, again, told), said


def _inside(loss: Loss, indices: Indices, above: Mask) -> Confined:
    """The loss of which entries are asked on one side alone, besides the bounds that it has."""
    box, run = Box.unbounded(loss.theta.size), loss.run
    if isinstance(run, Confined):
        box, run = box.within(run.box), run.run
    box.low[indices[above]] = loss.theta[indices[above]]
    box.high[indices[~above]] = loss.theta[indices[~above]]
    return Confined(run, box)


def about_bounds(run: Confined, layout: Layout) -> list[str]:
    """What to say of entries at their bounds or near them."""
    return about_sides(*run.beside_bounds(layout))


def about_sides(near: Indices, at_bound: Mask, layout: Layout) -> list[str]:
    """What to say of entries that were moved to one side, of which some are at their bounds."""
    if near.size == 0:
        return []
    bound = near[at_bound]
    words = f"{_names(bound, layout)} at {'its bound' if bound.size == 1 else 'their bounds'}"
    within = np.setdiff1d(near, bound)
    parts = [words] if bound.size else []
    if within.size:
        parts.append(f"{_names(within, layout)} within a step of a bound")
    return [f"Judged by one-sided differences: {', '.join(parts)}; no point outside was evaluated."]


def _replaced(judged: Judged, which: Indices, again: Judged, told: Indices) -> Judged:
    """The entries ``which[told]`` as they were judged again."""
    which = which[told]

    def put(old: Array, new: Array) -> Array:
        merged = old.copy()
        merged[which] = new[told]
        return merged

    notes = {k: note for k, note in judged.notes.items() if k not in set(which.tolist())}
    for k, position in zip(told.tolist(), which.tolist(), strict=True):
        notes[position] = again.notes.get(k, "one-sided: at the edge of the loss's domain")
    old, new = judged.differences, again.differences
    scales = replace(judged.scales, entry=put(judged.scales.entry, again.scales.entry))
    return replace(
        judged,
        differences=Differences(put(old.D, new.D), put(old.bar, new.bar), put(old.step, new.step)),
        verdict=put(judged.verdict, again.verdict),
        scales=scales,
        notes=notes,
    )


def _no_kinks_at_bounds(loss: Loss, judged: Judged) -> Judged:
    """What looks like a kink at a bound is a slope that bends without end: nothing lies beyond.

    There the values outside are continued from inside, and two sides of them are no subgradient.
    """
    if not isinstance(loss.run, Confined):
        return judged
    reach = np.zeros(loss.layout.size)
    reach[judged.indices] = np.abs(judged.differences.step)
    at = loss.run.box.near(loss.theta, reach)[judged.indices]
    at &= np.isin(judged.verdict, (Verdict.KINK_VALID, Verdict.KINK_OUTSIDE))
    if not at.any():
        return judged
    notes = dict(judged.notes)
    for k in np.flatnonzero(at).tolist():
        between = notes.get(k, "").rpartition("subgradients ")[2]
        notes[k] = f"at its bound the slope bends without end: {between}"
    verdict = np.where(at, Verdict.INCONCLUSIVE, judged.verdict)
    return replace(judged, verdict=verdict, notes=notes)


def _at_edges(judged: Judged, which: Indices, above: Mask, layout: Layout) -> str:
    sides = "above" if above.all() else "below" if not above.any() else "on one side"
    return about_edge(judged.indices[which], sides, layout)


def about_edge(indices: Indices, sides: str, layout: Layout) -> str:
    """What to say of entries at the edge of the domain."""
    verb = "lies" if indices.size == 1 else "lie"
    return (
        f"{_names(indices, layout)} {verb} at the edge of the loss's domain, which is "
        f"finite {sides} alone: judged by one-sided differences."
    )


def _names(indices: Indices, layout: Layout) -> str:
    more = f" and {indices.size - NAMED:,} more" if indices.size > NAMED else ""
    return ", ".join(layout.name(int(i)) for i in indices[:NAMED]) + more


def away_from_bounds(loss: Loss) -> tuple[Loss, tuple[str, ...]]:
    """The loss with entries near their bounds held constant, and what to say of them.

    Directions go both ways; what is near a bound is for a sweep.
    """
    if not isinstance(loss.run, Confined):
        return loss, ()
    near = loss.run.box.near(loss.theta, REACH * loss.units.entry)
    near &= True if loss.free is None else loss.free
    count = int(np.count_nonzero(near))
    if not count or count == loss.count:
        return loss, ()
    free = ~near if loss.free is None else loss.free & ~near
    said = (
        f'{count:,} entries near a bound are not seen by directions; strategy="sweep" judges them.'
    )
    return replace(loss, free=free), (said,)
