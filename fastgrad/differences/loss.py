"""The loss around one theta, and what was measured of it: all that differences are taken with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import ClassVar, NamedTuple

import numpy as np

from fastgrad.arrays import CHUNK, Floats, Indices, Mask
from fastgrad.differences.directions import WRITTEN_OUT, Directions
from fastgrad.evaluate.drawn import Direction, Drawn, written_out
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.evaluate.purity import REORDERING, SCATTER, require_deterministic, require_finite
from fastgrad.evaluate.units import Units
from fastgrad.numerics.levels import Levels, levels_of
from fastgrad.numerics.noise import (
    ATTEMPTS,
    FIRST_SPACING,
    POINTS,
    UNSURPRISING,
    rounding_noise,
    settled_noise,
    table_noise,
)
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import power_of_two
from fastgrad.numerics.windows import grain_of
from fastgrad.parameters.layout import Layout

REPEATS = 3
"""Caught dropout of probability 1e-3 in 200 of 200 losses; rarer kinds show up during the sweep."""
PAIR = np.array([0.0, 0.0, 1.0, 1.0])
"""The same twice at theta and twice a unit away, where a loss that is random everywhere but at theta
shows it: two pairs of repeats see at least what three of one point do."""
AWAY = (1.0, 2.0**-6, CENTRAL[2].step)
"""Distances, in units, tried one after the other where the loss raises."""
MORE_REPEATS = 6
"""Repeats of a loss whose repeats differ: does it scatter, or approach a limit?"""
APPROACHES = 0.25
"""Repeats approach a limit if the second half of their changes is at most this part of the first."""
NOISE_DIRECTIONS = 5
"""Directions of which the largest noise counts: one alone was found 2 times too low."""
BRIEF_LINES = 3
"""So few directions do where the two largest noises differ by less than `ALIKE`, and where an alarm is
looked at again."""
ALIKE = 3.0
ONE_LINE = 2.0
"""What the noise seen along a single line may be too low by."""
LINE_EVALUATIONS = POINTS.size
"""What a line takes where its first spacing shows the noise."""
NOISE_STREAM = 1 << 32
"""Directions from here on are for noise."""
AWAY_FROM_IT = CENTRAL[2].step + FIRST_SPACING * POINTS
"""The offsets at which noise is looked for along one line that stands for all."""
BRIEFLY = 10
"""Up to so many parameters, all lines would take three evaluations an entry or more."""
UNLIKE = 3
"""Entries move by 1, 1/2 or 1/4 of their units along that line."""
FEW_ULPS = 4.0
LONGER_AT_MOST = 2.0**11
"""Steps in units that are given are no longer than 2^-6 of them for the noise."""
FINEST_ALONG = 2.0**-20
"""Steps along directions, in units, at which points are to be exact."""
FINEST_QUANTUM, COARSEST_QUANTUM = 2.0**-10, 0.5
"""Parts of a unit that entries of directions, a half to one and a half, are multiples of."""
FINE_PART = 2.0**-3
"""Part of the entries that stand for all where noise is looked for."""
FEW_ENTRIES = 5
"""Up to so many parameters, directions do not show what single coordinates see: measure those too."""


Line = Callable[[Floats], Floats]
"""f at offsets along a line."""


class Repeats(NamedTuple):
    """The loss at theta, asked again and again."""

    value: float
    spread: float = 0.0
    """How much the answers differed."""
    drifts: bool | None = None
    """Whether they approach a limit; None where they differ by no more than rounding."""
    away: float = 0.0
    """f at the other point that was repeated, about a unit away; 0 where there was none."""


class NoiseLine(NamedTuple):
    """The noise seen along one line, None if there is none, and the values it was looked for in."""

    sigma: float | None
    values: Floats
    spacing: float = FIRST_SPACING


FEW_VALUES = 5
COARSE = 2.0**8
"""A loss is coarse whose values are multiples of so many of their units in the last place."""
FEW_ROUNDINGS = 4.0
"""A loss of so few values, no further apart in units of rounding, says nothing of its gradient."""

HALF_BITS = {"bfloat16": 7, "float16": 10}
"""Bits after the first of numbers of half precision."""
NEIGHBOURS = 2.0
"""Values so many units apart are neighbours, and no counts that happen to be short."""


@dataclass(frozen=True)
class Measured:
    """What repeats and noise lines say of a loss."""

    value: float
    least: float
    """sd of one evaluation by repeats and rounding alone, absolute."""
    repeats: Repeats
    """What was seen at theta again and again."""
    glimpse: NoiseLine | None = None
    """One line at one spacing."""
    lines: tuple[NoiseLine, ...] = ()
    """All lines, each at the spacing that suits it."""
    entry_noise: Floats | None = None
    """sd of each entry's values, shape (n,), where it is not ``noise``."""

    @classmethod
    def of(cls, repeats: Repeats) -> "Measured":
        """What repeats say alone."""
        value = repeats.value
        return cls(value, max(repeats.spread, float(rounding_noise(value))), repeats)

    @cached_property
    def noise(self) -> float:
        """sd of one evaluation, absolute.

        Where no value differs from another it is the rounding of a number of size 1 at least, as
        there may be within the loss: what says nothing proves nothing.
        """
        least = self.least
        if self.silent:
            least = max(least, float(rounding_noise(max(abs(self.value), 1.0))))
        if not self.lines and self.glimpse is not None:
            return max(least, ONE_LINE * (self.glimpse.sigma or 0.0))
        return max([least, *(line.sigma or 0.0 for line in self.lines)])

    @cached_property
    def silent(self) -> bool:
        """Whether the loss was the same at every point, or of a few values that rounding tells apart.

        So is what is saturated: the cross entropy of a class that is sure, 1 - tanh(20).
        """
        if not self.lines:  # a single one may be a direction along which f is level
            return False
        apart = self.seen.max() - self.seen.min()
        if not apart <= FEW_ROUNDINGS * np.spacing(max(abs(self.value), 1.0)):
            return False
        return np.unique(self.seen).size <= FEW_VALUES

    @cached_property
    def is_level(self) -> bool:
        """Whether no point on a line that was seen has another value than theta."""
        return bool(np.all(self.seen == self.value))

    @cached_property
    def levels(self) -> Levels | None:
        """The values that it jumps between along every line, if it does."""
        return levels_of([line.values for line in self.lines])

    @cached_property
    def seen(self) -> Floats:
        """The values in which noise was looked for."""
        lines = self.lines or ((self.glimpse,) if self.glimpse is not None else ())
        return np.concatenate([[self.value], *(line.values for line in lines)])

    @cached_property
    def grain(self) -> float:
        """The unit of which all values seen are multiples (`fastgrad.numerics.windows.grain_of`)."""
        return grain_of(self.seen)

    @property
    def is_coarse(self) -> bool:
        """Whether the values seen are coarser than float64, as those of single precision are.

        One of a few values wherever its noise was looked for may be coarser still.
        """
        seen = self.seen[np.isfinite(self.seen)]
        few = np.unique(seen).size <= FEW_VALUES
        return few or bool(self.grain > COARSE * np.spacing(np.abs(seen).max()))

    @property
    def is_plain(self) -> bool:
        """Whether a glimpse shows noise of the size that rounding leaves, and nothing else."""
        told = self.glimpse is not None and self.glimpse.sigma is not None
        return told and self.noise <= UNSURPRISING * self.least and not self.is_coarse

    @cached_property
    def float32(self) -> bool:
        """Whether every value seen is a float32."""
        seen = self.lines or ((self.glimpse,) if self.glimpse is not None else ())
        return bool(seen) and _all_float32([line.values for line in seen])

    @cached_property
    def half(self) -> str:
        """The half precision that every value seen is a number of, beside its neighbours; or nothing."""
        if not (np.isfinite(self.seen).all() and _are_float32(self.seen)):
            return ""
        return half_of(np.unique(self.seen))


