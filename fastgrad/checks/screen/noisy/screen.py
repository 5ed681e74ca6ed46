"""The screen of a rough loss: matched directions, then random ones, and a second look at alarms."""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.first_look import MOST_GROUPS
from fastgrad.checks.screen.noisy.blame import (
    ALIKE,
    ALL,
    BLOCK,
    FRESH_STREAM,
    MORE_RANDOM,
    RANDOM,
    SIGNS,
    KnownWrongError,
    Looking,
    OutOfTimeError,
)
from fastgrad.checks.screen.noisy.found import Blame, NoisyFound
from fastgrad.checks.screen.noisy.limits import (
    BARS,
    PARTS_SDS,
    PARTS_SDS_IF_COARSE,
    PARTS_SDS_IF_SMALL,
)
from fastgrad.checks.screen.noisy.lines import Look
from fastgrad.checks.screen.noisy.pooled import EVALUATIONS_EACH, Pooled, truncation
from fastgrad.checks.screen.noisy.second_look import (
    AWAY,
    BASES,
    EXPECTED,
    FRESH,
    PARTS_EVALUATIONS,
    Again,
    again_by_parts,
    around,
    part_of,
    stands,
)
from fastgrad.checks.screen.noisy.zeros import Zeros
from fastgrad.numerics.bars import NOISE_SDS
from fastgrad.numerics.norms import norm, rms

STEPS = 2
"""Random directions of a kind on which a step is sought."""
AGAIN = 1 << 24
"""Stream of a second line along signs, near the step of the first, from that of the first."""
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
FIRST_WEIGHTS = 2
"""So many of the largest blocks must show a lambda, one of them at least, before others are asked."""
SAME_LAMBDA = 0.3
"""A penalty is missing in blocks that show its lambda to this part."""
LEAST_SHARE = 1e-3
"""Blocks with less of theta's square norm than this say nothing of a penalty."""
ALIBI = 16.0
"""A step, in the one of the look, at which a right gradient has its alibi: 2 of 120 in bfloat16 had it,
and errors of a factor of 2 show alike there."""
MEAN_EVALUATIONS = 4 * MEAN_LINES
ROUNDS = 4
"""Rounds of parts at most where the loss has few digits: six errors of single lines, which scatter by
as much as what is looked for, decide only if they are alike."""


