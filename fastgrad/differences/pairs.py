"""A Jacobian as the gradient of something of p x n parameters: one for each output and input.

Everything that judges or estimates a gradient entry by entry then does so for the entries of a Jacobian,
each with its own noise and bar, while outputs share evaluations: all pairs of an input cost what one
does.
"""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Array, Floats, Indices, Mask
from fastgrad.differences.confined import Confined
from fastgrad.differences.directions import Directions
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured
from fastgrad.differences.repeats import Repeats
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.evaluate.units import Units
from fastgrad.evaluate.vector import VectorEvaluator, require_alike
from fastgrad.numerics.bars import WIDER
from fastgrad.numerics.noise import FIRST_SPACING, POINTS, SPACING_FACTOR
from fastgrad.numerics.noise_tables import table_noises
from fastgrad.numerics.norms import rms
from fastgrad.numerics.rounding import rounding_noise
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.parameters.bounds import Box
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.pairs import Columns, PairLayout

AT_ONCE = 1 << 20
"""Numbers of all directions that are asked for together, so that workers have enough to do."""
CACHE_BYTES = 1 << 28
"""Outputs kept: pairs are asked for row by row, and come column by column."""
NOISE_LINES = 3
"""Directions of which the largest noise of each output counts."""
NEAR = 8 * WIDER * CENTRAL[2].step
"""Inputs so near a bound are to blame where a column was not moved both ways."""
SPACINGS = (FIRST_SPACING, FIRST_SPACING * SPACING_FACTOR)
"""Spacings of points on them; at the second only if some output shows no noise at the first."""
NOISE_STREAM = 1 << 33
"""Directions from here on are for the noise of outputs."""


