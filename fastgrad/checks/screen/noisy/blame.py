"""Looks, pools of directions, and blame: what all searches of a rough loss do."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.noisy.found import Blame, NoisyFound
from fastgrad.checks.screen.noisy.limits import useful_limits
from fastgrad.checks.screen.noisy.lines import Look, NoisyLines
from fastgrad.checks.screen.noisy.pooled import EVALUATIONS_EACH, Pooled
from fastgrad.checks.screen.noisy.residual_echo import EVALUATIONS as ECHO_EVALUATIONS
from fastgrad.checks.screen.noisy.residual_echo import Echo
from fastgrad.checks.screen.noisy.rows_and_columns import EVALUATIONS as LINE_EVALUATIONS
from fastgrad.checks.screen.noisy.rows_and_columns import Line, line_of, line_of_zeros
from fastgrad.numerics.norms import rms
from fastgrad.numerics.rough_slope import MOST_RUNGS

RANDOM = 12
"""Random directions through everything, and as many with blocks heard alike."""
MORE_RANDOM = 24
"""The most through everything, where they say too little."""
FEW_RANDOM = 6
"""So many at a time, where a gross error is looked for."""
MOST_WHEN_WRONG = 150
"""Evaluations after which a gradient that is known to be wrong is not looked at any further."""
SIGNS, THETA, ZEROS, ALL, ALIKE, BLOCK, ZERO_BLOCKS = (k << 35 for k in range(1, 8))
"""Streams of directions."""
FRESH_STREAM = 1 << 10
"""Those of one kind from here on are looked along again."""


class OutOfTimeError(Exception):
    """The time allowed is over."""


class KnownWrongError(Exception):
    """The gradient is known to be wrong, and much was spent."""


class Looking:
    """Looks along directions through a rough loss, and notes what they find.

    Parameters
    ----------
    lines : NoisyLines
    allows : callable
        Whether the time allows so many more evaluations.
    """

    def __init__(self, lines: NoisyLines, allows: Callable[[int], bool]):
        self.lines, self.allows = lines, allows
        self.found = NoisyFound()
        self.layout = lines.loss.layout
        self.began = lines.loss.run.evaluations
        self.agrees = useful_limits(lines.loss)

    def read(self, kind: str, v: Floats, blocks: tuple[int, ...] = ()) -> Look:
        self.require(2 * MOST_RUNGS)
        return self.lines.read(kind, v, blocks)

    def require(self, evaluations: int) -> None:
        if not self.allows(evaluations):
            raise OutOfTimeError
        if self.found.blamed and self.lines.loss.run.evaluations - self.began > MOST_WHEN_WRONG:
            raise KnownWrongError

    def moves(self, b: int) -> bool:
        return bool(self.lines.directions.moves(self.layout.blocks[b]).any())

    def fresh(self, kind: str, stream: int, b: int, v: Floats | None = None) -> Look:
        """A fresh random direction through one block, or through what v moves of it."""
        own = self.lines.random(stream + (b << 8), (b,))
        if v is not None:
            own[v == 0.0] = 0.0
        return self.read(kind, own, (b,))

    def pool(
        self, pooled: Pooled, looks: list[Look], draw: Callable[[int], Floats], streams: range
    ) -> None:
        """More random directions, at the step that suited the first ones."""
        step = _step_of(looks)
        pooled.change = rms(np.array([look.slope.change for look in looks]))
        for stream in streams:
            self.require(EVALUATIONS_EACH)
            pooled.add(self.lines, step, draw, range(stream, stream + 1))

    def pool_until_alarm(
        self, pooled: Pooled, look: Look, draw: Callable[[int], Floats], first: int
    ) -> None:
        """`MORE_RANDOM` random directions; of what is grossly wrong a few tell."""
        for k in range(first, first + MORE_RANDOM, FEW_RANDOM):
            self.pool(pooled, [look], draw, range(k, k + FEW_RANDOM))
            if pooled.alarms:
                return

    def echo(self, pooled: Pooled, looks: list[Look], draw: Callable[[int], Floats]) -> Echo:
        """What the residual that random directions show says along itself, at their step."""
        self.require(ECHO_EVALUATIONS)
        return Echo.of(pooled, self.lines, _step_of(looks), draw)

    def blame(self, b: int, blame: Blame) -> None:
        made = blame.evaluations or self.lines.loss.run.evaluations
        line = self._line_in(b, blame)
        self.found.blamed[b] = replace(blame, evaluations=made, line=line)
        values, block = self.lines.claim.values, self.layout.blocks[b]
        part = slice(block.start, block.stop)
        if blame.law not in ("scale", "missing", "extra", "offset"):
            self.lines.blamed.add(b)
            return
        corrected = values.copy()
        if blame.law == "scale":
            corrected[part] /= blame.value
        elif blame.law == "offset":
            corrected[part] -= blame.value
        else:
            sign = 1.0 if blame.law == "missing" else -1.0
            corrected[part] += sign * blame.value * self.lines.loss.theta[part]
        self.lines.claim = replace(self.lines.claim, values=corrected)

    def _line_in(self, b: int, blame: Blame) -> Line | None:
        """The line of a block that holds all of an error without a law."""
        block = self.layout.blocks[b]
        if blame.law == "zeros":
            values = self.lines.claim.values[block.start : block.stop]
            return line_of_zeros(values.reshape(block.shape))
        if blame.law or not self.allows(LINE_EVALUATIONS):
            return None
        fresh = self.lines.random(BLOCK + (b << 8), (b,))
        v = self.lines.signs(SIGNS, (b,)) if blame.kind == "signs" else fresh
        return line_of(block, v, fresh, lambda part: self.lines.read("part", part, (b,)))


def _step_of(looks: list[Look]) -> float:
    """The step between those that suited some directions."""
    return float(np.prod([look.slope.step for look in looks]) ** (1 / len(looks)))