class NoisySearch(Looking):
    """Screens a gradient of a rough loss.

    Parameters
    ----------
    lines : NoisyLines
    allows : callable
        Whether the time allows so many more evaluations.
    """

    def run(self) -> NoisyFound:
        self.wide: list[tuple[tuple[int, ...], Look, Look]] = []
        """Groups of blocks, what their first line along signs showed, and what is known of them."""
        try:
            if self.lines.coarse:
                self._in_few_digits(Zeros(self))
            else:
                self._in_single_precision(Zeros(self))
            self._along_more_random()
            self._along_random(alike=True)
        except OutOfTimeError:
            self.found.complete = False
        except KnownWrongError:
            self.found.ended = True
        return self.found

    def _in_single_precision(self, zeros: Zeros) -> None:
        """One line of every kind, which finds what is wrong, before more lines make limits narrower."""
        zeros.through_entries()
        self._along_theta()
        self._along_signs()
        zeros.through_blocks()
        self._along_ones()
        self._along_random(alike=False)
        self._narrow()

    def _in_few_digits(self, zeros: Zeros) -> None:
        """The same where zeros take many lines, and means over many show what single ones do not."""
        self._along_theta()
        self._along_signs()
        zeros.through_blocks()
        zeros.through_entries()
        self._narrow()
        self._along_ones()
        self._along_random(alike=False)

    # along signs

    def _along_signs(self) -> None:
        """A line through each group of blocks: what is grossly wrong shows before any is narrowed."""
        moving = [b for b, block in enumerate(self.layout.blocks) if self.moves(b)]
        order = sorted(moving, key=lambda b: -self.lines.sums[b])
        groups = [tuple(g.tolist()) for g in np.array_split(np.array(order, np.intp), MOST_GROUPS)]
        for group in filter(None, groups):
            self._group(group)

    def _group(self, group: tuple[int, ...]) -> None:
        first = self._first(group)
        if first.alarms and len(group) > 1:
            self._by_halves(group)
            return
        unknown = first.alarms and group[0] not in self.lines.blamed
        look = self._alarm_along_signs(group[0], first) if unknown else first
        self.found.lines.update(dict.fromkeys(group, 1))
        self.found.signs.update(dict.fromkeys(group, look))
        if self.found.blamed.keys().isdisjoint(group):
            self.wide.append((group, first, look))

    def _first(self, group: tuple[int, ...]) -> Look:
        """A line along signs, or a second one, where the first says too little, as by chance it may."""
        look = self.read("signs", self.lines.signs(SIGNS, group), group)
        if self.lines.coarse or look.alarms or look.bar <= self._wanted(look) or not look.size:
            return look
        again = self.read("signs", self.lines.signs(SIGNS + AGAIN, group), group)
        # Means are taken at the step of the first: at a wider one kinks are shared by all lines.
        return again if again.alarms or again.bar <= self._wanted(again) else look

    def _by_halves(self, group: tuple[int, ...]) -> None:
        half = len(group) // 2
        self._group(group[:half])
        self._group(group[half:])

    def _narrow(self) -> None:
        """Lines that say too little of their blocks are followed by more, the most suspicious first."""
        while self.wide:
            self.wide.sort(key=lambda known: abs(known[1].y) / (known[1].bar or 1.0))
            group, first, look = self.wide.pop()
            if not self.found.blamed.keys().isdisjoint(group):
                continue
            look = self._narrowed(group, first, look)
            if len(group) > 1 and (look.alarms or self._leaves_open(group, look)):
                self._by_halves(group)
                continue
            if look.alarms:
                look = self._alarm_along_signs(group[0], look)
            self.found.signs.update(dict.fromkeys(group, look))

    def _leaves_open(self, group: tuple[int, ...], look: Look) -> bool:
        """Whether a line through several blocks says too little of one of them for a verdict."""
        missed = max(BARS * look.bar, self.found.parts.get(group[0], 0.0))
        sizes = self.lines.sums * self.lines.shares(self.lines.sums)
        return any(0 < self._most((b,)) * sizes[b] < missed for b in group)

    def _most(self, group: tuple[int, ...]) -> float:
        """The widest limit of the blocks of a group with which they agree, less what lines share."""
        return self.agrees[0] - max(map(self.lines.shared, group))

    def _wanted(self, look: Look) -> float:
        """The bar of a line along signs that needs no more lines."""
        useful = USEFUL_IF_COARSE if self.lines.coarse else USEFUL_FACTOR
        return max(useful, 2 * self.lines.rule.rtol) * look.size / (BARS * len(look.blocks))

    def _narrowed(self, group: tuple[int, ...], first: Look, look: Look) -> Look:
        """The mean over more lines, where the first says too little of its blocks.

        ``look`` is what is known of them: the first, if that did not alarm. More lines are at its
        step, between base points that differ, so that what they scatter by holds rounding and kinks;
        truncation is what they share.
        """
        wanted = self._wanted(first)
        agrees = self._most(group) * first.size / (BARS * len(group))
        off: list[float] = []
        apart: list[float] = []
        while (
            first.size
            and look.bar > wanted
            and not look.alarms
            and self._goes_on(len(off), MOST_MEANS, look.bar > agrees, MEAN_EVALUATIONS)
        ):
            more = self._means(group, first, range(len(off) + 1, len(off) + 1 + MEAN_LINES))
            off += more[0]
            apart += more[1]
            look = self._mean(first, look, np.array(off), np.array(apart))
        self.found.lines.update(dict.fromkeys(group, 1 + 2 * len(off)))
        if first.size and not look.alarms and (off or self.lines.coarse):
            self.found.parts.update(dict.fromkeys(group, self._least_confirmed(group, first, off)))
        return look

    def _least_confirmed(self, group: tuple[int, ...], first: Look, off: list[float]) -> float:
        """The error along signs that parts of a block confirm, and, with few digits, a wide step."""
        if not self.lines.coarse:
            return PARTS_SDS * float(np.std(off, ddof=1)) * first.size
        self.require(MEAN_EVALUATIONS + 2)
        off = off or self._means(group, first, range(1, 1 + MEAN_LINES))[0]
        small = any(map(self._is_small, group))
        sds = PARTS_SDS_IF_SMALL if small else PARTS_SDS_IF_COARSE
        confirmed = sds * float(np.std(off, ddof=1)) * first.size
        if small:
            far = self._far(first, self.lines.signs(SIGNS, group))
            confirmed = max(confirmed, 2 * abs(far - first.slope.value))
        return confirmed

    def _means(
        self, group: tuple[int, ...], first: Look, numbers: range
    ) -> tuple[list[float], list[float]]:
        """Relative errors along lines, each from two base points, and half of what these differ by."""
        off: list[float] = []
        apart: list[float] = []
        for k in numbers:
            v = self.lines.signs(SIGNS + (k << 20), group)
            w = self.lines.random(BASES + (k << 20) + group[0], group)
            claimed = abs(self.lines.claim.along(v)[0])
            away = max(AWAY * first.slope.step, self.lines.least_away)
            ahead, behind = around(self.lines, v, first.slope.step, w, away)
            off.append(1 - (ahead + behind) / (2 * claimed))
            apart.append((ahead - behind) / (2 * claimed))
        return off, apart

    def _mean(self, first: Look, known: Look, off: Floats, apart: Floats) -> Look:
        scatter = max(float(np.std(off, ddof=1)), LEAST_APART * rms(apart))
        bar = NOISE_SDS * scatter / float(np.sqrt(off.size)) * first.size
        shift = EXPECTED * truncation(first.slope.change, scatter * first.size)
        y = float(np.mean(off)) * first.size + float(np.copysign(shift, first.slope.change))
        bar += shift
        return known if bar >= known.slope.bar else first.settled(first.claimed - y, bar)

    def _alarm_along_signs(self, b: int, look: Look) -> Look:
        if not look.size:  # the gradient is zero: it is the difference that must be
            told = stands(lambda k: self.fresh("random", BLOCK + k, b))
            if told is not None:
                self.blame(b, Blame("signs", told, "zero"))
            return look.settled(0.0, abs(look.y) + look.slope.bar)
        self.require(PARTS_EVALUATIONS)
        if self._is_small(b) and self._has_alibi(b, look):
            return look.settled(look.slope.value, max(look.slope.bar, abs(look.y)))
        parts = self._again(b, look)
        if parts.beyond(0.0) and not (self.lines.coarse or self._stands(parts, look)):
            again = self.read("signs", self.lines.signs(SIGNS + AGAIN, (b,)), (b,))
            look = again if again.alarms and again.bar < look.bar else look  # of a better step
        if self._stands(parts, look):
            factor = 1 / (1 - parts.mean) if parts.mean != 1 else np.inf
            one = parts.is_one and np.isfinite(factor) and self._bears_out(b, factor)
            constant = None if one else self._constant_in(b, look)
            self.blame(b, constant or Blame("signs", parts, "scale" if one else "", factor))
            return look
        if self._stands_unevenly(b, look, parts):
            made = self.lines.loss.run.evaluations
            uneven = Blame("signs", parts.unsigned(), "", evaluations=made)
            self.blame(b, self._constant_in(b, look) or uneven)
            return look
        mean = parts.mean * look.size
        return look.settled(look.claimed - mean, max(parts.bar * look.size, look.bar, abs(mean)))

    def _again(self, b: int, look: Look) -> Again:
        """The error along signs in parts of a block, in more rounds while they do not decide."""
        rounds = again_by_parts(self.lines, look, b)
        parts = next(rounds)
        for _ in range(1, ROUNDS if self.lines.coarse else 1):
            if self._stands(parts, look) or BARS * parts.bar <= USEFUL_IF_COARSE:
                break
            self.require(PARTS_EVALUATIONS)
            parts = next(rounds)
        return parts

    def _stands(self, parts: Again, look: Look) -> bool:
        """Whether parts of a block confirm the error of a line; at two steps where digits are few."""
        if not self.lines.coarse:
            return parts.beyond(look.bar / look.size)
        shared = self.lines.shared(look.blocks[0])
        return parts.beyond(look.bar / look.size, shared) and parts.lasts

    def _stands_unevenly(self, b: int, look: Look, parts: Again) -> bool:
        """Whether an error that differs from part to part, as that of a row, shows in one of them again.

        Not where the loss has few digits: parts on one tread of a stair are off together.
        """
        if self.lines.coarse or not parts.is_uneven(2 * look.bar / look.size):
            return False
        k = int(np.abs(parts.values).argmax())
        block = self.layout.blocks[b]
        v = self.lines.signs(SIGNS + FRESH_STREAM + (k << 20), (b,))
        v[block.start : block.stop] *= part_of(block, k)
        again = self.read("part", v, (b,))
        return again.alarms and np.sign(again.y * again.claimed) == np.sign(parts.values[k])

    def _has_alibi(self, b: int, look: Look) -> bool:
        """Whether the slope at a wide step is nearer to the claim, as beside a tread of a stair."""
        far = self._far(look, self.lines.signs(SIGNS, (b,)))
        return abs(far - look.claimed) < abs(far - look.slope.value)

    def _is_small(self, b: int) -> bool:
        """Whether all parts of a block are alike, and, with few digits, may be on one tread of a stair.

        A bias moves sums that are rounded.
        """
        return self.lines.coarse and self.lines.is_small(b)

    def _far(self, look: Look, v: Floats) -> float:
        """The slope along a direction over a wide step."""
        h = max(min(ALIBI * look.slope.step, self.lines.largest_step(v)), look.slope.step)
        above, below = self.lines.loss.along(v, np.array([h, -h]))
        return float(above - below) / (2 * h)

    def _bears_out(self, b: int, factor: float) -> bool:
        """Whether a random direction through the block says the same of the factor."""
        v = self.lines.random(BLOCK + (b << 8), (b,))
        look = self.read("random", v, (b,))
        return abs(look.claimed / factor - look.slope.value) <= look.bar

    # along ones

    def _along_ones(self) -> None:
        """A constant that was added to all of a block shows along ones, where signs differ."""
        if not self.read("ones", self.lines.ones()).alarms:
            return
        for b in range(len(self.layout.blocks)):
            v = self.lines.ones((b,))
            if v.any() and (look := self.read("ones", v, (b,))).alarms:
                told = self._constant_in(b, look)
                if told is not None:
                    self.blame(b, told)

    def _constant_in(self, b: int, look: Look) -> Blame | None:
        """A constant that all parts of a block are off by, as a random direction bears out."""
        self.require(PARTS_EVALUATIONS)
        told = next(again_by_parts(self.lines, look, b, np.ones(self.lines.loss.theta.size)))
        if not (told.beyond(0.0) and told.is_one):
            return None
        v = self.lines.random(BLOCK + (b << 8), (b,))
        fresh = self.read("random", v, (b,))
        left = fresh.y - told.mean * float(v.sum())
        return Blame("ones", told, "offset", told.mean) if abs(left) <= fresh.bar else None

    # along theta

    def _along_theta(self) -> None:
        v = self.lines.theta()
        if not v.any():
            return
        look = self.read("theta", v)
        if not look.alarms:
            return
        products = v * self.lines.loss.theta
        squares = np.array([float(products[b.start : b.stop].sum()) for b in self.layout.blocks])
        weights = np.flatnonzero(squares > LEAST_SHARE * squares.sum())
        told: dict[int, Again] = {}
        made: dict[int, int] = {}
        weights = weights[np.argsort(-squares[weights], kind="stable")]
        looks = dict.fromkeys(weights.tolist(), look)  # in few digits a part of it tells too little
        if not self.lines.coarse:
            looks = {b: self._theta_in(v, b) for b in weights[:FIRST_WEIGHTS].tolist()}
            shown = [(own, float(squares[b])) for b, own in looks.items() if own.alarms]
            if not _are_alike(shown):
                return
        for k, b in enumerate(weights.tolist()):
            if k == FIRST_WEIGHTS and not any(t.beyond(0.0) and t.is_one for t in told.values()):
                return
            own = looks[b] if b in looks else self._theta_in(v, b)
            if own.alarms:
                self.require(PARTS_EVALUATIONS)
                told[b] = next(again_by_parts(self.lines, own, b, self.lines.loss.theta))
                made[b] = self.lines.loss.run.evaluations
        ones = {b: t for b, t in told.items() if t.beyond(0.0) and t.is_one}
        for b, t in ones.items():
            alike = [abs(t.mean - o.mean) <= SAME_LAMBDA * abs(t.mean) for o in ones.values()]
            if sum(alike) > len(ones) // 2:
                law = "missing" if t.mean < 0 else "extra"
                self.blame(b, Blame("theta", t, law, abs(t.mean), made[b]))

    def _theta_in(self, v: Floats, b: int) -> Look:
        """What theta shows in one block."""
        block = self.layout.blocks[b]
        part = np.zeros_like(v)
        part[block.start : block.stop] = v[block.start : block.stop]
        return self.read("theta", part, (b,))

    # along what is zero, and at random

    def _along_random(self, alike: bool) -> None:
        pooled, draw = self.found.alike if alike else self.found.everything, self._drawn(alike)
        looks = [self.read("alike" if alike else "random", draw(k)) for k in range(STEPS)]
        self.pool(pooled, looks, draw, range(STEPS, STEPS + RANDOM))
        if not alike:
            self._looks = looks
        self._hear(pooled, looks, draw)

    def _along_more_random(self) -> None:
        """More directions through everything, where they say too little."""
        pooled, draw = self.found.everything, self._drawn(alike=False)
        before = len(pooled.y)
        while self._says_too_little(pooled):
            first = STEPS + len(pooled.y)
            self.pool(pooled, self._looks, draw, range(first, first + RANDOM))
        if len(pooled.y) > before:
            self._hear(pooled, self._looks, draw)

    def _drawn(self, alike: bool) -> Callable[[int], Floats]:
        """Random directions through everything, or with blocks heard alike."""
        stream = ALIKE if alike else ALL
        return lambda k: self.lines.random(stream + k, alike=alike)

    def _hear(self, pooled: Pooled, looks: list[Look], draw: Callable[[int], Floats]) -> None:
        """Place what random directions show, if fresh ones show it too."""
        if not pooled.alarms:
            return
        fresh = Pooled()
        self.pool(fresh, looks, draw, range(FRESH_STREAM, FRESH_STREAM + RANDOM))
        if fresh.alarms:
            self.found.unplaced = True
            self.found.unplaced = not self._place()

    def _says_too_little(self, pooled: Pooled) -> bool:
        """Whether random directions would miss an error of a good part of the gradient's norm."""
        size = norm(self.lines.norms)
        is_open, cost = pooled.limit > self.agrees[1] * size, RANDOM * EVALUATIONS_EACH
        if pooled.alarms or not self._goes_on(len(pooled.y), MORE_RANDOM, is_open, cost):
            return False
        return pooled.limit > USEFUL_SHAPE * size

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
            if b in self.lines.blamed or not self.moves(b):
                continue

            def draw(k: int, b: int = b) -> Floats:
                return self.lines.random(BLOCK + FRESH + (b << 8) + k, (b,))

            look = self.read("random", draw(0), (b,))
            own = Pooled()
            self.pool(own, [look], draw, range(1, 1 + BLOCK_LINES))
            if own.alarms:
                part = np.array(own.y) / (float(self.lines.norms[b]) or 1.0)
                told = Again(np.abs(part), own.bar / (float(self.lines.norms[b]) or 1.0))
                self.blame(b, Blame("random", told, ""))
        return bool(self.found.blamed)


def _are_alike(shown: list[tuple[Look, float]]) -> bool:
    """Whether blocks that theta shows an error in, if any, may all miss a penalty of one lambda.

    With each goes the square of theta along its direction.
    """
    rates = [look.y / square for look, square in shown]
    doubt = max((look.bar / square for look, square in shown), default=0.0)
    return bool(rates) and np.ptp(rates) <= SAME_LAMBDA * np.max(np.abs(rates)) + doubt