class PairEvaluator(Evaluator):
    """The outputs of a function, each by each column, as a loss of as many parameters.

    Values are differences from those at theta.

    Parameters
    ----------
    run : VectorEvaluator
    layout : PairLayout
    scales : ndarray, shape (n,)
        How far each entry of a column moves when the column moves by one, within bounds towards where
        there is room.
    base, noise : ndarray, shape (p,)
        The outputs at theta, and the noise of each.
    """

    structured = True

    def __init__(
        self, run: VectorEvaluator, layout: PairLayout, scales: Floats, base: Floats, noise: Floats
    ):
        self.run, self.layout, self.noise = run, layout, noise
        self._base, self.scales = base, scales
        self._kept: dict[tuple[int, float], Floats] = {}
        columns = layout.columns
        self._first = columns.first
        self.exact = columns.single and bool(np.all(scales == 1.0))
        """Whether a column is an input, which moves by what the column does."""
        # Along a line the steps are exact; one is the size of what moves, in its own units.
        x = run.theta[self._first] if self.exact else np.ones(columns.count)
        super().__init__(x[layout.pairs(np.arange(layout.size))[1]])

    @property
    def evaluations(self) -> int:  # type: ignore[override]
        return self.run.evaluations

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.run.remarks

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: how much an output changes when a column moves by ``offsets[k, j]``."""
        outputs, columns = self.layout.pairs(np.asarray(indices))
        points, which = _distinct(columns, offsets)
        values = self._values(points.real.astype(np.intp), points.imag)
        return np.asarray(values[which, outputs[:, None]])

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """Lines through all pairs at once, which nothing asks for."""
        raise NotImplementedError("pairs of outputs and inputs have no common line")

    def box_of_pairs(self) -> Box:
        """What columns may move in, for each pair: all their inputs stay within their bounds."""
        box, columns = self.run.box, self.layout.columns
        assert box is not None
        if self.exact:
            low, high = box.low[self._first], box.high[self._first]
        else:
            moved = np.flatnonzero(columns.of_entry >= 0)
            ends = np.full((2, columns.count), np.inf)
            for end, sign in zip(ends, (-1.0, 1.0), strict=True):
                reach = box.ahead(self.run.theta, sign * self.scales)[moved]
                np.minimum.at(end, columns.of_entry[moved], reach)
            low, high = 1.0 - ends[0], 1.0 + ends[1]
        of_pair = self.layout.pairs(np.arange(self.layout.size))[1]
        return Box(low[of_pair], high[of_pair])

    def entry_noise(self, trainable: Mask | None, seed: int) -> Floats:
        return self.noise[self.layout.pairs(np.arange(self.layout.size))[0]]

    def answered_pairs(self) -> tuple[Indices, Floats, Floats]:
        """Pairs of all outputs and the inputs that were moved both ways before answers ended."""
        entries, h, values = self.run.recorder.answered_pairs()
        if not self.exact or entries.size == 0:
            return super().answered_pairs()
        shape = self._base.size, self.layout.columns.count
        steps, above, below = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        columns = self.layout.columns.of_entry[entries]
        steps[:, columns] = h
        above[:, columns] = (values[:, 0] - self._base).T
        below[:, columns] = (values[:, 1] - self._base).T
        steps, above, below = (self.layout.vector(part) for part in (steps, above, below))
        indices = np.flatnonzero(steps)
        return indices, steps[indices], np.stack([above, below], axis=1)[indices]

    def _values(self, columns: Indices, offsets: Floats) -> Floats:
        """The changes of all outputs at some points, shape (m, p); points are kept."""
        points = list(zip(columns.tolist(), offsets.tolist(), strict=True))
        if len(self._kept) * self._base.nbytes > CACHE_BYTES:
            self._kept.clear()
        new = [k for k, point in enumerate(points) if point not in self._kept]
        if new:
            found = self._evaluated(columns[new], offsets[new])
            at_theta = offsets[new] == 0.0
            require_alike(np.vstack([np.zeros(self._base.size), found[at_theta]]) + self._base)
            for k, row in zip(new, found, strict=True):
                self._kept[points[k]] = row
        values = np.array([self._kept[point] for point in points])
        for point in points:  # theta itself is asked for to see it change
            if point[1] == 0.0:
                self._kept.pop(point, None)
        return values

    def _evaluated(self, columns: Indices, offsets: Floats) -> Floats:
        if self.advance is not None:
            self.advance(columns.size)
        if self.exact:
            found = self.run.coordinates(self._first[columns], offsets[:, None])[:, 0]
            return np.asarray(found - self._base)
        found = np.empty((columns.size, self._base.size))
        numbers, counts = np.unique(columns, return_counts=True)
        order = np.argsort(columns, kind="stable")
        at_once = max(1, AT_ONCE // self.scales.size)
        for count in np.unique(counts).tolist():  # lines of as many points go together
            rows = order[np.repeat(counts == count, counts)].reshape(-1, count)
            of = numbers[counts == count]
            for start in range(0, of.size, at_once):
                part = rows[start : start + at_once]
                inside = self.layout.columns.of_entry == of[start : start + at_once, None]
                directions = np.where(inside, self.scales, 0.0)
                found[part] = self.run.lines(directions, offsets[part]) - self._base
        return found


def _distinct(columns: Indices, offsets: Floats) -> tuple[Array, Indices]:
    """The points among columns, shape (m,), and their offsets, shape (m, k), and which each is, (m, k).

    A point is ``column + i offset``. Mostly all outputs ask for the same of a column, which is then
    looked at once.
    """
    rows = np.arange(columns.size)
    first = np.zeros(columns.max(initial=-1) + 1, np.intp)
    first[columns[::-1]] = rows[::-1]
    own = first[columns]
    if not np.array_equal(offsets, offsets[own]):
        own = rows
    asked = np.flatnonzero(own == rows)
    points, which = np.unique(columns[asked, None] + 1j * offsets[asked], return_inverse=True)
    position = np.zeros(rows.size, np.intp)
    position[asked] = np.arange(asked.size)
    return points, which.reshape(-1, offsets.shape[1])[position[own]]


class ConfinedPairs(Confined):
    """Pairs of which no evaluation leaves the bounds of the inputs.

    Parameters
    ----------
    pairs : PairEvaluator
    degree : int
        The order of the differences that are to be taken.
    """

    def __init__(self, pairs: PairEvaluator, degree: int):
        super().__init__(pairs, pairs.box_of_pairs(), degree)
        self.pairs = pairs

    def beside_bounds(self, layout: Layout) -> tuple[Indices, Mask, Layout]:
        """Inputs, not pairs: those of the columns of which a value outside was asked for."""
        run, columns = self.pairs.run, self.pairs.layout.columns
        assert run.box is not None
        sided = np.zeros(columns.count, np.bool_)
        sided[self.pairs.layout.pairs(np.flatnonzero(self.sided))[1]] = True
        units = (
            np.abs(self.pairs.scales) if not self.pairs.exact else np.full(run.theta.size, np.inf)
        )
        near = (columns.of_entry >= 0) & sided[columns.of_entry]
        near &= run.box.near(run.theta, NEAR * units)
        return np.flatnonzero(near), run.box.at_bound(run.theta)[near], self.pairs.layout.inputs


class PairLoss(Loss):
    """The loss of all pairs: the noise of its outputs was measured when it was made."""

    of_many = True


def scales_of(run: VectorEvaluator, columns: Columns, units: Units) -> Floats:
    """How far each input moves when its column moves by one, shape (n,): by its unit among others."""
    if columns.single:
        return np.ones(units.entry.size)
    return units.entry if run.box is None else run.box.turned(run.theta, units.entry)


def within_bounds(pairs: PairEvaluator, degree: int) -> Evaluator:
    """The pairs, within the bounds of the inputs where there are any."""
    return pairs if pairs.run.box is None else ConfinedPairs(pairs, degree)


@dataclass(frozen=True)
class Directional:
    """A direction in the space of the inputs, their units, and the outputs by name."""

    direction: Floats
    units: Units
    outputs: Layout


def pair_loss(
    run: VectorEvaluator,
    layout: PairLayout,
    units: Units,
    seed: int,
    scales: Floats | None = None,
    degree: int = 2,
) -> Loss:
    """The loss of all pairs, with the noise of each output measured.

    Parameters
    ----------
    scales : ndarray, shape (n,), optional
        How far each input moves when its column moves by one.
    degree : int
        The order of one-sided differences near bounds.

    Raises
    ------
    NondeterministicLossError, ValueError
        The outputs differ at one point, or are not finite.
    """
    base = run.base()
    free = layout.columns.of_entry >= 0
    noise = output_noise(run, base, Directions(units.entry, None if free.all() else free, seed))
    given = scales is not None
    scales = scales_of(run, layout.columns, units) if scales is None else scales
    pairs = PairEvaluator(run, layout, scales, base, noise)
    first = layout.columns.first
    of_column = np.ones(first.size) if given else units.entry[first] / np.abs(scales[first])
    entry = of_column[layout.pairs(np.arange(layout.size))[1]]
    of_block = {
        block.name: bool(one)
        for block, one in zip(layout.inputs.blocks, units.one_unit, strict=True)
    }
    one_unit = np.array(
        [given or of_block.get(block.name.split(" / ")[-1], False) for block in layout.blocks]
    )
    value = rms(base)
    known = pairs.entry_noise(None, seed)
    measured = Measured(Repeats(value), least=float(noise.max()), entry_noise=known)
    return PairLoss(
        within_bounds(pairs, degree), layout, None, Units(entry, one_unit, entry), measured
    )


def output_noise(run: VectorEvaluator, base: Floats, directions: Directions) -> Floats:
    """sd of the noise of each output, shape (p,): that of difference tables along a few lines."""
    noise = rounding_noise(base).copy()
    for k in range(NOISE_LINES):
        v = directions.draw(NOISE_STREAM + k, exact=True)
        v = v if run.box is None else _inside(run.box, run.theta, v)
        start = CENTRAL[2].step if k % 2 else 0.0
        told = np.zeros(base.size, np.bool_)
        for spacing in SPACINGS:
            values = run.along(v, start + spacing * POINTS)
            finite = np.isfinite(values).all(axis=0)
            sigma = table_noises(np.where(finite, values, 0.0))
            told |= ~np.isnan(sigma)
            noise = np.fmax(noise, sigma)
            if told.all():
                break
    return noise


def _inside(box: Box, theta: Floats, v: Floats) -> Floats:
    """A direction of lines of noise, with entries turned inward, or still that have no room at all."""
    turned = box.turned(theta, v)
    furthest = CENTRAL[2].step + SPACINGS[-1] * POINTS[-1]
    return np.where(box.ahead(theta, turned) < furthest, 0.0, turned)
