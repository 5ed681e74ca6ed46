"""Entries at one kink, judged together: each may lie between its own slopes, all together outside.

At ``max(x)`` of four ties every slope from 0 to 1 is that of a subgradient in its own entry, and four
slopes of 1 are no subgradient: along the four together the loss is straight and rises by 1, and they
say 4. A subgradient g has ``-J'(x; -v) <= g . v <= J'(x; v)`` along every direction v (R. T.
Rockafellar, *Convex Analysis*, 1970, theorem 23.2; the other way round where J is concave), so where J
is straight along v, ``g . v`` is its slope there. Where it bends along v as well, and one way in all
directions, what lies outside is not called right.
"""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.outcome import Judged
from fastgrad.checks.rules import Verdict
from fastgrad.differences.confined import Confined
from fastgrad.differences.loss import Loss
from fastgrad.findings import Diagnosis

MOST_TIES = 64
"""Entries at kinks that are looked at together, of one block."""
MOST_PAIRS = 256
"""Pairs of entries that are tried, two evaluations each: separate kinks have no end of them."""
CURVED = 2.0**-6
"""What does not matter beside the slopes of a kink: bends over steps of 2^-17, and rounding."""
STRAIGHT = 2.0**-10
"""A change of slope that is no kink, beside those of single entries. Along all of its ties a maximum is
straight; where convex and concave kinks meet, as in a ReLU net at zero weights, the loss is not.
"""
NEARER = 16.0
"""Kinks are at theta if they are there over steps so many times shorter."""
SAME = 0.25
"""Bends over both steps differ by less than this part of themselves."""
NOISE_SDS = 16.0
"""The noise of sums and differences of four values, eight of its sds."""
REACH = 2.0
"""Steps to a bound within which an entry has one side."""
LOOKS = 6
"""Directions along which a loss must bend one way: what does so by chance passes once in 64 times."""
FEWEST = 3
"""Entries of which no two show that they share a kink."""
SIDES = np.array([1.0, -1.0])
NAMED = 3
LAW = "ties"


