"""The residual itself, as random directions show it, looked along in a second round.

The sum of all ``y_k v_k`` is k times an estimate of a - g, of cosine about sqrt(k / n): along it an
error shows about sqrt(k) times as much as along one random direction, and noise as much as there. An
error of the size of the noise, which k directions do not tell from it, stands out then by 3 or 4 of
its sds. Where there is none, it is one more random direction.

That is for directions through what is claimed to be zero. Through everything, in nets with kinks, y is
about twice e, for there is a kink at theta on one line or another: 4 of 500 right gradients echoed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.noisy.lines import NoisyLines
from fastgrad.checks.screen.noisy.pooled import FALSE, Pooled, truncation
from fastgrad.checks.screen.noisy.second_look import around
from fastgrad.numerics.norms import norm, rms

WIDER = np.array([4.0, 16.0])
"""Steps at which a kink at theta is looked for, in the one of the slope: there rounding hardly shows."""
EVALUATIONS = 8
SHOWN = {12: 3.1, 24: 2.0, 48: 1.4, 96: 1.05}
"""The norm of an error, in sds of noise, that is missed with probability 0.01 at most by so many
directions and their echo (by simulation, ``tests/checks/test_pooled.py``)."""
BASE = 1 << 13
"""The stream of its base points, from that of the first direction."""


@dataclass(frozen=True)
class Echo:
    """What the residual of some random directions shows along itself."""

    first: Pooled
    y: float
    e: float
    """Half of what slopes at its two base points differ by."""
    kink: float
    """What a kink at theta may be of y: there a gradient is one slope, and a difference their mean."""

    @classmethod
    def of(
        cls, first: Pooled, lines: NoisyLines, step: float, draw: Callable[[int], Floats]
    ) -> "Echo":
        """Look along the residual that directions show."""
        v = np.zeros(lines.loss.theta.size)
        for y, stream in zip(first.y, first.streams, strict=True):
            v += y * draw(stream)
        v *= float(np.sqrt(np.count_nonzero(v))) / (norm(v / lines.directions.units) or 1.0)
        away = max(first.away * step, lines.least_away)
        ahead, behind = around(lines, v, step, draw(first.streams[0] + BASE), away)
        y = lines.claim.along(v)[0] - (ahead + behind) / 2
        at = step * np.concatenate([WIDER, -WIDER])
        above, below = np.split(lines.loss.along(v, at), 2)
        near, far = (above - 2 * lines.center + below) / (2 * step * WIDER)
        bent = WIDER[0] / WIDER[1] * far  # of a smooth loss, all that it bends
        return cls(first, y, (ahead - behind) / 2, float(min(abs(near), abs(near - bent) * 4 / 3)))

    @property
    def bar(self) -> float:
        """What chance makes of it once in `FALSE`, and what is no noise."""
        noise = rms(np.array([*self.first.e, self.e]))
        known = truncation(self.first.change, noise) + self.first.tolerated
        return self._sds * noise + known + self.kink

    @property
    def _sds(self) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(len(self.first.e) + 1, 1 - FALSE / 2))

    @property
    def alarms(self) -> bool:
        """Whether the error is there again, of the same sign."""
        return not self.y <= self.bar

    @property
    def limit(self) -> float:
        """The norm of an error that is missed with probability `MISSED` by both, at most."""
        known = [count for count in SHOWN if count <= len(self.first.y)]
        if not known or not np.isfinite(self.bar):
            return self.first.limit
        return min(self.first.limit, SHOWN[max(known)] * self.bar / self._sds)
