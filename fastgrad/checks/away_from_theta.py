"""What an error without a law does away from theta: does it stay, does its ratio, what does it not read?

Numbers at one theta cannot tell a factor of each entry's own from any other error, nor a missing linear
term. A little away they can: `POINTS` more calls of the gradient and a few differences there, for blocks
that are wrong without a law, and for multiples of theta whose weight is no round number.

Nothing is named unless it holds at all of these points, in all entries looked at, while the loss's own
slopes change: what stays as it is by chance at one point does not at the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.diagnose.case import SHOWS
from fastgrad.checks.diagnose.evidence import Evidence
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.named_constants import coefficient
from fastgrad.differences.confined import Confined
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.findings import Diagnosis
from fastgrad.numerics.bars import ROUNDING
from fastgrad.numerics.stencils import CENTRAL

AWAY = 2.0**-5
"""How far away, in units of the entries: far enough for slopes to change, near enough for one branch."""
POINTS = 2
ENTRIES = 4
"""Entries of a block that are looked at."""
BLOCKS = 4
"""Blocks that are looked at, and of which it is asked whether the gradient reads them."""
MOVED = 1e-3
"""The part that a slope has to change by for what does not change with it to say anything."""
MOST_MOVED = 0.5
"""Part of the entries of which that is wanted at each point."""
SAME = 1e-7
"""What stays the same does to this part of the gradient, and to `SHOWS` bars of theta: differences
away from it have none of their own."""
SURE = 1e-3
"""So small a part of the error is that slack, or it says nothing that the error stays."""
ROUND = 1e-7
"""A weight that is known this well, and is not round, was not written by a person."""
FEWEST_FACTORS = 3
"""Entries wanted whose factors are their own."""
MIXED_STEP = 2.0**-12
"""Step of mixed differences of the loss, near eps^(1/4)."""
COUPLED = 1e-3
"""The part of its terms by which a mixed derivative differs from the loss's, at least, where the
gradient belongs to another loss."""
SYMMETRIC = 1e-4
"""It is symmetric to this part of that difference, or the gradient is that of no function."""
COST = POINTS * 2 * ENTRIES + 2 * BLOCKS + 4
"""Evaluations of the loss for a block, at most."""
CALLS = POINTS + BLOCKS + 4
"""Calls of the gradient."""
L2 = ("missing-l2", "extra-l2")


class There(NamedTuple):
    """Some entries of a block at another point: the gradient under test, and differences there."""

    a: Floats
    D: Floats


@dataclass(frozen=True)
class _Block:
    """A block to be explained, and the entries of it that are looked at."""

    evidence: Evidence
    start: int
    chosen: Indices
    """Positions among the samples of the evidence."""

    @property
    def entries(self) -> Indices:
        """Their places in the flat theta."""
        return np.asarray(self.start + self.evidence.positions[self.chosen])

    @property
    def a(self) -> Floats:
        return self.evidence.analytic[self.evidence.positions[self.chosen]]

    @property
    def numeric(self) -> Floats:
        return self.evidence.numeric[self.chosen]

    @property
    def bar(self) -> Floats:
        return self.evidence.bar[self.chosen]

    @property
    def stop(self) -> int:
        return self.start + self.evidence.analytic.size


def told_elsewhere(
    diagnoses: Sequence[Diagnosis],
    evidence: Sequence[Evidence],
    loss: Loss,
    claim: Claim,
    budget: Budget,
) -> tuple[Diagnosis, ...]:
    """The diagnoses, those of blocks without a law with what the error does away from theta."""
    wanted = [d for d in diagnoses if _is_open(d)][:BLOCKS]
    if not wanted or not _can_look(loss, claim, budget, len(wanted)):
        return tuple(diagnoses)
    look = _Look(loss, claim)
    found = {}
    for diagnosis in wanted:
        block = _block(diagnosis.block, evidence)
        if block is None:
            continue
        law = look.law(block, diagnosis)
        if law is not None:
            sentence = f"{diagnosis.block}: {law.clause}."
            found[diagnosis.block] = replace(
                diagnosis, law=law.law, constants=law.constants, sentence=sentence
            )
    return tuple(found.get(d.block, d) for d in diagnoses)


def _is_open(diagnosis: Diagnosis) -> bool:
    if diagnosis.law in L2:
        weight = diagnosis.constants["lambda"]
        return not coefficient(weight, ROUND * weight, ()).named
    return diagnosis.law == "unexplained"


def _can_look(loss: Loss, claim: Claim, budget: Budget, blocks: int) -> bool:
    """Whether loss and gradient can be asked elsewhere, exactly enough, in the time that is left."""
    exact = claim.unit.max(initial=0.0) <= np.finfo(np.float64).eps and claim.scatter is None
    whole = loss.layout.linear and not isinstance(loss.run, Confined) and not loss.run.structured
    if claim.function is None or not exact or not whole or not claim.is_finite:
        return False
    seconds = COST * blocks * budget.evaluation + CALLS * blocks * budget.gradient
    return seconds <= budget.left()


def _block(name: str, evidence: Sequence[Evidence]) -> _Block | None:
    """The block, with some entries that are wrong and tell most."""
    start = 0
    for block in evidence:
        if block.name == name:
            break
        start += block.analytic.size
    a = block.analytic[block.positions]
    wrong = np.abs(a - block.numeric) > SHOWS * block.bar
    telling = np.flatnonzero(wrong & (np.abs(block.numeric) > SHOWS * block.bar))
    if not telling.size:
        return None
    ranks = np.argsort(-np.abs(block.numeric[telling]), kind="stable")[:ENTRIES]
    return _Block(block, start, np.sort(telling[ranks]))


class _Look:
    """Loss and gradient at other points, asked for as they are wanted."""

    def __init__(self, loss: Loss, claim: Claim):
        assert claim.function is not None
        self.loss, self.gradient, self.values = loss, claim.function, claim.values
        self.units = np.where(
            np.ones(loss.theta.size, np.bool_) if loss.free is None else loss.free,
            loss.units.entry,
            0.0,
        )
        rng = np.random.default_rng(loss.theta.size)
        signs = rng.choice([-1.0, 1.0], (POINTS, loss.theta.size))
        self.moves = AWAY * self.units * signs * rng.uniform(0.5, 1.5, signs.shape)
        self._known: dict[bytes, Floats | None] = {}

    def law(self, block: _Block, diagnosis: Diagnosis) -> Finding | None:
        """The first that holds."""
        there = [self.there(block, move) for move in self.moves]
        points = [point for point in there if point is not None]
        if len(points) < POINTS:
            return None
        with np.errstate(all="ignore"):
            if diagnosis.law in L2:
                return _radial(block, points, self._thetas(block), diagnosis)
            found = _constant(block, points) or _same_error(block, points)
            found = found or _same_ratio(block, points)
            return found or self._unread(block) or self._another_loss(block)

    def there(self, block: _Block, move: Floats) -> There | None:
        """Gradient and differences of some entries at theta + move; None where either cannot be had."""
        a = self._at(move)
        return None if a is None else There(a[block.entries], self._slopes(block.entries, move))

    def _at(self, move: Floats) -> Floats | None:
        """The gradient under test at theta + move; None if it raises there or is not finite."""
        key = move.tobytes()
        if key not in self._known:
            try:
                a = self.gradient(self.loss.theta + move)
            except Exception:  # it need not be defined there
                a = np.full(self.values.size, np.nan)
            self._known[key] = a if np.isfinite(a).all() else None
        return self._known[key]

    def _slopes(self, entries: Indices, move: Floats) -> Floats:
        steps = Entries(self.loss, entries).steps()
        slopes = np.empty(entries.size)
        for k, (i, h) in enumerate(zip(entries.tolist(), steps.tolist(), strict=True)):
            values = []
            for sign in (1.0, -1.0):
                way = move.copy()
                way[i] += sign * h
                values.append(float(self.loss.along(way, np.ones(1))[0]))
            slopes[k] = (values[0] - values[1]) / (2 * h)
        return slopes

    def _thetas(self, block: _Block) -> list[Floats]:
        return [(self.loss.theta + move)[block.entries] for move in self.moves]

    def _unread(self, block: _Block) -> Finding | None:
        """The gradient does not change with a block that the loss's slope changes with."""
        unread = []
        for other in self.loss.layout.blocks[: 2 * BLOCKS]:
            move = np.zeros(self.units.size)
            part = slice(other.start, other.stop)
            move[part] = self.moves[0][part]
            a = self._at(move) if move.any() else None
            inside = slice(block.start, block.stop)
            if a is None or not np.array_equal(a[inside], self.values[inside]):
                continue
            one = block.entries[:1]
            if _changed(block.numeric[:1], self._slopes(one, move), block.bar[:1]).all():
                unread.append(other.name)
        if not unread:
            return None
        name, listed = block.evidence.name, " and ".join(unread[:3])
        clause = (
            f"the analytic gradient by {name} does not change with {listed} at all, and the loss's "
            "does: a term that reads it is missing, or another variable stands where it belongs"
        )
        return Finding(("unread",), {"blocks": float(len(unread))}, clause)

    def _another_loss(self, block: _Block) -> Finding | None:
        """It is the gradient of a function, with another mixed derivative than the loss's."""
        rng = np.random.default_rng(block.evidence.analytic.size)
        e = block.evidence
        a = e.analytic[e.positions]
        wrong = block.start + e.positions[np.abs(a - e.numeric) > SHOWS * e.bar]
        u, v = np.zeros(self.units.size), self.units * rng.uniform(0.5, 1.5, self.units.size)
        some = rng.permutation(wrong)[: max(1, wrong.size // 2)]
        u[some], v[some] = v[some], 0.0
        v *= rng.choice([-1.0, 1.0], v.size)
        t = CENTRAL[2].step
        calls = [self._at(sign * t * w) for w in (u, v) for sign in (1.0, -1.0)]
        known = [a for a in calls if a is not None]
        if len(known) < len(calls) or not v.any():
            return None
        by_u, by_v = v * (known[0] - known[1]) / (2 * t), u * (known[2] - known[3]) / (2 * t)
        size = float(np.abs(by_u).sum() + np.abs(by_v).sum())
        one, other = float(by_u.sum()), float(by_v.sum())
        rounding = ROUNDING * float(np.abs(v) @ np.abs(known[0]) + np.abs(u) @ np.abs(known[2])) / t
        mixed, bar = self._mixed(u, v)
        apart = min(abs(one - mixed), abs(other - mixed))
        if not apart > max(SHOWS * bar, COUPLED * size, SHOWS * rounding):
            return None
        if abs(one - other) > SYMMETRIC * apart + rounding:
            return None
        clause = (
            "the analytic gradient is that of another function than the loss (along two directions "
            f"its mixed derivative is {one:.6g} either way round, the loss's {mixed:.6g}): so it is "
            "where a term of the loss is missing or too much, or where terms or rows have other weights"
        )
        return Finding(("another-loss",), {"mixed": one, "of_the_loss": mixed}, clause)

    def _mixed(self, u: Floats, v: Floats) -> tuple[float, float]:
        """The mixed derivative of the loss along u and v, and its bar."""
        h = MIXED_STEP
        signs = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
        values = [float(self.loss.along(h * (p * u + q * v), np.ones(1))[0]) for p, q in signs]
        mixed = (values[0] - values[1] - values[2] + values[3]) / (4 * h * h)
        return mixed, SHOWS * self.loss.noise / (4 * h * h)


def _changed(before: Floats, after: Floats, bar: Floats) -> Floats:
    """Whether numbers changed by more than `MOVED` of them."""
    return np.asarray(
        np.abs(after - before) > MOVED * np.maximum(np.abs(before), np.abs(after)) + SHOWS * bar
    )


def _constant(block: _Block, points: list[There]) -> Finding | None:
    """The gradient is the same numbers everywhere, bit for bit."""
    if not all(
        np.array_equal(p.a, block.a) and _changed(block.numeric, p.D, block.bar).any()
        for p in points
    ):
        return None
    clause = (
        "the analytic gradient is the same numbers at other points, and the loss's is not: it does not "
        "read theta, or it is what was computed for another one"
    )
    return Finding(("constant",), {}, clause)


def _same_error(block: _Block, points: list[There]) -> Finding | None:
    """a - D is the same everywhere: what is off is linear in theta."""
    r = block.a - block.numeric
    for p in points:
        size = np.abs(p.a) + np.abs(p.D) + np.abs(block.a) + np.abs(block.numeric)
        slack = SAME * size + SHOWS * block.bar
        if np.any(np.abs(p.a - p.D - r) > slack) or np.any(slack > SURE * np.abs(r)):
            return None
        if np.mean(_changed(block.numeric, p.D, block.bar)) < MOST_MOVED:
            return None
    clause = (
        f"the error is the same at other points ({_listed(r)}): a term linear in theta, a sum of it "
        "with numbers of the data, is missing or too much"
    )
    return Finding(("linear-term",), {"largest": float(r[np.abs(r).argmax()])}, clause)


def _same_ratio(block: _Block, points: list[There]) -> Finding | None:
    """a / D is the same everywhere, in every entry: a number for each."""
    ratio = block.a / block.numeric
    for p in points:
        slack = np.abs(ratio) * (SAME + SHOWS * block.bar / np.abs(block.numeric))
        if np.any(~(np.abs(p.a / p.D - ratio) <= slack)) or np.any(
            slack > SURE * np.abs(ratio - 1)
        ):
            return None
        if np.mean(_changed(block.numeric, p.D, block.bar)) < MOST_MOVED:
            return None
    if block.evidence.analytic.size == 1:
        factor = float(ratio[0])
        clause = (
            f"the analytic gradient is {factor:.6g} times the numerical one, at other points too"
        )
        return Finding(("scale",), {"factor": factor}, clause)
    if ratio.size < FEWEST_FACTORS or np.ptp(ratio) <= MOVED * np.abs(ratio).max():
        return None
    low, high = float(ratio.min()), float(ratio.max())
    clause = (
        f"each entry is the numerical one times a number of its own, the same at other points "
        f"({_listed(ratio)}): weights of the entries are missing or wrong, or of several copies of an "
        "entry not all are added up"
    )
    return Finding(("entry-factors",), {"min": low, "max": high}, clause)


def _listed(values: Floats) -> str:
    return ", ".join(f"{value:.6g}" for value in values[:3]) + (", ..." if values.size > 3 else "")


def _radial(
    block: _Block, points: list[There], thetas: list[Floats], diagnosis: Diagnosis
) -> Finding | None:
    """The error is a multiple of theta everywhere, and not the same one."""
    here = (1.0 if diagnosis.law == "extra-l2" else -1.0) * diagnosis.constants["lambda"]
    weights = [here]
    for p, x in zip(points, thetas, strict=True):
        told = x != 0
        r, f = (p.a - p.D)[told], x[told]
        if r.size < 2:
            return None
        weight = float((f @ r) / (f @ f))
        size = (np.abs(p.a) + np.abs(p.D))[told]
        if np.any(np.abs(r - weight * f) > SAME * size + SHOWS * block.bar[told]):
            return None
        weights.append(weight)
    if np.ptp(weights) <= MOVED * abs(here):
        return None
    clause = (
        f"the error is a multiple of {block.evidence.name}, {here:.6g} here and {weights[1]:.6g} at "
        "another point: no L2 term, but what depends on its norm alone is derived wrongly"
    )
    return Finding(("radial",), {"weight": here}, clause)
