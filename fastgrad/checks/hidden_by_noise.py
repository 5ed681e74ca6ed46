"""Whether the noise of a loss hides its entries one by one, so that a sweep of them is no use."""

import numpy as np

from fastgrad.checks.claim import Claim
from fastgrad.checks.screen.is_rough import ROUGH, is_rough
from fastgrad.checks.stages.useless_bars import LONGEST_STEP, RESOLVED
from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import heard, is_coarse, rounding_of
from fastgrad.differences.loss import Loss
from fastgrad.numerics.bars import noise_bar
from fastgrad.numerics.norms import norm

KEPT = 300
"""Evaluations kept for what a sweep leaves open: a screen of a rough loss took 100 to 280."""
FEW_TOLD, FEW_IF_COARSE = 0.1, 0.5
"""A sweep is no use where it tells fewer of the entries than this part from gross errors; with few
digits theta itself is rounded, and the loss stands still along single entries."""


def _is_in_noise(loss: Loss) -> bool:
    """Whether the loss is computed in fewer digits than float64 has, by its values or its noise.

    A value of 300 alone may be one of half precision, and says nothing where others have more digits.
    """
    least, measured = ROUGH * abs(loss.value), loss.measured
    if least == 0.0 or loss.noise > least:
        return least > 0.0
    return rounding_of(loss) > least and (measured.glimpse is None or measured.is_coarse)


def kept_for_what_is_left(loss: Loss) -> int:
    """Evaluations that are kept to screen what a sweep leaves open."""
    return KEPT if _is_in_noise(loss) and not loss.run.structured else 0


def sweeps_in_vain(loss: Loss, claim: Claim, seed: int) -> bool:
    """Whether the noise of the loss hides nearly all entries one by one."""
    rounding = rounding_of(loss)
    if not is_rough(loss, rounding):
        return False
    directions = Directions(loss.units.entry, claim.movable(loss.free), seed)
    known = heard(loss, directions, rounding / abs(loss.value))
    return _part_told(known, claim) < (FEW_IF_COARSE if is_coarse(known) else FEW_TOLD)


def _part_told(loss: Loss, claim: Claim) -> float:
    """The part of the entries of which a sweep can tell a gross error, by the noise of the loss.

    A difference over the longest step has the narrowest bar; an entry that is zero by mistake, or of
    the wrong sign, is off by its own size at least.
    """
    bar = float(noise_bar(loss.noise, LONGEST_STEP))
    told = 0
    for b, block in enumerate(loss.layout.blocks):
        part = slice(block.start, block.stop)
        free = np.ones(block.size, np.bool_) if loss.free is None else loss.free[part]
        effect = np.abs(claim.values[part] * loss.units.entry[part])[free]
        known = effect[np.isfinite(effect)]
        if loss.units.one_unit[b] and known.size:
            effect = np.maximum(effect, norm(known) / np.sqrt(known.size))
        told += int(np.count_nonzero(~(bar > RESOLVED * effect)))
    return told / max(loss.count, 1)
