"""The slope along a line of an f that is rough: kinks and noise, where no step is clean.

A central difference D(h) errs by the rounding of f, of sd ``sigma / (sqrt(2) h)``, by kinks crossed,
which make the slope a random walk whose error grows like sqrt(h), and by truncation. The last two are
measured, without any claim: with W the walk, of variance k a unit, an average of W over (0, h) has
variance k h / 3, so that

- D(h) errs by an sd of ``sqrt(k h / 6)``,
- and D(4h) - D(h) has 1.5 times that, a second difference ``E(h) = (f+ - 2 f0 + f-) / h`` twice that,
  and ``E(h) - E(4h) / 4``, which is free of curvature, 1.5 times.

What these show of D(h) is taken for the sd of its error, truncation included; steps go by factors of 4
to where that and rounding are in balance.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.numerics.bars import CENTRAL_GAIN, NOISE_SDS
from fastgrad.numerics.norms import rms
from fastgrad.numerics.rounding import local_noise

RUNG = 4.0
"""Ratio of one step to the next."""
MOST_RUNGS = 6
"""Steps along one line, of two evaluations each."""
SHOWN = 2 / 3
"""sd of the error of D(h) over that of ``D(4h) - D(h)``, and of ``E(h) - E(4h) / 4``."""
ROUGH_SDS = 5.0
"""Bars in what is shown of the error: of 250 lines in ReLU nets in float32 one was off by 7.6 of it, and
the next by 4.4, for it is told from two numbers; an alarm is therefore looked at again elsewhere."""
CHANGES, BENDS = 0.7, 1.2
"""sd of what rounding alone shows, in that of D(h)."""
DOUBTFUL = 2.0
"""Roughness that two numbers tell of may be rounding up to so many bars of it: a wider step tells."""
STANDS_OUT = 2.0
"""What a finer step shows counts from so many sds of its rounding, four times that of this one."""
NOISE_SHOWN = 2.0
"""Rounding shows up to so many of its sds, and the bar for it holds what hides behind that."""
CHANGE_OF_NOISE, BEND_OF_NOISE = 0.73, 1.73
"""What noise of sd 1 makes of ``(D(4h) - D(h)) h``, and of a second difference beside a value at x that
is known better than others, but not exactly."""
TELLS, PLAIN = 0.2, 2.0**12
"""A bar of this part of the slope tells something of it. Where none does, and f moves by no more than
so many sds of its noise, steps that are wider are looked at, though this one seems rough."""
LASTS = 0.5
"""What changes f by so much of what it did at the step before, four times as wide, is noise: what kinks
make falls by 4 at least."""


@dataclass(frozen=True)
class Slope:
    """A slope along a line, and what it may err by; infinite where f is not finite at any step."""

    value: float
    bar: float
    step: float
    rounding: float = 0.0
    """The part of the bar that is rounding, and falls with the step."""
    rough: float = 0.0
    """The part that is kinks and truncation, and grows with it."""
    change: float = 0.0
    """What the slope at four times the step differs by."""


class _Ladder:
    """Differences at steps that differ by factors of 4, the k-th finer than the first by 4^k."""

    def __init__(self, sample: Callable[[Floats], Floats], base: float, sigma: float, start: float):
        self.sample, self.base, self.sigma, self.start = sample, base, sigma, start
        self.D: dict[int, float] = {}
        self.E: dict[int, float] = {}

    def take(self, k: int) -> None:
        h = self.step(k)
        above, below = self.sample(np.array([h, -h]))
        with np.errstate(invalid="ignore", over="ignore"):
            self.D[k] = float((above - below) / (2 * h))
            self.E[k] = float((above - 2 * self.base + below) / h)
        if np.isfinite(self.D[k]):
            self.sigma = float(local_noise(self.sigma, np.array([above, below])).max())

    def step(self, k: int) -> float:
        return self.start * RUNG**-k

    def rounding(self, k: int) -> float:
        return NOISE_SDS * CENTRAL_GAIN * self.sigma / self.step(k)

    def shown(self, k: int) -> float:
        """The sd of the error of D(h_k) that step k and the next wider one show, beyond rounding."""
        change = SHOWN * abs(self.D[k - 1] - self.D[k])
        bend = min(abs(self.E[k]) / 2, SHOWN * abs(self.E[k] - self.E[k - 1] / RUNG))
        noise = NOISE_SHOWN * self.rounding(k) / NOISE_SDS
        excess = max(change**2 - (CHANGES * noise) ** 2, bend**2 - (BENDS * noise) ** 2, 0.0)
        return float(np.sqrt(excess))

    def rough(self, k: int) -> float:
        """The bar by what this step and its neighbours show: one pair alone may agree by chance."""
        shown = [self.shown(k)]
        if k - 1 in self.D and k - 2 in self.D:  # of which truncation may be a good part
            shown.append(self.shown(k - 1) / RUNG)
        if k + 1 in self.D and self.shown(k + 1) * NOISE_SDS > STANDS_OUT * self.rounding(k + 1):
            shown.append(self.shown(k + 1) * float(np.sqrt(RUNG)))
        return ROUGH_SDS * max(shown)

    def noise_at(self, k: int) -> Floats:
        """The noise of f that step k shows, were it nothing else."""
        shown = [abs(self.E[k]) * self.step(k) / BEND_OF_NOISE]
        if k - 1 in self.D:
            shown.append(abs(self.D[k] - self.D[k - 1]) * self.step(k) / CHANGE_OF_NOISE)
        return np.array(shown)

    def is_noise(self, k: int) -> bool:
        """Whether what step k shows is noise beyond what is known: it is no less than a step before."""
        return rms(self.noise_at(k)) > max(self.sigma, LASTS * rms(self.noise_at(k - 1)))

    def hear(self, k: int) -> None:
        """Take for noise what step k and the next wider one show, if that is more."""
        shown = np.concatenate([self.noise_at(k), self.noise_at(k - 1)])
        self.sigma = max(self.sigma, rms(shown))

    def best(self, steps: range) -> Slope:
        return min((self.slope(k) for k in steps), key=lambda slope: slope.bar)

    def tells(self, steps: range) -> bool:
        """Whether some of these steps tell more than that there is a slope."""
        known = self.best(steps)
        return known.bar <= TELLS * abs(known.value)

    def is_hidden(self, steps: range) -> bool:
        """Whether these tell nothing, and noise may be why: over the widest f moves by little more."""
        widest = steps.start - 1
        moved = 2 * self.step(widest) * abs(self.D[widest])
        return moved <= PLAIN * self.sigma and not self.tells(steps)

    def slope(self, k: int) -> Slope:
        rounding, rough = self.rounding(k), self.rough(k)
        bar = float(np.hypot(rounding, rough))
        change = self.D[k - 1] - self.D[k]
        return Slope(self.D[k], bar, self.step(k), rounding, rough, change)


def rough_slope(
    sample: Callable[[Floats], Floats],
    base: float,
    sigma: float,
    steps: tuple[float, float, float],
    most: int = MOST_RUNGS,
    coarse: bool = False,
) -> Slope:
    """The slope along a line at the step where rounding and roughness are in balance.

    Parameters
    ----------
    sample : callable
        f at offsets along the line, shape (k,) -> (k,).
    base : float
        f at offset 0, known better than a single value of f.
    sigma : float
        sd of the rounding of one value of f.
    steps : (float, float, float)
        Where to begin, the smallest and the largest step.
    most : int
        Steps to try; at least two are.
    coarse : bool
        Whether f has few digits: along a line on which some of its sums stand still it may be rougher
        than ``sigma``, which the steps show then.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal
    >>> def f(t):
    ...     return np.sin(t) + 1e-7 * noise(t.size)
    >>> found = rough_slope(f, 0.0, 1e-7, (2.0**-8, 2.0**-30, 0.25))
    >>> abs(found.value - 1) <= found.bar <= 1e-3
    True
    """
    start, smallest, largest = steps
    ladder = _Ladder(sample, base, sigma, start)
    ladder.take(0)
    while not np.isfinite(ladder.E[0]) and ladder.start > smallest:
        ladder.start /= RUNG
        ladder.take(0)
    if not np.isfinite(ladder.E[0]):
        return Slope(0.0, float("inf"), ladder.start)
    ladder.take(1)
    finest = 1
    while len(ladder.D) < most and ladder.step(finest + 1) >= smallest:
        if ladder.rough(finest) <= ladder.rounding(finest):
            break
        if coarse and ladder.is_noise(finest):
            break
        finest += 1
        ladder.take(finest)
    if coarse and not ladder.tells(range(1, finest + 1)):
        ladder.hear(finest)
    widest = 0
    doubtful = 1.0 if coarse else DOUBTFUL
    while len(ladder.D) < most and ladder.step(widest - 1) <= largest:
        is_rough = ladder.rough(widest + 1) > doubtful * ladder.rounding(widest + 1)
        if is_rough and not (coarse and ladder.is_hidden(range(widest + 1, finest + 1))):
            break
        ladder.take(widest - 1)
        if not np.isfinite(ladder.E[widest - 1]):
            break
        widest -= 1
    return ladder.best(range(widest + 1, finest + 1))
