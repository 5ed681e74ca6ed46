"""Random directions: is anything wrong, and what error would have been missed with what probability?

For e = a - g and a direction v of `fastgrad.detect.directions`, a difference along v shows v . e
within a bar B. An error of norm E is missed by one direction with probability at most
``1.472 B / E`` (Rudelson and Vershynin, Int. Math. Res. Not. 2015), by k with its k-th power; a
single entry is never attenuated below 0.48. An alarm counts only if it stands once truncation is
taken out, ``(4 y(h/2) - y(h)) / 3``, where the noise is 3 times wider: the limits include that.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgrad.detect.directions import UNIT_VARIANCE, Directions
from fastgrad.detect.preflight import Loss
from fastgrad.evaluate import Evaluator
from fastgrad.numerics.bars import NOISE_SDS, WIDER, local_noise, noise_bar
from fastgrad.numerics.steps import adaptive_steps
from fastgrad.params import Floats, Layout

GLOBAL = 4
"""Directions through all entries; with the bound above, 140 bars are missed with P = 1e-6."""
PER_BLOCK = 2

FINER = 2.0
"""Part of the step at which an alarm is looked at again."""
CONFIRMED = 3.0
"""Bars of a confirmation, in bars of the first look: (4 x 2 + 1) / 3."""
KINK = 4.0
"""A kink between the two steps biases y(h) by at most so many times what it shows: either y or the
second difference changes by an eighth of its jump, wherever it lies, and the bias is at most half."""
TOLERATED = 12.0
"""Directions show at most so many times the norm of errors of rtol: 6 sds, and twice the norm of
the gradient, for small entries are compared with the rms."""

MISSED = 1e-6
"""Probability that goes with `norm_limit`."""
SMALL_BALL = 1.472
MISSED_ENTRY = 1e-3
"""Probability that goes with `entry_limit`."""
SIZES = UNIT_VARIANCE * (0.5 + (np.arange(32) + 0.5) / 32)
"""Of the entries of a direction: quantiles."""

STEP = 2.0**-20
"""First step tried along all entries of a large theta."""
STEP_OF_ONE = 2.0**-16
"""Step along a single entry: between 1 and n entries steps follow a power law."""
SMALLEST_STEP, LARGEST_STEP = 2.0**-40, 2.0**-6

CHUNK = 1 << 16
BISECTIONS = 20


@dataclass(frozen=True)
class Reading:
    """``v . (a - g)`` as measured, and the bar of its error; infinite where the loss was not."""

    y: float
    bar: float
    proves: bool = False
    """Whether neither kinks nor errors within rtol explain an alarm."""

    @property
    def alarms(self) -> bool:
        return abs(self.y) > self.bar

    def minus(self, other: "Reading") -> "Reading":
        return Reading(self.y - other.y, self.bar + other.bar)


class Lines:
    """Measures the gradient under test along directions.

    Parameters
    ----------
    run : Evaluator
    loss : Loss
        From preflight.
    analytic : ndarray, shape (n,)
        The gradient under test; what is found to be wrong is replaced in it.
    unit : float
        The rounding unit it was given in.
    rtol : float
        Relative errors below it do not matter.
    """

    def __init__(self, run: Evaluator, loss: Loss, analytic: Floats, unit: float, rtol: float):
        self.run = run
        self.loss = loss
        self.a = analytic
        self.unit = unit
        self.rtol = rtol
        self.replaced: dict[int, float] = {}
        """Bars of the entries of ``a`` that are differences by now."""
        self.count = analytic.size
        self.step = STEP

    def probe_step(self, v: Floats, count: int) -> None:
        """Find the step along a direction of ``count`` entries; others follow by a power law."""

        def sample(_: object, offsets: Floats) -> Floats:
            return self.run.along(v, offsets.ravel()).reshape(offsets.shape)

        start = max(STEP, STEP_OF_ONE / np.sqrt(count))
        h = adaptive_steps(
            sample,
            np.array([start]),
            np.array([SMALLEST_STEP]),
            np.array([LARGEST_STEP if count > 1 else STEP_OF_ONE]),
            self.loss.noise,
        )
        self.step, self.count = float(h[0]), count

    def step_for(self, count: int) -> float:
        """Half the power law's step along ``count`` entries, a power of two."""
        if count >= self.count:
            return self.step
        slope = np.log(max(STEP_OF_ONE / self.step, 1.0)) / np.log(max(self.count, 2))
        h = self.step * (self.count / max(count, 1)) ** slope
        return float(max(self.step, 2.0 ** (np.floor(np.log2(h)) - 1)))

    def measure(self, v: Floats, step: float) -> Reading:
        """``v . a`` against a central difference along v."""
        claimed, size = self._claimed(v)
        return self._read(v, step, claimed, size)[0]

    def confirmed(self, v: Floats, step: float) -> Reading:
        """`measure`, and once more at half the step before an alarm is believed.

        Where the loss is not finite there, the step shrinks. The reading of an alarm that did not
        stand is that of the confirmation, which does not alarm.
        """
        claimed, size = self._claimed(v)
        near, bend = self._read(v, step, claimed, size)
        while np.isinf(near.bar) and step > SMALLEST_STEP:
            step /= WIDER
            near, bend = self._read(v, step, claimed, size)
        if not near.alarms:
            return near
        nearer, less_bend = self._read(v, step / FINER, claimed, size)
        y = (4 * nearer.y - near.y) / 3
        confirmation = Reading(y, (4 * nearer.bar + near.bar) / 3)
        if not confirmation.alarms:
            return confirmation
        kink = KINK * max(abs(near.y - nearer.y), abs(less_bend - bend / FINER))
        doubt = kink + TOLERATED * self.rtol * size
        return Reading(near.y, near.bar, proves=abs(near.y) > near.bar + doubt)

    def _claimed(self, v: Floats) -> tuple[float, float]:
        """``v . a``, and the norm of its terms."""
        total, squares = 0.0, 0.0
        for start in range(0, v.size, CHUNK):
            part = slice(start, start + CHUNK)
            products = self.a[part] * v[part]
            total += float(products.sum())
            squares += float(np.square(products).sum())  # no BLAS: its threads cost more to wake
        return total, float(np.sqrt(squares))

    def _read(self, v: Floats, step: float, claimed: float, size: float) -> tuple[Reading, float]:
        """A reading, and the second difference over the step: what a kink between shows."""
        above, below = self.run.along(v, np.array([step, -step]))
        D = (above - below) / (2 * step)
        if not np.isfinite(D):
            return Reading(0.0, float("inf")), 0.0
        sigma = local_noise(self.loss.noise, np.array([above]), np.array([below]))
        bar = float(noise_bar(sigma, np.array([step]))[0]) + 3 * self.unit * size
        bar += sum(abs(float(v[i])) * known for i, known in self.replaced.items())
        bend = (above - 2 * self.loss.value + below) / step
        return Reading(float(claimed - D), bar), float(bend)

    def replace(self, position: int, difference: float, bar: float) -> None:
        """Put a difference quotient in the place of an entry found to be wrong."""
        self.a[position] = difference
        self.replaced[position] = bar


