"""Random directions: is anything wrong, and what error would have been missed with what probability?

For e = a - g and a direction v of `fastgrad.detect.directions`, a difference along v shows v . e
within a bar B. An error of norm E is missed by one direction with probability at most
``1.472 B / E`` (Rudelson and Vershynin, Int. Math. Res. Not. 2015), by k with its k-th power; a
single entry is never attenuated below 0.48. An alarm counts only if it stands at an eighth of the
step, where truncation is 64 times less and the noise 8 times more: the limits include that.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgrad.detect.directions import Directions
from fastgrad.detect.preflight import Loss
from fastgrad.evaluate import Evaluator
from fastgrad.numerics.bars import WIDER, local_noise, noise_bar
from fastgrad.numerics.steps import adaptive_steps
from fastgrad.params import Floats, Layout

GLOBAL = 4
"""Directions through all entries; with the bound above, 46.5 bars are missed with P = 1e-6."""
PER_BLOCK = 2

MISSED = 1e-6
"""Probability that goes with `Screen.limit`."""
SMALL_BALL = 1.472

SINGLE = 2.2
"""A single entry off by so many bars of the confirmation is missed by two directions with
probability at most 1e-3: by one, the integral of Phi(-6 (2.2 v - 1)) over v in U(0.48, 1.44),
which is 0.02."""

STEP = 2.0**-20
"""First step tried along all entries of a large theta."""
STEP_OF_ONE = 2.0**-16
"""Step along a single entry: between 1 and n entries steps follow a power law."""
SMALLEST_STEP, LARGEST_STEP = 2.0**-40, 2.0**-6

CHUNK = 1 << 16


@dataclass(frozen=True)
class Reading:
    """``v . (a - g)`` as measured, and the bar of its error."""

    y: float
    bar: float

    @property
    def alarms(self) -> bool:
        return not abs(self.y) <= self.bar

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
    unit : ndarray, shape (n,) or number
        The rounding unit it was given in.
    """

    def __init__(self, run: Evaluator, loss: Loss, analytic: Floats, unit: float):
        self.run = run
        self.loss = loss
        self.a = analytic
        self.unit = unit
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
        claimed, size = 0.0, 0.0
        for start in range(0, v.size, CHUNK):
            part = slice(start, start + CHUNK)
            products = self.a[part] * v[part]
            claimed += float(products.sum())
            size += float(np.square(products).sum())  # no BLAS: its threads cost more to wake
        above, below = self.run.along(v, np.array([step, -step]))
        D = (above - below) / (2 * step)
        sigma = local_noise(self.loss.noise, np.array([above]), np.array([below]))
        bar = float(noise_bar(sigma, np.array([step]))[0]) + 3 * self.unit * float(np.sqrt(size))
        bar += sum(abs(float(v[i])) * known for i, known in self.replaced.items())
        return Reading(float(claimed - D), bar if np.isfinite(D) else float("inf"))

    def replace(self, position: int, difference: float, bar: float) -> None:
        """Put a difference quotient in the place of an entry found to be wrong."""
        self.a[position] = difference
        self.replaced[position] = bar

    def confirmed(self, v: Floats, step: float) -> Reading:
        """`measure`, and once more at an eighth of the step before an alarm is believed.

        The reading of an alarm that did not stand is the confirmation's, which does not alarm.
        """
        first = self.measure(v, step)
        if not first.alarms and np.isfinite(first.y):
            return first
        second = self.measure(v, step / WIDER)
        return first if second.alarms and np.isfinite(first.y) else second


@dataclass(frozen=True)
class Screen:
    """What the directions said."""

    readings: tuple[Reading, ...]
    """Of the directions through everything."""
    blocks: tuple[tuple[Reading, ...], ...]
    """Of each block's own; none for constants."""
    limit: float
    """An error of at least this norm is missed with probability at most `MISSED`."""
    entry_limits: tuple[float, ...]
    """Size of a single wrong entry of each block that is missed with probability at most 1e-3."""

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
    going_on: Callable[[], bool],
) -> Screen | None:
    """Measure along random directions, through everything and through each block.

    Parameters
    ----------
    counts : list of int
        Entries of each block that may be perturbed.
    going_on : callable
        Asked before each direction; None is returned once it says no.
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
    widest = max(reading.bar for reading in readings)
    return Screen(
        readings=tuple(readings),
        blocks=tuple(blocks),
        limit=SMALL_BALL * WIDER * widest * MISSED ** (-1 / GLOBAL),
        entry_limits=tuple(
            SINGLE * WIDER * max((r.bar for r in own), default=0.0) for own in blocks
        ),
    )


def block_stream(block: int, k: int) -> int:
    """The number of a block's own k-th direction."""
    return (1 << 20) + block * (1 << 10) + k
