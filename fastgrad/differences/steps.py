"""The steps that entries are differenced with: the user's, the default, or what probes bear."""

from functools import lru_cache

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.differences.entries import Entries
from fastgrad.numerics.bars import WIDER
from fastgrad.numerics.stencils import CENTRAL, Stencil
from fastgrad.numerics.two_steps import truncation

PROBES = 3
"""Entries probed a block."""
PROBE_TRUNCATION = 0.5
"""A probed step is too long if truncation reaches this part of the bar: more entries would then be
looked at twice than a shorter step costs in noise."""
PROBE_NOISE = 1e-5
"""It is too short if the bar is wider than this part of the block's largest probed difference."""


def chosen_steps(entries: Entries, stencil: Stencil, steps: Floats | str | None) -> Floats:
    """Steps of the entries, shape (m,), from the default, the noise, or the user."""
    h = entries.steps(steps, stencil.step)
    if stencil is CENTRAL[2] and not isinstance(steps, np.ndarray | str):
        return probed_steps(entries, h, seed=0)
    return entries.adapted_steps(np.arange(h.size), h) if isinstance(steps, str) else h


def probed_steps(entries: Entries, h: Floats, seed: int) -> Floats:
    """Default steps h, shape (m,), where a few probed entries of the block bear them.

    A block of one unit whose default step fails at most of its probed entries gets the median of the
    steps that suit them (`fastgrad.numerics.step_search.StepSearch`); what that does not suit, the sweep
    notices entry by entry.
    """
    blocks = entries.loss.layout.blocks
    probed, block = _probed(entries, seed)
    if probed.size == 0:
        return h
    near = entries.at(probed, h[probed])
    wide = entries.at(probed, WIDER * h[probed])
    with np.errstate(invalid="ignore"):
        t = truncation(near.D, wide.D)
        largest = np.zeros(len(blocks))
        np.maximum.at(largest, block, np.nan_to_num(np.abs(near.D)))
        fails = ~(np.abs(t) <= PROBE_TRUNCATION * near.bar)
        fails |= (near.bar > PROBE_NOISE * largest[block]) & (largest[block] > 0)
    if not fails.any():
        return h
    failed = np.bincount(block, fails, largest.size) > np.bincount(block, ~fails, largest.size)
    again = failed[block]
    if not again.any():
        return h
    own = entries.adapted_steps(probed[again], h[probed[again]])
    starts = [b.start for b in blocks]
    for b in np.flatnonzero(failed):
        inside = np.searchsorted(starts, entries.indices, side="right") - 1 == b
        h[inside] = np.median(own[block[again] == b])
    # A step must not vanish beside a large entry of a block of small ones.
    return np.asarray(np.maximum(h, 64 * np.spacing(np.abs(entries.x))))


def _probed(entries: Entries, seed: int) -> tuple[Indices, Indices]:
    """Positions of the probed entries among those checked, and their blocks."""
    layout, one_unit = entries.loss.layout, entries.loss.units.one_unit
    # A step that suits an entry of a block of several units says nothing of the next.
    probed = [b for b in range(len(layout.blocks)) if one_unit[b]]
    starts = np.searchsorted(entries.indices, [layout.blocks[b].start for b in probed])
    stops = np.searchsorted(entries.indices, [layout.blocks[b].stop for b in probed])
    drawn = _drawn(tuple((stops - starts).tolist()), seed)
    positions = [first + k for first, k in zip(starts, drawn, strict=True)]
    blocks = [np.full(k.size, b) for b, k in zip(probed, drawn, strict=True)]
    none = np.zeros(0, np.intp)
    return np.concatenate([none, *positions]), np.concatenate([none, *blocks])


@lru_cache(maxsize=8)
def _drawn(sizes: tuple[int, ...], seed: int) -> tuple[Indices, ...]:
    """A few places in each of several stretches: the same at every check of one problem."""
    rng = np.random.default_rng(seed)
    return tuple(rng.choice(size, min(PROBES, size), replace=False) for size in sizes)
