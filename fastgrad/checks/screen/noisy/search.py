"""The screen of a rough loss: matched directions, then random ones, and a second look at alarms."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.first_look import MOST_GROUPS
from fastgrad.checks.screen.noisy.again import (
    BASES,
    EXPECTED,
    FRESH,
    PARTS_EVALUATIONS,
    Again,
    again_by_parts,
    around,
    stands,
)
from fastgrad.checks.screen.noisy.echo import EVALUATIONS as ECHO_EVALUATIONS
from fastgrad.checks.screen.noisy.echo import Echo
from fastgrad.checks.screen.noisy.limits import BARS, NOTHING, useful_limits
from fastgrad.checks.screen.noisy.lines import Look, NoisyLines
from fastgrad.checks.screen.noisy.placing import EVALUATIONS as LINE_EVALUATIONS
from fastgrad.checks.screen.noisy.placing import Line, line_of, line_of_zeros
from fastgrad.checks.screen.noisy.pooled import EVALUATIONS_EACH, Pooled, truncation
from fastgrad.numerics.bars import NOISE_SDS
from fastgrad.numerics.norms import norm, rms
from fastgrad.numerics.rough import MOST_RUNGS, RUNG

STEPS = 2
"""Random directions of a kind on which a step is sought."""
RANDOM = 12
"""Random directions through everything, and as many with blocks heard alike."""
MORE_RANDOM = 24
"""The most through everything, where they say too little."""
BLOCK_LINES = 8
"""Those through each block, where one of them must be wrong."""
USEFUL_FACTOR = 0.01
"""A limit along the gradient wider than this asks for more lines."""
USEFUL_IF_COARSE = 0.1
"""And than this where the loss has few digits."""
MEAN_LINES = 4
"""Lines of which the mean is taken at first, each at two base points."""
MOST_MEANS = 12
PATIENCE = 4
"""So many times as many lines are taken while the limits leave no verdict, and time allows."""
KEPT = 150
"""Evaluations kept then: what random directions take, of both kinds."""
LEAST_APART = 0.5
"""Means of so few scatter at least by so much of what the two base points differ by: that holds, beside
the same noise, what the slope changes between them."""
USEFUL_SHAPE = 0.25
"""So does a limit in any direction beyond this part of the gradient's norm."""
MOST_WHEN_WRONG = 150
"""Evaluations after which a gradient that is known to be wrong is not looked at any further."""
FIRST_WEIGHTS = 2
"""So many of the largest blocks must show a lambda, one of them at least, before others are asked."""
SAME_LAMBDA = 0.3
"""A penalty is missing in blocks that show its lambda to this part."""
LEAST_SHARE = 1e-3
"""Blocks with less of theta's square norm than this say nothing of a penalty."""
SIGNS, THETA, ZEROS, ALL, ALIKE, BLOCK, ZERO_BLOCKS = (k << 35 for k in range(1, 8))
"""Streams of directions."""
ZEROS_AWAY = 0.25
"""How far base points of these are away, in steps: entries are few, so steps are wide, and slopes
change."""
NOT_FALLING = 0.8
"""Slopes at a quarter of the step are at least this part of those at the whole."""
FRESH_STREAM = 1 << 10
"""Those of one kind from here on are looked along again."""
MEAN_EVALUATIONS = 4 * MEAN_LINES


class OutOfTimeError(Exception):
    """The time allowed is over."""


class KnownWrongError(Exception):
    """The gradient is known to be wrong, and much was spent."""


@dataclass(frozen=True)
class Blame:
    """What is wrong with a block, and which direction showed it."""

    kind: str
    """The directions: "signs", "theta", "ones", "zeros" or "random"."""
    again: Again
    law: str
    """"scale", "missing", "extra", "offset", "zeros" or ""."""
    value: float = 0.0
    """The factor, lambda, or the constant."""
    evaluations: int = 0
    line: Line | None = None
    """The row, column or channel that holds all of it."""


