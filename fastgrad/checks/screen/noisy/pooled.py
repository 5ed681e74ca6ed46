"""Random directions together: do they show more than differences at two base points differ by?

Along each direction ``y = v . a - (D+ + D-) / 2`` and ``e = (D+ - D-) / 2``, with D+ and D- at base
points on both sides of theta. Rounding and kinks, which are others at each, give y and e one variance;
an error of norm E adds ``E^2`` to that of y. So the sum of all y^2 over that of all e^2 is Fisher's F,
if they are normal, whatever the noise is, and no claim enters it. A single direction needs six sds of
noise; two dozen together see an error of two.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.noisy.lines import NoisyLines
from fastgrad.checks.screen.noisy.second_look import AWAY, around
from fastgrad.numerics.norms import rms

FALSE = 1e-3
"""The probability with which chance alone alarms; fresh directions must alarm too."""
MISSED = 0.01
"""Probability that goes with `Pooled.limit`, for an error in many entries: of those in one to eight
alike fewer are missed from eight directions on, by simulation (``tests/checks/test_pooled.py``)."""
CHANGES = 3.0
"""What a step four times wider differs by is truncation beyond so many rms of e: noise makes 1.5."""
EVALUATIONS_EACH = 4
"""Evaluations of each direction."""


@dataclass
class Pooled:
    """Slopes along random directions of one kind, held against what is claimed of them."""

    away: float = AWAY
    """How far base points are away, in steps."""
    y: list[float] = field(default_factory=list)
    e: list[float] = field(default_factory=list)
    streams: list[int] = field(default_factory=list)
    change: float = 0.0
    """What slopes at steps four times wider differ by, rms."""
    tolerated: float = 0.0
    """What errors within rtol, and the rounding of the gradient, may."""

    def add(
        self, lines: NoisyLines, step: float, draw: Callable[[int], Floats], streams: range
    ) -> None:
        """Look along more directions, with base points that are drawn alike."""
        for stream in streams:
            v = draw(stream)
            away = max(self.away * step, lines.least_away)
            ahead, behind = around(lines, v, step, draw(stream + BASE), away)
            claimed, size, known = lines.claim.along(v)
            self.y.append(claimed - (ahead + behind) / 2)
            self.e.append((ahead - behind) / 2)
            self.streams.append(stream)
            self.tolerated = max(self.tolerated, lines.tolerated(size) + known)

    @property
    def noise(self) -> float:
        """rms of what is no error of the gradient."""
        noise = rms(np.array(self.e))
        return float(np.hypot(noise, truncation(self.change, noise)))

    @property
    def bar(self) -> float:
        """The rms of y beyond which it is one."""
        return float(np.hypot(np.sqrt(_fisher(len(self.y))) * self.noise, self.tolerated))

    @property
    def alarms(self) -> bool:
        """Whether there is an error."""
        return bool(self.y) and not rms(np.array(self.y)) <= self.bar

    @property
    def limit(self) -> float:
        """The norm of an error that is missed with probability `MISSED`, at most."""
        from scipy.special import chdtri

        count = len(self.y)
        if not count or not np.isfinite(self.bar):
            return float("inf")
        return self.bar / float(np.sqrt(chdtri(count, 1 - MISSED) / count))


def truncation(change: float, noise: float) -> float:
    """What D may be off by at all base points alike, from how it changes with the step.

    That falls hardly faster than the step along signs in nets with many kinks, where base points a few
    steps off double it: it may be all of the change. ``noise`` is the rms of e.
    """
    return float(np.sqrt(max(change**2 - (CHANGES * noise) ** 2, 0.0)))


BASE = 1 << 12
"""The stream of a base point, from that of its direction."""


def _fisher(count: int) -> float:
    """The quantile of F beyond which chance is `FALSE`, with so many degrees on both sides."""
    from scipy.special import fdtri

    return float(fdtri(count, count, 1 - FALSE))