@dataclass(frozen=True)
class Loss:
    """A loss around one theta, with what was measured of it.

    Parameters
    ----------
    run : Evaluator
    layout : Layout
        Of theta.
    free : ndarray of bool, shape (n,), or None
        What may be perturbed; None for everything.
    units : Units
        Of theta's entries: what steps, directions and errors are measured in.
    measured : Measured
    """

    run: Evaluator
    layout: Layout
    free: Mask | None
    units: Units
    measured: Measured
    of_many: ClassVar[bool] = False
    """Whether it stands for many functions that share evaluations."""

    theta: Floats = field(init=False)
    count: int = field(init=False)
    """How many entries may be perturbed."""
    value: float = field(init=False)
    """f(theta)."""
    base: float = field(init=False)
    """f(theta) as `values` gives it: 0 where those are differences."""
    values: Callable[[Indices, Floats], Floats] = field(init=False)
    """f at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k): what the evaluator says."""
    along: Callable[[Direction, Floats], Floats] = field(init=False)
    """f at ``theta + offsets[j] direction``, shape (k,)."""
    lines: Callable[[Floats, Floats], Floats] = field(init=False)
    """f at ``theta + offsets[i, j] directions[i]``, shape (m, k)."""
    noise: float = field(init=False)
    """sd of one evaluation, absolute."""

    def __post_init__(self) -> None:
        value, free = self.measured.value, self.free
        vars(self).update(
            theta=self.run.theta,
            values=self.run.coordinates,
            along=self.run.along if self.layout.size < WRITTEN_OUT else partial(along, self.run),
            lines=self.run.lines,
            count=self.layout.size if free is None else int(np.count_nonzero(free)),
            value=value,
            base=0.0 if self.run.structured else value,
            noise=self.measured.noise,
        )

    @classmethod
    def measure(
        cls,
        run: Evaluator,
        layout: Layout,
        free: Mask | None,
        units: Units,
        known: tuple[int, Repeats | None] = (0, None),
    ) -> "Loss":
        """The loss with its noise and its precision, in some 30 evaluations.

        Parameters
        ----------
        known : (int, Repeats or None)
            The seed, and what `repeat_loss` gave, which is called without it.

        Raises
        ------
        NondeterministicLossError, NonFiniteLossError
        """
        seed, repeats = known
        repeats = repeat_loss(run) if repeats is None else repeats
        guessed = replace(units, unknown=None)  # nobody is to find them
        return cls(run, layout, free, guessed, Measured.of(repeats)).studied(seed)

    @classmethod
    def measure_briefly(
        cls, run: Evaluator, layout: Layout, free: Mask | None, units: Units
    ) -> "Loss":
        """The same in eight evaluations for few entries, where the noise on one line is of rounding.

        It counts `ONE_LINE` times. The line is a step off theta, where differences are taken, and its
        entries move by unlike parts of their units, of which no two cancel. Theta comes first and last.

        Raises
        ------
        NondeterministicLossError, NonFiniteLossError
        """
        count = run.theta.size if free is None else int(np.count_nonzero(free))
        if run.structured or count > BRIEFLY:
            return cls.measure(run, layout, free, units)
        v = Directions(units.near, free, 0).draw_exact(NOISE_STREAM)
        v = np.ldexp(v, -(np.arange(v.size) % UNLIKE))
        with np.errstate(all="ignore"):
            values = run.along(v, np.concatenate([[0.0], AWAY_FROM_IT, [0.0]]))
        if np.isfinite(values).all() and values[0] == values[-1]:
            value, beside = float(values[0]), values[1:-1]
            glimpse = NoiseLine(table_noise(beside), beside)
            measured = replace(Measured.of(Repeats(value)), glimpse=glimpse)
            if measured.is_plain:
                return cls(run, layout, free, units, measured)
        return cls.measure(run, layout, free, units)

    def glimpsed(self, seed: int, points: Floats = POINTS[:-1]) -> "Loss":
        """The same with what a single line says of its noise, in five evaluations.

        Such noise counts `ONE_LINE` times. Entries whose unit nothing tells stand still, if others do
        not: how f is rounded where a unit is far too large would pass for its noise.

        Parameters
        ----------
        points : ndarray
            Places on the line beside theta, in spacings: all of `POINTS` are what `studied` begins with.
        """
        v, line = self.noise_line(seed)
        spacing = self._spacing(v, FIRST_SPACING)
        values = np.append(self.base, line(spacing * points))
        sigma = table_noise(values) if np.isfinite(values).all() else None
        seen = NoiseLine(sigma, values + self.run.reference, spacing)
        return replace(self, measured=replace(self.measured, glimpse=seen))

    def noise_line(self, seed: int) -> tuple[Direction, Line]:
        """The direction that a glimpse goes along, and f at offsets along it."""
        return next(_noise_lines(self.run, self._noise_directions(seed)))

    def _noise_directions(self, seed: int) -> Directions:
        """Directions along which noise is looked for: of entries that the first spacing moves exactly.

        Where few of them are told apart at it, as where all lie far out, spacings are longer instead;
        kinks then show more, where there are any.
        """
        units, near = self.units, self.units.near
        if units.unknown is not None and not units.unknown.all():
            near = np.where(units.unknown, 0.0, near)  # nothing tells their unit
        if not units.given:
            return Directions(near, self.free, seed)
        fine = FEW_ULPS * np.spacing(np.abs(self.theta)) <= FIRST_SPACING * units.near
        fine &= True if self.free is None else self.free
        enough = np.count_nonzero(fine) >= max(FEW_ENTRIES + 1, FINE_PART * self.count)
        return Directions(near, fine if enough else self.free, seed)

    def _spacing(self, v: Direction, spacing: float) -> float:
        """A spacing along v that moves all entries exactly."""
        return max(spacing, finest_offset(self.theta, v)) if self.units.given else spacing

    @cached_property
    def finest(self) -> float:
        """The smallest offset in units, a power of two, that moves all entries by a few last places.

        0 where theta shows the units: an entry of an array may be some times larger than they are, and
        where it is, steps are far longer than that.
        """
        return finest_offset(self.theta, self.units.entry) if self.units.given else 0.0

    @cached_property
    def lattice(self) -> tuple[Floats, float] | None:
        """What entries of a direction are multiples of, shape (n,), and the least exact step.

        None where theta shows the units: rounding of points is then no more than that of f.
        """
        if not self.units.given:
            return None
        unit, last = self.units.entry, 2 * np.spacing(np.abs(self.theta))  # beyond a power of two
        quantum = np.clip(last / FINEST_ALONG, FINEST_QUANTUM * unit, COARSEST_QUANTUM * unit)
        return quantum, float(power_of_two(2 * (last / quantum).max()))

    def studied(self, seed: int, brief: bool = False, first: Floats | None = None) -> "Loss":
        """The same with what all lines say of its noise, in some 30 evaluations.

        If ``brief``, until `BRIEF_LINES` tell of about the same noise. ``first`` are the values at all
        of `POINTS` on the first line, if they are known.

        All lines are looked at with the first spacing. Only where none of them tells is another
        sought, on the first of them that shows noise at all; the others are looked at with that.
        """
        directions, spacing = self._noise_directions(seed), FIRST_SPACING
        for attempts in (1, ATTEMPTS):
            known, lines, told = self.measured.least, [], False
            for v, line in _noise_lines(self.run, directions):
                finest = partial(finest_offset, self.theta, v)
                near = self._spacing(v, spacing)
                sample = line if first is None else _known_first(line, first)
                first = None
                found = settled_noise(sample, known, finest, near, 1 if told else attempts)
                values = found.values + self.run.reference
                lines.append(NoiseLine(found.sigma, values, found.spacing))
                if found.sigma is not None:
                    known, told = max(known, found.sigma), True
                    spacing = found.spacing if attempts > 1 else spacing
                if brief and _alike(lines):
                    break
            if told:
                break
        return replace(self, measured=replace(self.measured, lines=tuple(lines)))

    def entry_by_entry(self, seed: int) -> "Loss":
        """The same with the noise of a structure's own differences, which entries are told by."""
        noise = self.run.entry_noise(self.free, seed)
        return replace(self, measured=replace(self.measured, entry_noise=noise))

    @property
    def indices(self) -> Indices:
        """The entries that may be perturbed."""
        return np.arange(self.layout.size) if self.free is None else np.flatnonzero(self.free)

    def steps(self, indices: Indices, step: float = CENTRAL[2].step) -> Floats:
        """Default steps of some entries, shape (m,): ``step`` in their own units.

        No shorter than what a space needs to move its point by many last places. In units that are given
        they suit the noise, which in those of far entries is more than rounding: that of theta itself.
        """
        steps = step * self.units.entry[indices]
        if self.units.given:
            steps *= self._longer
        finest = self.layout.finest
        return steps if finest is None else np.maximum(steps, finest[indices])

    @cached_property
    def _longer(self) -> float:
        """The times, a power of two, by which noise makes a step of second order longer."""
        measured = self.measured
        if self.noise <= UNSURPRISING * measured.least:
            return 1.0
        return float(power_of_two(min(np.cbrt(self.noise / measured.least), LONGER_AT_MOST)))

    def noise_of(self, indices: Indices) -> Floats | float:
        """sd of one of the `values` of some entries."""
        own = self.measured.entry_noise
        sigma = self.measured.noise if own is None else own[indices]
        gains = self.run.noise_gains
        return sigma if gains is None else sigma * gains[indices]