@dataclass(frozen=True)
class Screen:
    """What the directions said."""

    readings: tuple[Reading, ...]
    """Of the directions through everything."""
    blocks: tuple[tuple[Reading, ...], ...]
    """Of each block's own; none for constants."""

    @property
    def failing(self) -> list[int]:
        """Blocks of which a direction alarms."""
        return [b for b, own in enumerate(self.blocks) if any(r.alarms for r in own)]

    @property
    def alarms(self) -> bool:
        return any(r.alarms for r in self.readings) or bool(self.failing)


def screen(
    lines: Lines,
    directions: Directions,
    layout: Layout,
    counts: list[int],
    going_on: Callable[..., bool],
) -> Screen | None:
    """Measure along random directions, through everything and through each block.

    Parameters
    ----------
    counts : list of int
        Entries of each block that may be perturbed.
    going_on : callable
        Whether the time allows so many more evaluations (two, if not said); asked before each
        direction, and None is returned once it says no.
    """
    v = directions.draw(0)
    lines.probe_step(v, sum(counts))
    readings: list[Reading] = []
    for k in range(GLOBAL):
        if not going_on():
            return None
        readings.append(lines.confirmed(v if k == 0 else directions.draw(k), lines.step))
    blocks: list[tuple[Reading, ...]] = []
    for b, block in enumerate(layout.blocks):
        own: list[Reading] = []
        for k in range(PER_BLOCK if counts[b] else 0):
            if not going_on():
                return None
            v = directions.draw(block_stream(b, k), block.start, block.stop)
            own.append(lines.confirmed(v, lines.step_for(counts[b])))
        blocks.append(tuple(own))
    return Screen(tuple(readings), tuple(blocks))


def norm_limit(readings: list[Reading]) -> float:
    """An error of at least this norm is missed by clean directions with probability `MISSED`."""
    bars = [CONFIRMED * reading.bar for reading in readings if not reading.alarms]
    if not bars:
        return float("inf")
    with np.errstate(divide="ignore"):  # without any noise the limit is 0
        mean = np.exp(np.mean(np.log(bars)))
    return float(SMALL_BALL * mean * MISSED ** (-1 / len(bars)))


def entry_limit(readings: list[Reading]) -> float:
    """Size of a single wrong entry that clean directions miss with probability `MISSED_ENTRY`."""
    bars = [CONFIRMED * r.bar for r in readings if not r.alarms and np.isfinite(r.bar)]
    if not bars or not min(bars):
        return 0.0 if bars else float("inf")
    low, high = min(bars) / 2, 4 * max(bars)
    for _ in range(BISECTIONS):
        error = float(np.sqrt(low * high))
        missed = np.prod(_missed(error / np.array(bars)))
        low, high = (low, error) if missed <= MISSED_ENTRY else (error, high)
    return high


def _missed(errors: Floats) -> Floats:
    """Probability that one direction misses an error of so many bars, of 6 sds of noise each."""
    from scipy.special import ndtr

    return np.asarray(ndtr(NOISE_SDS * (1 - errors[:, None] * SIZES)).mean(axis=1))


def block_stream(block: int, k: int) -> int:
    """The number of a block's own k-th direction."""
    return (1 << 20) + block * (1 << 10) + k