@dataclass
class _Kinks:
    """The increments of the loss around theta when entries at kinks take a step."""

    loss: Loss
    indices: Indices
    step: float
    """The same for all: ties stay ties when they move alike."""
    up: Floats = field(init=False)
    """``f(x + s e_i) - f(x)``."""
    down: Floats = field(init=False)
    """``f(x) - f(x - s e_i)``."""
    signs: Floats = field(init=False)
    """The way each goes when all go up."""

    def __post_init__(self) -> None:
        sides = np.tile(self.step * SIDES, (self.indices.size, 1))
        values = self.loss.values(self.indices, sides) - self.loss.base
        self.up, self.down = values[:, 0], -values[:, 1]
        self.signs = np.ones(self.indices.size)

    def turned(self, signs: Floats) -> "_Kinks":
        """The same, where some entries go down when the others go up."""
        turned = copy(self)
        turned.up = np.where(signs > 0, self.up, -self.down)
        turned.down = np.where(signs > 0, self.down, -self.up)
        turned.signs = signs
        return turned

    def together(self, some: Indices) -> tuple[float, float]:
        """The increments when some entries move at once, up and down."""
        v = np.zeros(self.loss.layout.size)
        v[self.indices[some]] = self.signs[some]
        above, below = self.loss.along(v, self.step * SIDES) - self.loss.base
        return float(above), float(-below)

    def interact(self, some: Indices) -> bool:
        """Whether the increments of some entries do not add up: they share a kink."""
        above, below = self.together(some)
        up, down = self.up[some], self.down[some]
        slack = CURVED * max(float(np.abs(up).max()), float(np.abs(down).max()))
        missing = above - float(up.sum()), below - float(down.sum())
        return max(abs(part) for part in missing) > slack

    def exclude(self, slope: float, some: Indices | None = None) -> bool:
        """Whether the loss is straight along some entries together, or all, with another slope."""
        some = np.arange(self.indices.size) if some is None else some
        above, below = self.together(some)
        bend = float(np.abs(self.up[some] - self.down[some]).max())
        off = abs(self.step * slope - (above + below) / 2)
        noise = NOISE_SDS * self.loss.noise
        return abs(above - below) <= STRAIGHT * bend + noise and off > CURVED * bend + noise

    def leaves_out(self, slope: float, some: Indices | None = None) -> bool:
        """Whether a slope is not between those on both sides along some entries together, or all."""
        some = np.arange(self.indices.size) if some is None else some
        low, high = sorted(self.together(some))
        bend = float(np.abs(self.up[some] - self.down[some]).max())
        slack = CURVED * bend + NOISE_SDS * self.loss.noise
        return not low - slack <= self.step * slope <= high + slack

    def bends_one_way(self, some: Indices) -> bool:
        """Whether the loss seems convex in some entries, or concave: along random signs of them too."""
        rng = np.random.default_rng(some.size)
        bends = [*(self.up - self.down)[some]]
        for _ in range(LOOKS):
            along = self.turned(rng.choice(SIDES, self.indices.size))
            above, below = along.together(some)
            bends.append(above - below)
        slack = STRAIGHT * float(np.abs(bends).max()) + NOISE_SDS * self.loss.noise
        return min(bends) >= -slack or max(bends) <= slack

    def are_at_theta(self, some: Indices, near: "_Kinks") -> bool:
        """Whether some entries bend as much over steps so much shorter: kinks beside theta do not."""
        far = (self.up - self.down)[some] / self.step
        return bool(np.all(np.abs((near.up - near.down) / near.step - far) <= SAME * np.abs(far)))

    def groups(self, left: Callable[[], float]) -> list[Indices]:
        """Entries that share a kink, each found by a pair with the first of its group.

        Pairs of the two largest of four that are tied do not show it: what is left is looked at as a
        whole, without each of its entries.
        """
        everyone = np.arange(self.indices.size)
        above, below = self.together(everyone)
        slack = CURVED * float(np.abs(self.up).max() + np.abs(self.down).max())
        if abs(above - self.up.sum()) <= slack and abs(below - self.down.sum()) <= slack:
            return []
        groups: list[list[int]] = []
        tried = 0
        for k in everyone.tolist():
            for group in groups:
                tried += 1
                if tried > MOST_PAIRS or left() <= 0:
                    return []
                if self.interact(np.array([group[0], k])):
                    group.append(k)
                    break
            else:
                groups.append([k])
        alone = np.array([group[0] for group in groups if len(group) == 1], np.intp)
        paired = [np.array(group) for group in groups if len(group) > 1]
        bend = (self.up - self.down)[alone]
        sides = [alone[bend > slack / 2], alone[bend < -slack / 2]]
        return [*paired, *(g for side in sides if (g := self._in_many(side, left)).size)]

    def _in_many(self, some: Indices, left: Callable[[], float]) -> Indices:
        """Those of some entries, which bend alike, whose part depends on what the others do."""
        if some.size < FEWEST or not self.interact(some):
            return some[:0]
        above, below = self.together(some)
        slack = CURVED * float(np.abs(self.up[some]).max() + np.abs(self.down[some]).max())
        shared = []
        for k in some.tolist():
            if left() <= 0:
                return some[:0]
            rest = self.together(some[some != k])
            missing = above - rest[0] - self.up[k], below - rest[1] - self.down[k]
            if max(abs(part) for part in missing) > slack:
                shared.append(k)
        return np.array(shared, np.intp)


