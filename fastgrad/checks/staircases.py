"""Treads: a loss of few digits stands still over a last place of theta, and moves by treads beyond."""

from dataclasses import dataclass

from fastgrad.checks.outcome import Judged
from fastgrad.differences.directions import Directions
from fastgrad.differences.entries import Entries
from fastgrad.differences.few_digits import heard, is_coarse, rounding_of
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
    noise: float | None = None
    """That between points at which theta is rounded anew, once it was listened for."""

    def hide(self, k: int, error: float, step: float, in_time: bool) -> bool:
        """Whether treads may make such an error of an entry, over a step.

        Steps are no wider than a part of what the entry is, or its block: where it stands still over
        those, it saturates beyond, and its slope there is none at theta.

        Parameters
        ----------
        in_time : bool
            Whether `HEARD_EVALUATIONS` fit: if not, nothing is hidden.
        """
        loss = self.entries.loss
        if self.noise is None:
            value, self.noise = abs(loss.value), 0.0
            single = value > 0.0 and loss.measured.float32 and not loss.run.structured
            if single and in_time:
                directions = Directions(loss.units.entry, loss.free, 0)
                known = heard(loss, directions, rounding_of(loss) / value)
                self.noise = known.noise if is_coarse(known) else 0.0
        if not self.noise:
            return False
        block = loss.layout.blocks[int(self.judged.block[k])]
        size = max(abs(float(self.entries.x[k])), rms(loss.theta[block.start : block.stop]))
        widest = WIDE_LOOK * (size or float(self.judged.scales.unit[k]))
        return error <= float(noise_bar(self.noise, min(step, widest)))
