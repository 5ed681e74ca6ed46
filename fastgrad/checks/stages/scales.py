"""What errors and bars are compared with: sizes of single differences, of blocks, and of all."""

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.stages.standing import Standing
from fastgrad.numerics.bars import NEGLIGIBLE
from fastgrad.numerics.norms import size_of


def set_scales(standing: Standing, sound: Mask) -> None:
    """The scale of each entry, from differences that can be trusted."""
    D = np.where(sound & np.isfinite(standing.D), standing.D, 0.0)
    unit = size_of(D)
    block, blocks, known_rms = standing.block, standing.blocks, standing.known_rms
    squares = np.bincount(block, (D / unit) ** 2, blocks)
    counts = np.bincount(block, sound, blocks)
    standing.rms = unit * np.sqrt(squares / np.maximum(counts, 1))
    standing.overall = unit * float(np.sqrt(squares.sum() / max(counts.sum(), 1)))
    standing.scale = np.abs(D)
    largest = standing.scale.max(initial=0.0)
    if known_rms is not None:
        standing.rms = np.maximum(standing.rms, known_rms)
        most = float(standing.rms.max())
        standing.overall, largest = max(standing.overall, most), max(largest, most)
    standing.typical = np.where(standing.one_unit, standing.rms[block], NEGLIGIBLE * largest)
    if standing.kinds is not None:
        _set_scales_of_kinds(standing, standing.kinds, D / unit, unit)


def _set_scales_of_kinds(standing: Standing, kinds: Indices, D: Floats, unit: float) -> None:
    """The scale of entries that are of one unit with some others of their block, not with all."""
    alike = kinds >= 0
    squares = np.bincount(kinds[alike], D[alike] ** 2)
    counts = np.bincount(kinds[alike])
    standing.typical[alike] = unit * np.sqrt(squares / np.maximum(counts, 1))[kinds[alike]]
