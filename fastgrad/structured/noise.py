"""The noise of the differences that a structure gives: the size of f has no part in it."""

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.numerics.rounding import rounding_noise
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import default_steps
from fastgrad.parameters.layout import Layout

ENTRIES_OF_A_BLOCK = 8
"""How many entries of a block are sampled, of which the largest noise counts."""
ENTRIES_IN_ALL = 96
"""How many are sampled at most, where blocks are many."""
STEPS = CENTRAL[2].step * np.array([0.61, 0.69, 0.83, 0.97, 1.09, 1.13, 1.21, 1.33])
"""Around the default, and no powers of two: there rounding falls alike, and does not show."""
SAFETY = 1.75
"""Rounding along one entry is alike at all steps in part, which its spread does not show: over 180
correct models the largest error came to 1.4 bars without it."""
LEAST_NOISE = 2.0**-30
"""The part of the rounding of f below which no noise is believed: 0 would make every bar 0."""


def noise_of_differences(
    run: Evaluator, layout: Layout, magnitudes: Floats, trainable: Mask | None, seed: int
) -> Floats:
    """sd of the noise of each entry's differences, shape (n,).

    It is their magnitude times a factor measured on some entries of each block: the largest found
    there, or anywhere if a block's own show no noise.

    Parameters
    ----------
    magnitudes : ndarray, shape (n,)
        What the noise of each entry is in proportion to, within a block.
    """
    rng = np.random.default_rng(seed)
    factors = np.zeros(len(layout.blocks))
    per_block = max(1, min(ENTRIES_OF_A_BLOCK, ENTRIES_IN_ALL // len(layout.blocks)))
    for b, block in enumerate(layout.blocks):
        inside = np.arange(block.start, block.stop)
        if trainable is not None:
            inside = inside[trainable[inside]]
        chosen = np.sort(rng.choice(inside, min(per_block, inside.size), replace=False))
        if chosen.size:
            factors[b] = np.max(_measured(run, chosen) / magnitudes[chosen])
    factors[factors == 0] = factors.max(initial=0.0)
    sizes = np.array([block.size for block in layout.blocks])
    least = max(LEAST_NOISE * float(rounding_noise(run.reference)), 1e-290)
    return np.asarray(np.maximum(SAFETY * np.repeat(factors, sizes) * magnitudes, least))


def _measured(run: Evaluator, indices: Indices) -> Floats:
    """sd of one difference f(x + s) - f(x), by how quotients scatter about a parabola in s."""
    x = run.theta[indices][:, None]
    s = default_steps(x, 1.0) * STEPS
    values = run.coordinates(indices, np.concatenate([s, -s], axis=1))
    above, below = np.split(values, 2, axis=1)
    D = (above - below) / ((x + s) - (x - s))
    design = np.stack([np.ones(STEPS.size), STEPS**2 / STEPS.max() ** 2], axis=1)
    fit = design @ np.linalg.lstsq(design, D.T, rcond=None)[0]
    scatter = np.sqrt(np.sum((D.T - fit) ** 2, axis=0) / (STEPS.size - 2))
    return np.asarray(scatter * np.sqrt(2.0) * s.mean(axis=1))
