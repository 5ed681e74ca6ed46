"""The screen of a rough loss: matched directions, then random ones, and a second look at alarms."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.screen.first_look import MOST_GROUPS
from fastgrad.checks.screen.noisy.again import (
    FRESH,
    PARTS_EVALUATIONS,
    STANDING,
    Again,
    again_by_parts,
    stands,
)
from fastgrad.checks.screen.noisy.limits import BARS, shape_limit
from fastgrad.checks.screen.noisy.lines import Look, NoisyLines
from fastgrad.numerics.rough import MOST_RUNGS

RANDOM = 6
"""Random directions through everything, and as many with blocks heard alike."""
MORE_RANDOM = 24
"""The most of each, where they say too little."""
USEFUL_FACTOR = 0.02
"""A limit along the gradient wider than this asks for more lines, up to `MORE_LINES`."""
MORE_LINES = 4
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
SIGNS, THETA, ZEROS, ALL, ALIKE, BLOCK = (k << 35 for k in range(1, 7))
"""Streams of directions."""


class OutOfTimeError(Exception):
    """The time allowed is over."""


class KnownWrongError(Exception):
    """The gradient is known to be wrong, and much was spent."""


@dataclass(frozen=True)
class Blame:
    """What is wrong with a block, and which direction showed it."""

    kind: str
    """The directions: "signs", "theta", "zeros" or "random"."""
    again: Again
    law: str
    """"scale", "missing", "extra", "zeros" or ""."""
    value: float = 0.0
    """The factor, or lambda."""
    evaluations: int = 0


@dataclass
class NoisyFound:
    """What lines told; filled as the search goes on."""

    signs: dict[int, Look] = field(default_factory=dict)
    """The line along signs that goes through a block."""
    lines: dict[int, int] = field(default_factory=dict)
    """How many lines along its signs there were."""
    everything: list[Look] = field(default_factory=list)
    """Random directions through everything."""
    alike: list[Look] = field(default_factory=list)
    """Random directions in which blocks are heard alike."""
    blamed: dict[int, Blame] = field(default_factory=dict)
    unplaced: Look | None = None
    """A random direction that shows an error which no block does."""
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

    def run(self) -> NoisyFound:
        try:
            self._along_theta()
            self._along_zeros()
            self._along_signs()
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
        if look.alarms:
            look = self._alarm_along_signs(group[0], look)
        elif len(group) == 1:
            look = self._narrowed(group[0], look)
        self.found.signs.update(dict.fromkeys(group, look))

    def _narrowed(self, b: int, look: Look) -> Look:
        """The mean of more lines, while one alone says too little and there is time."""
        looks = [look]
        while (
            look.size
            and BARS * look.bar > max(USEFUL_FACTOR, 2 * self.lines.rule.rtol) * look.size
            and len(looks) < MORE_LINES
            and self.allows(4 * MOST_RUNGS)
        ):
            v = self.lines.signs(SIGNS + (len(looks) << 20), (b,))
            looks.append(self.lines.read("signs", v, (b,)))
            part = np.array([one.y / one.size for one in looks])
            bar = np.array([one.slope.bar / one.size for one in looks])
            mean = float(np.sqrt(np.mean(bar**2) / len(looks)))
            look = look.settled(look.claimed - float(part.mean()) * look.size, mean * look.size)
        self.found.lines[b] = len(looks)
        return look

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
            self._blame(b, Blame("signs", parts, "scale" if one else "", factor))
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
        blame = replace(blame, evaluations=self.lines.loss.run.evaluations)
        self.found.blamed[b] = blame
        values, block = self.lines.claim.values, self.layout.blocks[b]
        part = slice(block.start, block.stop)
        if blame.law not in ("scale", "missing", "extra"):
            self.lines.blamed.add(b)
            return
        corrected = values.copy()
        if blame.law == "scale":
            corrected[part] /= blame.value
        else:
            sign = 1.0 if blame.law == "missing" else -1.0
            corrected[part] += sign * blame.value * self.lines.loss.theta[part]
        self.lines.claim = replace(self.lines.claim, values=corrected)

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
        if not v.any() or not self._read("zeros", v).alarms:
            return
        for b, block in enumerate(self.layout.blocks):
            if v[block.start : block.stop].any():
                told = stands(lambda k, b=b: self._fresh("zeros", ZEROS + 1 + k, b, v))  # type: ignore[misc]
                if told is not None:
                    self._blame(b, Blame("zeros", told, "zeros"))

    def _along_random(self) -> None:
        for alike, looks in ((False, self.found.everything), (True, self.found.alike)):
            self._random_lines(looks, alike, 0, RANDOM)
            if any(look.alarms for look in looks):
                fresh: list[Look] = []
                self._random_lines(fresh, alike, MORE_RANDOM, FRESH)
                if sum(look.alarms for look in fresh) >= STANDING and not self._place():
                    self.found.unplaced = max(fresh, key=lambda look: abs(look.y) / look.bar)
        while self._says_too_little(self.found.everything):
            self._random_lines(self.found.everything, False, len(self.found.everything), 1)

    def _random_lines(self, looks: list[Look], alike: bool, first: int, count: int) -> None:
        """Read more random directions; all of a kind have at least the roughness of the typical one."""
        kind, stream = ("alike", ALIKE) if alike else ("random", ALL)
        for k in range(first, first + count):
            looks.append(self._read(kind, self.lines.random(stream + k, alike=alike)))
        if len(looks) >= STANDING:
            typical = float(
                np.median([look.slope.rough / np.sqrt(look.slope.step) for look in looks])
            )
            looks[:] = [look.at_least_as_rough(typical) for look in looks]

    def _says_too_little(self, looks: list[Look]) -> bool:
        """Whether random directions would miss an error of a good part of the gradient's norm."""
        if len(looks) >= MORE_RANDOM or not self.allows(4 * MOST_RUNGS):
            return False
        whole = float(np.sqrt(np.sum(self.lines.norms**2)))
        return shape_limit([look.bar for look in looks if not look.alarms]) > USEFUL_SHAPE * whole

    def _place(self) -> bool:
        """Find the blocks in which the error that random directions show is; False if in none."""
        for b in range(len(self.layout.blocks)):
            if b not in self.lines.blamed and self._moves(b):
                told = stands(lambda k, b=b: self._fresh("random", BLOCK + FRESH + k, b))  # type: ignore[misc]
                if told is not None:
                    self._blame(b, Blame("random", told, ""))
        return bool(self.found.blamed)