def judged_together(
    loss: Loss, judged: Judged, left: Callable[[], float]
) -> tuple[Judged, tuple[Diagnosis, ...]]:
    """Entries with valid subgradients, those called wrong that are none together, and why."""
    if not (judged.verdict == Verdict.KINK_VALID).any():
        return judged, ()
    verdict, notes = judged.verdict.copy(), dict(judged.notes)
    tied = np.zeros(verdict.size, np.bool_)
    told: list[Diagnosis] = []
    for b, block in enumerate(loss.layout.blocks):
        at = np.flatnonzero((judged.verdict == Verdict.KINK_VALID) & (judged.block == b))
        at = _between_bounds(loss, judged, at)[:MOST_TIES]
        if at.size < 2 or loss.run.structured or left() <= 0:
            continue
        kinks = _Kinks(loss, judged.indices[at], float(judged.differences.step[at].min()))
        for who, slopes, says in _no_subgradients(kinks, judged, at, left):
            if len(slopes) > 1:
                verdict[who] = Verdict.KINK_OUTSIDE
                between = f"{slopes[0]:.4g} to {slopes[1]:.4g}"
                note = f"a kink: along {who.size} ties the slopes are {between}, not {says:.4g}"
                notes.update(dict.fromkeys(map(int, who), note))
                continue
            (rises,) = slopes
            verdict[who], tied[who] = Verdict.DISAGREES, True
            note = f"no subgradient: along {who.size} ties the slope is {rises:.4g}, not {says:.4g}"
            notes.update(dict.fromkeys(map(int, who), note))
            if not told or told[-1].block != block.name:
                names = [loss.layout.name(int(i)) for i in judged.indices[who]]
                told.append(_diagnosis(block.name, names, (rises, says)))
    if (verdict == judged.verdict).all():
        return judged, ()
    return replace(judged, verdict=verdict, notes=notes, tied=tied), tuple(told)


def _no_subgradients(
    kinks: _Kinks, judged: Judged, at: Indices, left: Callable[[], float]
) -> Iterator[tuple[Indices, tuple[float, ...], float]]:
    """Ties that are no subgradient together, the slope along all of them, and what is said of it.

    Where the loss has a kink along all of them, its slopes on both sides: backprop's choice at a kink of
    a net need not lie between them, and that it does not is no proof of an error.

    All go up at once, or each the way in which the loss rises: the largest of ``|x|`` is straight so.
    """
    rising = np.where(judged.numeric[at] < 0, -1.0, 1.0)
    found = np.zeros(at.size, np.bool_)
    for signs in (np.ones(at.size), rising):
        if signs is rising and (rising == rising[0]).all():
            return
        turned = kinks.turned(signs)
        for group in turned.groups(left):
            who = at[group]
            says = float(signs[group] @ judged.analytic[who])
            near = _Kinks(kinks.loss, judged.indices[who], kinks.step / NEARER).turned(signs[group])
            if found[group].any() or not turned.are_at_theta(group, near):
                continue
            above, below = (part / kinks.step for part in turned.together(group))
            if turned.exclude(says, group) and near.exclude(says):
                found[group] = True
                yield who, ((above + below) / 2,), says
            elif (
                turned.leaves_out(says, group)
                and near.leaves_out(says)
                and turned.bends_one_way(group)
            ):
                yield who, (min(above, below), max(above, below)), says


def _between_bounds(loss: Loss, judged: Judged, at: Indices) -> Indices:
    """Those entries that can be moved both ways: at a bound the loss has one side."""
    if not isinstance(loss.run, Confined):
        return at
    reach = np.zeros(loss.layout.size)
    reach[judged.indices] = REACH * np.abs(judged.differences.step)
    return at[~loss.run.box.near(loss.theta, reach)[judged.indices[at]]]


def _diagnosis(block: str, names: list[str], slopes: tuple[float, float]) -> Diagnosis:
    listed = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    sentence = (
        f"{block}: {len(names)} entries are at one kink ({listed}); each lies between its own slopes, "
        f"and together they are no subgradient: along all of them the slope of the loss is "
        f"{slopes[0]:.4g}, the analytic gradient says {slopes[1]:.4g}. Ties share "
        "one slope: give it to one, or each a part."
    )
    return Diagnosis(block, LAW, {"entries": float(len(names)), "claimed": slopes[1]}, sentence)
