"""Treads: a loss of few digits stands still over a last place of theta, and moves by treads beyond."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from fastgrad.checks.outcome import Judged
from fastgrad.differences.directions import Directions
from fastgrad.differences.entries import Entries
from fastgrad.differences.few_digits import HEARD_EVALUATIONS, heard, is_coarse, rounding_of
from fastgrad.differences.plain_errors import WIDE_LOOK
from fastgrad.numerics.bars import noise_bar
from fastgrad.numerics.norms import rms

HIDDEN = (
    'few digits of theta and of the loss hide it: it is seen along directions (strategy="screen")'
)


@dataclass
class Treads:
    """What a loss of few digits hides of entries that were judged."""

    entries: Entries
    judged: Judged
    has_time: Callable[[int], bool]
    """Whether so many evaluations fit."""

    @cached_property
    def noise(self) -> float:
        """The noise between points at which theta is rounded anew; 0 of a loss of many digits."""
        loss = self.entries.loss
        value = abs(loss.value)
        single = value > 0.0 and loss.measured.float32 and not loss.run.structured
        if not (single and self.has_time(HEARD_EVALUATIONS)):
            return 0.0
        rounding = rounding_of(loss) / value
        known = heard(loss, Directions(loss.units.entry, loss.free, 0), rounding)
        return known.noise if is_coarse(known) else 0.0

    def hide(self, k: int, error: float, step: float) -> bool:
        """Whether treads may make such an error of an entry, over a step.

        Steps are no wider than a part of what the entry is, or its block: where it stands still over
        those, it saturates beyond, and its slope there is none at theta.
        """
        if not self.noise:
            return False
        loss = self.entries.loss
        block = loss.layout.blocks[int(self.judged.block[k])]
        size = max(abs(float(self.entries.x[k])), rms(loss.theta[block.start : block.stop]))
        widest = WIDE_LOOK * (size or float(self.judged.scales.unit[k]))
        return error <= float(noise_bar(self.noise, min(step, widest)))