def along(run: Evaluator, direction: Direction, offsets: Floats) -> Floats:
    """f on a line, whether its direction is written out or not."""
    if isinstance(direction, Drawn):
        return run.along_drawn(direction, offsets)
    return run.along(direction, offsets)


def _alike(lines: list[NoiseLine]) -> bool:
    """Whether enough lines tell of the noise, and the two that tell of most of it of about as much."""
    told = sorted(line.sigma for line in lines if line.sigma is not None)
    return len(told) >= BRIEF_LINES and told[-1] <= ALIKE * told[-2]


def repeat_loss(run: Evaluator, outward: Direction | None = None) -> Repeats:
    """The loss at theta again and again, and, along ``outward``, at a first perturbed point.

    Parameters
    ----------
    outward : ndarray, shape (n,), optional
        A unit of each entry: there the loss is evaluated last.

    Raises
    ------
    NondeterministicLossError
        Repeats differ by more than `SCATTER`.
    NonFiniteLossError
        From the first value.
    """
    # In one call: between calls the random state is put back, and dropout would look the same.
    both = None if outward is None else _twice_at_both(run, outward)
    if both is None:
        here = there = run.along(np.zeros(run.theta.size), np.zeros(REPEATS)) + run.reference
    else:
        here, there = np.split(both, 2)
    value = require_finite(float(here[0]))
    require_deterministic(there, SCATTER)
    spread = require_deterministic(here, SCATTER)
    away = 0.0 if both is None else float(there[0])
    if spread <= REORDERING * abs(value):
        return Repeats(value, spread, away=away)
    more = run.along(np.zeros(run.theta.size), np.zeros(MORE_REPEATS)) + run.reference
    more = np.append(here, more)
    changes = np.abs(np.diff(more))
    drifts = changes[changes.size // 2 :].max() <= APPROACHES * changes[: changes.size // 2].max()
    return Repeats(value, require_deterministic(more, SCATTER), bool(drifts), away)


def _twice_at_both(run: Evaluator, outward: Direction) -> Floats | None:
    """The loss twice at theta and twice away from it; None where it raises at any distance."""
    for distance in AWAY:
        with np.errstate(all="ignore"):
            both = along(run, outward, distance * PAIR) + run.reference
        if run.outside is None or np.isfinite(both).all():
            return both
    return None


def _noise_lines(run: Evaluator, directions: Directions) -> Iterator[tuple[Direction, Line]]:
    """Directions, and f along the lines that noise is measured on: exact lattices near theta.

    Some start at theta and some a step off it. Entries move by plus or minus their own unit, a power
    of two, so that rounding of the *points* is not taken for noise of f. A step away counts too:
    where f is zero, as at a perfect fit, it is exact. Where entries are few, each is a line of its
    own: two cancel along a direction.
    """
    free = directions.mask
    away = CENTRAL[2].step
    count = run.theta.size if free is None else int(np.count_nonzero(free))
    for k in range(NOISE_DIRECTIONS if count > FEW_ENTRIES else 1):
        v = directions.along_exact(NOISE_STREAM + k)
        start = away if k % 2 else 0.0
        yield v, partial(_along, run, v, start)
    if count <= FEW_ENTRIES:
        units = np.abs(written_out(v))
        for i in np.flatnonzero(units):
            own = np.zeros(v.size)
            own[i] = units[i]
            yield own, partial(_beside, run, np.array([i]), own[i], away)


def finest_offset(theta: Floats, direction: Direction) -> float:
    """The smallest offset along v, a power of two, that moves all its entries by a few ulps.

    Those of v are powers of two, so the ulp of theta over v is that of their quotient.
    """
    v, largest = written_out(direction), 1.0
    for start in range(0, v.size, CHUNK):
        x, moves = theta[start : start + CHUNK], v[start : start + CHUNK]
        sizes = np.divide(x, moves, out=np.zeros(x.size), where=moves != 0)
        largest = float(np.abs(sizes).max(initial=largest))
    return float(power_of_two(FEW_ULPS * np.spacing(largest)))


def _known_first(line: Line, first: Floats) -> Line:
    """The same line, the values of the first call known."""
    known = [first]
    return lambda offsets: known.pop() if known else line(offsets)


def _along(run: Evaluator, v: Direction, start: float, offsets: Floats) -> Floats:
    return along(run, v, start + offsets)


def _beside(run: Evaluator, index: Indices, scale: float, start: float, offsets: Floats) -> Floats:
    return run.coordinates(index, scale * (start + offsets[None, :]))[0]


def half_of(values: Floats) -> str:
    """The half precision that sorted values are neighbouring numbers of.

    Examples
    --------
    >>> half_of(1 + np.arange(3) / 128), half_of(1 + np.arange(3) / 1024), half_of(np.arange(3.0))
    ('bfloat16', 'float16', '')
    """
    if values.size < 2 or not values.any():
        return ""
    exponents = np.frexp(values)[1] - 1
    for word, bits in HALF_BITS.items():
        multiples = np.ldexp(values, bits - exponents)
        unit = np.ldexp(1.0, int(exponents.max()) - bits)
        if np.all(np.rint(multiples) == multiples) and np.diff(values).min() <= NEIGHBOURS * unit:
            return word
    return ""


def _all_float32(samples: list[Floats]) -> bool:
    values = np.concatenate(samples)
    values = values[np.isfinite(values)]
    return _are_float32(values) and np.unique(values).size >= FEW_VALUES


def _are_float32(values: Floats) -> bool:
    with np.errstate(over="ignore"):
        return bool((values.astype(np.float32) == values).all())