@dataclass
class NoisyFound:
    """What lines told; filled as the search goes on."""

    signs: dict[int, Look] = field(default_factory=dict)
    """The line along signs that goes through a block."""
    lines: dict[int, int] = field(default_factory=dict)
    """How many lines along its signs there were."""
    everything: Pooled = field(default_factory=Pooled)
    """Random directions through everything."""
    alike: Pooled = field(default_factory=Pooled)
    """Random directions in which blocks are heard alike."""
    zeros: dict[int, float] = field(default_factory=dict)
    """The norm of the gradient of a block that is claimed to be zero, which would have been missed."""
    limits: dict[str, float] = field(default_factory=dict)
    """The norm of an error that either kind would have missed, with its echo."""
    blamed: dict[int, Blame] = field(default_factory=dict)
    unplaced: bool = False
    """Whether random directions show an error which no block does."""
    complete: bool = True
    """Whether the time sufficed."""
    ended: bool = False
    """Whether the search ended early, for enough is known to be wrong."""


class NoisySearch:
    """Screens a gradient of a rough loss.

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

    def run(self) -> NoisyFound:
        try:
            self._along_theta()
            self._along_zeros()
            self._along_signs()
            self._along_zero_blocks()
            self._along_ones()
            self._along_random()
        except OutOfTimeError:
            self.found.complete = False
        except KnownWrongError:
            self.found.ended = True
        return self.found

    def _read(self, kind: str, v: Floats, blocks: tuple[int, ...] = ()) -> Look:
        self._require(2 * MOST_RUNGS)
        return self.lines.read(kind, v, blocks)

    def _require(self, evaluations: int) -> None:
        if not self.allows(evaluations):
            raise OutOfTimeError
        if self.found.blamed and self.lines.loss.run.evaluations - self.began > MOST_WHEN_WRONG:
            raise KnownWrongError

    # along signs

    def _along_signs(self) -> None:
        moving = [b for b, block in enumerate(self.layout.blocks) if self._moves(b)]
        order = sorted(moving, key=lambda b: -self.lines.sums[b])
        groups = [tuple(g.tolist()) for g in np.array_split(np.array(order, np.intp), MOST_GROUPS)]
        for group in groups:
            if group:
                self._group(group)

    def _moves(self, b: int) -> bool:
        return bool(self.lines.directions.moves(self.layout.blocks[b]).any())

    def _group(self, group: tuple[int, ...]) -> None:
        v = self.lines.signs(SIGNS, group)
        look = self._read("signs", v, group)
        if look.alarms and len(group) > 1:
            half = len(group) // 2
            self._group(group[:half])
            self._group(group[half:])
            return
        self.found.lines.update(dict.fromkeys(group, 1))
        if not look.alarms:
            look = self._narrowed(group, look)
            if look.alarms and len(group) > 1:
                half = len(group) // 2
                self._group(group[:half])
                self._group(group[half:])
                return
        if look.alarms:
            look = self._alarm_along_signs(group[0], look)
        self.found.signs.update(dict.fromkeys(group, look))

    def _narrowed(self, group: tuple[int, ...], first: Look) -> Look:
        """The mean over more lines, where the first says too little of its blocks.

        They are at its step, between base points that differ, so that what they scatter by holds
        rounding and kinks; truncation is what they share.
        """
        useful = USEFUL_IF_COARSE if self.lines.coarse else USEFUL_FACTOR
        each = first.size / (BARS * len(group))
        wanted, agrees = max(useful, 2 * self.lines.rule.rtol) * each, self.agrees[0] * each
        look = first
        off: list[float] = []
        apart: list[float] = []
        while (
            first.size
            and look.bar > wanted
            and not look.alarms
            and self._goes_on(len(off), MOST_MEANS, look.bar > agrees, MEAN_EVALUATIONS)
        ):
            for k in range(len(off) + 1, len(off) + 1 + MEAN_LINES):
                v = self.lines.signs(SIGNS + (k << 20), group)
                w = self.lines.random(BASES + (k << 20) + group[0], group)
                claimed = abs(self.lines.claim.along(v)[0])
                ahead, behind = around(self.lines, v, first.slope.step, w)
                off.append(1 - (ahead + behind) / (2 * claimed))
                apart.append((ahead - behind) / (2 * claimed))
            look = self._mean(first, np.array(off), np.array(apart))
        self.found.lines.update(dict.fromkeys(group, 1 + 2 * len(off)))
        return look

    def _mean(self, first: Look, off: Floats, apart: Floats) -> Look:
        scatter = max(float(np.std(off, ddof=1)), LEAST_APART * rms(apart))
        bar = NOISE_SDS * scatter / float(np.sqrt(off.size)) * first.size
        shift = EXPECTED * truncation(first.slope.change, scatter * first.size)
        y = float(np.mean(off)) * first.size + float(np.copysign(shift, first.slope.change))
        bar += shift
        return first if bar >= first.slope.bar else first.settled(first.claimed - y, bar)

    def _alarm_along_signs(self, b: int, look: Look) -> Look:
        if not look.size:  # the gradient is zero: it is the difference that must be
            told = stands(lambda k: self._fresh("random", BLOCK + k, b))
            if told is not None:
                self._blame(b, Blame("signs", told, "zero"))
            return look.settled(0.0, abs(look.y) + look.slope.bar)
        self._require(PARTS_EVALUATIONS)
        parts = again_by_parts(self.lines, look, b)
        if parts.beyond(look.bar / look.size):
            factor = 1 / (1 - parts.mean) if parts.mean != 1 else np.inf
            one = parts.is_one and np.isfinite(factor) and self._bears_out(b, factor)
            constant = None if one else self._constant_in(b, look)
            self._blame(b, constant or Blame("signs", parts, "scale" if one else "", factor))
            return look
        mean = parts.mean * look.size
        return look.settled(look.claimed - mean, max(parts.bar * look.size, look.bar, abs(mean)))

    def _fresh(self, kind: str, stream: int, b: int, v: Floats | None = None) -> Look:
        """A fresh random direction through one block, or through what v moves of it."""
        own = self.lines.random(stream + (b << 8), (b,))
        if v is not None:
            own[v == 0.0] = 0.0
        return self._read(kind, own, (b,))

    def _bears_out(self, b: int, factor: float) -> bool:
        """Whether a random direction through the block says the same of the factor."""
        v = self.lines.random(BLOCK + (b << 8), (b,))
        look = self._read("random", v, (b,))
        return abs(look.claimed / factor - look.slope.value) <= look.bar

    def _blame(self, b: int, blame: Blame) -> None:
        made, line = self.lines.loss.run.evaluations, self._line_in(b, blame)
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

    # along ones

    def _along_ones(self) -> None:
        """A constant that was added to all of a block shows along ones, where signs differ."""
        if not self._read("ones", self.lines.ones()).alarms:
            return
        for b in range(len(self.layout.blocks)):
            v = self.lines.ones((b,))
            if v.any() and (look := self._read("ones", v, (b,))).alarms:
                told = self._constant_in(b, look)
                if told is not None:
                    self._blame(b, told)

    def _constant_in(self, b: int, look: Look) -> Blame | None:
        """A constant that all parts of a block are off by, as a random direction bears out."""
        self._require(PARTS_EVALUATIONS)
        told = again_by_parts(self.lines, look, b, np.ones(self.lines.loss.theta.size))
        if not (told.beyond(0.0) and told.is_one):
            return None
        v = self.lines.random(BLOCK + (b << 8), (b,))
        fresh = self._read("random", v, (b,))
        left = fresh.y - told.mean * float(v.sum())
        return Blame("ones", told, "offset", told.mean) if abs(left) <= fresh.bar else None

    # along theta

    def _along_theta(self) -> None:
        v = self.lines.theta()
        if not v.any():
            return
        look = self._read("theta", v)
        if not look.alarms:
            return
        products = v * self.lines.loss.theta
        squares = np.array([float(products[b.start : b.stop].sum()) for b in self.layout.blocks])
        weights = np.flatnonzero(squares > LEAST_SHARE * squares.sum())
        told: dict[int, Again] = {}
        weights = weights[np.argsort(-squares[weights], kind="stable")]
        for k, b in enumerate(weights.tolist()):
            if k == FIRST_WEIGHTS and not any(t.beyond(0.0) and t.is_one for t in told.values()):
                return
            self._require(PARTS_EVALUATIONS)
            told[b] = again_by_parts(self.lines, look, b, self.lines.loss.theta)
        shown = {b: t for b, t in told.items() if t.beyond(0.0) and t.is_one}
        for b, t in shown.items():
            alike = [abs(t.mean - o.mean) <= SAME_LAMBDA * abs(t.mean) for o in shown.values()]
            if sum(alike) > len(shown) // 2:
                law = "missing" if t.mean < 0 else "extra"
                self._blame(b, Blame("theta", t, law, abs(t.mean)))

    # along what is zero, and at random

    def _along_zeros(self) -> None:
        v = self.lines.zeros(ZEROS)
        if not v.any():
            return
        look = self._read("zeros", v)
        if look.alarms or (self.lines.coarse and self._pooled_zeros(look, None)[1]):
            for b, block in enumerate(self.layout.blocks):
                if v[block.start : block.stop].any():
                    self._place_zeros(b, look, v)

    def _place_zeros(self, b: int, look: Look, v: Floats) -> None:
        """Blame a block, if its own part of the direction shows an error too."""
        told = None
        if look.alarms:
            told = stands(lambda k: self._fresh("zeros", ZEROS + 1 + k, b, v))
        if told is None and self.lines.coarse:
            told = self._zeros_at_two_steps(look, b)
        if told is not None:
            self._blame(b, Blame("zeros", told, "zeros"))

    def _zeros_at_two_steps(self, look: Look, b: int) -> Again | None:
        """Slopes through what is zero in a block, if they alarm, and do not fall with the step.

        They would where units that are off at theta come on a step away.
        """
        finer = replace(look, slope=replace(look.slope, step=look.slope.step / RUNG))
        fine, alarms = self._pooled_zeros(finer, b)
        if not alarms:
            return None
        wide = np.array(self._pooled_zeros(look, b)[0].y)
        if float(np.sum(wide * fine.y)) < NOT_FALLING * float(np.sum(wide**2)):
            return None
        return Again(np.abs(fine.y) / (fine.noise or 1.0), 1.0)

    def _pooled_zeros(self, look: Look, b: int | None) -> tuple[Pooled, bool]:
        """Random directions through what is exactly zero, in a block or in all; whether they alarm."""

        def draw(k: int) -> Floats:
            v = self.lines.zeros(ZEROS + FRESH_STREAM + k)
            if b is not None:
                block = self.layout.blocks[b]
                v[: block.start], v[block.stop :] = 0.0, 0.0
            return v

        pooled, first = Pooled(ZEROS_AWAY), 0 if b is None else RANDOM
        self._pool(pooled, [look], draw, range(first, first + RANDOM))
        return pooled, pooled.alarms or self._echo(pooled, [look], draw).alarms

    def _along_zero_blocks(self) -> None:
        """Blocks that are zero throughout, of which a line says too little, along many together."""
        blocks = [b for b, look in self.found.signs.items() if self._is_untold_zero(b, look)]
        if not blocks:
            return
        pooled, echo = self._through(tuple(blocks), 0)
        self.found.zeros = dict.fromkeys(blocks, echo.limit)
        if not (pooled.alarms or echo.alarms):
            return
        for b in blocks:
            own, again = self._through((b,), FRESH_STREAM)
            if own.alarms or again.alarms:
                self._blame(b, Blame("random", Again(np.abs(own.y), own.bar), "zero"))

    def _is_untold_zero(self, b: int, look: Look) -> bool:
        if self.lines.sums[b] or b in self.found.blamed:
            return False
        return self.lines.coarse or look.slope.bar > NOTHING * float(
            self.lines.norms.max(initial=0)
        )

    def _through(self, blocks: tuple[int, ...], first: int) -> tuple[Pooled, Echo]:
        """Random directions through some blocks together, and their echo."""

        def draw(k: int) -> Floats:
            return self.lines.random(ZERO_BLOCKS + first + k, blocks)

        look, pooled = self._read("random", draw(0), blocks), Pooled()
        self._pool(pooled, [look], draw, range(1, 1 + MORE_RANDOM))
        return pooled, self._echo(pooled, [look], draw)

    def _along_random(self) -> None:
        for alike, pooled in ((False, self.found.everything), (True, self.found.alike)):
            kind, stream = ("alike", ALIKE) if alike else ("random", ALL)

            def draw(k: int, stream: int = stream, alike: bool = alike) -> Floats:
                return self.lines.random(stream + k, alike=alike)

            looks = [self._read(kind, draw(k)) for k in range(STEPS)]
            self._pool(pooled, looks, draw, range(STEPS, STEPS + RANDOM))
            echo = self._echo(pooled, looks, draw)
            while not alike and self._says_too_little(echo):
                first = STEPS + len(pooled.y)
                self._pool(pooled, looks, draw, range(first, first + RANDOM))
                echo = self._echo(pooled, looks, draw)
            self.found.limits[kind] = echo.limit
            if pooled.alarms or echo.alarms:
                fresh = Pooled()
                self._pool(fresh, looks, draw, range(FRESH_STREAM, FRESH_STREAM + RANDOM))
                if fresh.alarms or self._echo(fresh, looks, draw).alarms:
                    self.found.unplaced = True
                    self.found.unplaced = not self._place()

    def _echo(self, pooled: Pooled, looks: list[Look], draw: Callable[[int], Floats]) -> Echo:
        """What the residual that random directions show says along itself, at their step."""
        self._require(ECHO_EVALUATIONS)
        return Echo.of(pooled, self.lines, _step_of(looks), draw)

    def _pool(
        self, pooled: Pooled, looks: list[Look], draw: Callable[[int], Floats], streams: range
    ) -> None:
        """More random directions, at the step that suited the first ones."""
        step = _step_of(looks)
        pooled.change = rms(np.array([look.slope.change for look in looks]))
        for stream in streams:
            self._require(EVALUATIONS_EACH)
            pooled.add(self.lines, step, draw, range(stream, stream + 1))

    def _says_too_little(self, echo: Echo) -> bool:
        """Whether random directions would miss an error of a good part of the gradient's norm."""
        size = norm(self.lines.norms)
        is_open, cost = echo.limit > self.agrees[1] * size, RANDOM * EVALUATIONS_EACH
        if echo.first.alarms or echo.alarms:
            return False
        more = self._goes_on(len(echo.first.y), MORE_RANDOM, is_open, cost + ECHO_EVALUATIONS)
        return more and echo.limit > USEFUL_SHAPE * size

    def _goes_on(self, lines: int, most: int, is_open: bool, cost: int) -> bool:
        """Whether more lines are taken: so many, or `PATIENCE` times that while no verdict is left.

        That is what a larger budget buys: what is kept is for all other kinds of directions.
        """
        if lines < most:
            return self.allows(cost)
        return is_open and lines < PATIENCE * most and self.allows(cost + KEPT)

    def _place(self) -> bool:
        """Find the blocks in which the error that random directions show is; False if in none."""
        for b in range(len(self.layout.blocks)):
            if b in self.lines.blamed or not self._moves(b):
                continue

            def draw(k: int, b: int = b) -> Floats:
                return self.lines.random(BLOCK + FRESH + (b << 8) + k, (b,))

            look = self._read("random", draw(0), (b,))
            own = Pooled()
            self._pool(own, [look], draw, range(1, 1 + BLOCK_LINES))
            if own.alarms or self._echo(own, [look], draw).alarms:
                part = np.array(own.y) / (float(self.lines.norms[b]) or 1.0)
                told = Again(np.abs(part), own.bar / (float(self.lines.norms[b]) or 1.0))
                self._blame(b, Blame("random", told, ""))
        return bool(self.found.blamed)


def _step_of(looks: list[Look]) -> float:
    """The step between those that suited some directions."""
    return float(np.prod([look.slope.step for look in looks]) ** (1 / len(looks)))
