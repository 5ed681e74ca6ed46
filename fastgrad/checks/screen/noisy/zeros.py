"""Directions through what is claimed to be exactly zero: entries among others, and blocks throughout.

There are no signs to look along. Random directions through these entries alone show what the loss does
there; where it has few digits, many of them together, and their echo.
"""

from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.noisy.blame import (
    FRESH_STREAM,
    MORE_RANDOM,
    ZERO_BLOCKS,
    ZEROS,
    Looking,
)
from fastgrad.checks.screen.noisy.found import Blame
from fastgrad.checks.screen.noisy.limits import NOTHING
from fastgrad.checks.screen.noisy.lines import Look
from fastgrad.checks.screen.noisy.pooled import Pooled
from fastgrad.checks.screen.noisy.residual_echo import Echo
from fastgrad.checks.screen.noisy.second_look import Again, stands
from fastgrad.numerics.norms import rms
from fastgrad.numerics.rough_slope import RUNG

ZEROS_AWAY = 0.25
"""How far base points of these are away, in steps: entries are few, so steps are wide, and slopes
change."""
STRAIGHT, BENT = 1 / 4, 1 / 2
"""Squares of halves of second differences, at the step or a quarter of it, are at most a fourth of those
of slopes that are no kinks', and kinks make more than half. Those at theta make both alike: it is a
fourth by chance along two dozen lines once in 2,000. Those further off show less at a finer step."""
BEND_NOISE = 2.0
"""What noise makes of them, in squares of e."""
LOOKS = 3
"""Directions through entries that are zero, until one alarms: one missed 4 of 100 rows in float32."""
NOT_FALLING = 0.8
"""Slopes at a quarter of the step are at least this part of those at the whole."""


class Zeros:
    """Looks along what is exactly zero in a gradient.

    Parameters
    ----------
    looking : Looking
    """

    def __init__(self, looking: Looking):
        self.looking = looking

    def through_entries(self) -> None:
        """Look along entries that are zero, of blocks that are not."""
        v = self.looking.lines.zeros(ZEROS)
        if not v.any():
            return
        look = self.looking.read("zeros", v)
        for k in range(1, 1 if self.looking.lines.coarse else LOOKS):
            if look.alarms or look.slope.value == 0.0:  # a dead unit, a word that does not occur
                break
            v = self.looking.lines.zeros(ZEROS + (k << 20))
            look = self.looking.read("zeros", v)
        if look.alarms or (self.looking.lines.coarse and self._pooled_zeros(look, None)[1]):
            for b, block in enumerate(self.looking.layout.blocks):
                if v[block.start : block.stop].any():
                    self._place_zeros(b, look, v)

    def _place_zeros(self, b: int, look: Look, v: Floats) -> None:
        """Blame a block, if its own part of the direction shows an error too."""
        told = None
        if look.alarms:
            told = stands(lambda k: self.looking.fresh("zeros", ZEROS + 1 + k, b, v))
        if told is None and self.looking.lines.coarse:
            told = self._zeros_again(look, b)
        if told is not None:
            self.looking.blame(b, Blame("zeros", told, "zeros"))

    def _zeros_again(self, look: Look, b: int) -> Again | None:
        """Slopes through what is zero in a block, if fresh ones alarm and no kinks make them.

        Units that are off at theta come on a step away, on one side, so that second differences are as
        large as first ones; and slopes fall with the step.
        """
        wide, alarms = self._pooled_zeros(look, b)
        if not alarms:
            return None
        told = Again(np.abs(wide.y) / (wide.noise or 1.0), 1.0)
        finer = replace(look, slope=replace(look.slope, step=look.slope.step / RUNG))
        noise = rms(np.array(wide.e)) ** 2
        shown = rms(np.array(wide.y)) ** 2 - noise
        kinks = self._bend(look, b) ** 2
        if kinks > STRAIGHT * shown and BEND_NOISE * RUNG**2 * noise <= BENT * shown:
            kinks = self._bend(finer, b) ** 2 - BEND_NOISE * RUNG**2 * noise
        if kinks <= STRAIGHT * shown:
            return told
        if kinks - BEND_NOISE * noise > BENT * shown:  # as beside a kink nearer than all steps
            return None
        fine, alarms = self._pooled_zeros(finer, b)
        if not alarms:
            return None
        count = min(len(wide.y), len(fine.y))
        before, after = np.array(wide.y[:count]), np.array(fine.y[:count])
        falls = float(np.sum(before * after)) < NOT_FALLING * float(np.sum(before**2))
        return None if falls else told

    def _bend(self, look: Look, b: int) -> float:
        """Half of the second differences along some directions through what is zero in a block, rms.

        Beside the loss at theta itself: most of its sums are not rounded anew along these.
        """
        lines, h = self.looking.lines, look.slope.step
        self.looking.require(2 * MORE_RANDOM)
        bends = []
        for k in range(MORE_RANDOM):
            above, below = lines.loss.along(self._through_zeros(k, b), np.array([h, -h]))
            bends.append(float(above - 2 * lines.loss.base + below) / (2 * h))
        return rms(np.array(bends))

    def _through_zeros(self, k: int, b: int | None) -> Floats:
        """The k-th random direction through what is exactly zero, in a block or in all."""
        v = self.looking.lines.zeros(ZEROS + FRESH_STREAM + k)
        if b is not None:
            block = self.looking.layout.blocks[b]
            v[: block.start], v[block.stop :] = 0.0, 0.0
        return v

    def _pooled_zeros(self, look: Look, b: int | None) -> tuple[Pooled, bool]:
        """Random directions through what is exactly zero, in a block or in all; whether they alarm."""

        def draw(k: int) -> Floats:
            return self._through_zeros(k, b)

        lines = self.looking.lines
        pooled = Pooled(ZEROS_AWAY, tolerated=lines.rounding_of_zeros(draw(0)))
        first = 0 if b is None else MORE_RANDOM
        self.looking.pool_until_alarm(pooled, look, draw, first)
        return pooled, pooled.alarms or self.looking.echo(pooled, [look], draw).alarms

    def through_blocks(self) -> None:
        """Blocks that are zero throughout, of which a line says too little, along many together."""
        blocks = [
            b for b, look in self.looking.found.signs.items() if self._is_untold_zero(b, look)
        ]
        if not blocks:
            return
        echo = self._through(tuple(blocks), 0)[1]
        if echo is not None:
            self.looking.found.zeros = dict.fromkeys(blocks, echo.limit)
            if not echo.alarms:
                return
        for b in blocks:
            own, again = self._through((b,), FRESH_STREAM)
            if again is None or again.alarms:
                self.looking.blame(b, Blame("random", Again(np.abs(own.y), own.bar), "zero"))

    def _is_untold_zero(self, b: int, look: Look) -> bool:
        if self.looking.lines.sums[b] or b in self.looking.found.blamed:
            return False
        return self.looking.lines.coarse or look.slope.bar > NOTHING * float(
            self.looking.lines.norms.max(initial=0)
        )

    def _through(self, blocks: tuple[int, ...], first: int) -> tuple[Pooled, Echo | None]:
        """Random directions through some blocks together, and their echo if these do not alarm."""

        def draw(k: int) -> Floats:
            return self.looking.lines.random(ZERO_BLOCKS + first + k, blocks)

        look, pooled = self.looking.read("random", draw(0), blocks), Pooled()
        self.looking.pool_until_alarm(pooled, look, draw, 1)
        return pooled, None if pooled.alarms else self.looking.echo(pooled, [look], draw)
