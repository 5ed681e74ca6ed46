"""With what steps to begin a sweep: the default, where a few probed entries of the block bear it."""

import numpy as np

from fastgrad.detect.differences import Differencer, Indices
from fastgrad.numerics.bars import WIDER, truncation
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import default_steps
from fastgrad.params import Floats, Layout

PROBES = 3
"""Entries probed a block."""
TRUNCATION = 0.5
"""A probed step is too long if truncation reaches this part of the bar: more entries would then be
looked at twice than a shorter step costs in noise."""
NOISE = 1e-5
"""It is too short if the bar is wider than this part of the block's largest probed difference."""


def planned_steps(differencer: Differencer, layout: Layout, seed: int) -> Floats:
    """Steps to begin with, shape (m,).

    A block whose default step fails at most of its probed entries gets the median of the steps
    that suit them (`fastgrad.numerics.steps.adaptive_steps`); what that does not suit, the sweep
    notices entry by entry.
    """
    h = default_steps(differencer.x, CENTRAL[2].step)
    probed, block = _probed(differencer, layout, seed)
    near = differencer.at(probed, h[probed])
    wide = differencer.at(probed, WIDER * h[probed])
    with np.errstate(invalid="ignore"):
        t = truncation(near.D, wide.D)
        largest = np.zeros(len(layout.blocks))
        np.maximum.at(largest, block, np.nan_to_num(np.abs(near.D)))
        fails = ~(np.abs(t) <= TRUNCATION * near.bar)
        fails |= (near.bar > NOISE * largest[block]) & (largest[block] > 0)
    failed = np.bincount(block, fails, largest.size) > np.bincount(block, ~fails, largest.size)
    again = failed[block]
    if not again.any():
        return h
    own = differencer.adapted_steps(probed[again], h[probed[again]])
    starts = [b.start for b in layout.blocks]
    for b in np.flatnonzero(failed):
        inside = np.searchsorted(starts, differencer.indices, side="right") - 1 == b
        h[inside] = np.median(own[block[again] == b])
    # A step must not vanish beside a large entry of a block of small ones.
    return np.asarray(np.maximum(h, 64 * np.spacing(np.abs(differencer.x))))


def _probed(differencer: Differencer, layout: Layout, seed: int) -> tuple[Indices, Indices]:
    """Positions of the probed entries among those checked, and their blocks."""
    rng = np.random.default_rng(seed)
    positions, blocks = [], []
    for b, block in enumerate(layout.blocks):
        first, last = np.searchsorted(differencer.indices, (block.start, block.stop))
        count = min(PROBES, int(last - first))
        positions.append(first + rng.choice(last - first, count, replace=False))
        blocks.append(np.full(count, b))
    return np.concatenate(positions), np.concatenate(blocks)
