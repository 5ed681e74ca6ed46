"""The state of the gradient under test: does it say the same at theta whenever it is asked?

It is asked before any loss was evaluated, after the loss was evaluated a unit away, and at the end. A
gradient that reads what the loss left behind, and not its argument, is right only because the loss
was just there; one that is never zeroed grows; one that draws random numbers has no value at all.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.checks.claim import Claim
from fastgrad.checks.given_gradient import Gradient
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.differences.repeats import along
from fastgrad.errors import LossError, MutatedInputError
from fastgrad.evaluate.drawn_directions import Direction, written_out
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.findings import Diagnosis
from fastgrad.numerics.norms import norm, rms
from fastgrad.parameters.layout import Layout

SAME = 1e-6
"""Answers that differ by at most this part of their block's rms are one answer with noise: a solver
that starts from its last answer, threads that add in any order."""
ROUNDINGS = 64.0
"""So are those that differ by so many rounding units of their dtype: a sum in single precision."""
GROWS = 1e-3
"""An answer accumulates if two changes in a row are alike to this part."""


class Kind(StrEnum):
    """How answers of a gradient differ, and the law that reports call it by."""

    STALE = "stale"
    ACCUMULATES = "accumulates"
    RANDOM = "random"


@dataclass(frozen=True)
class Unsteady:
    """Answers of a gradient at one theta that are not one answer."""

    kind: Kind
    answers: tuple[Floats, ...]
    """Told in this order, each of shape (n,)."""
    wrong: Mask
    """Entries in which the first two differ beyond noise, shape (n,)."""


class Answers:
    """What the gradient under test says at theta, each time that it is asked.

    Parameters
    ----------
    gradient : Gradient
    run : Evaluator
        The loss.
    outward : ndarray, shape (n,)
        A unit of each entry.
    rule : Rule
    """

    def __init__(self, gradient: Gradient, run: Evaluator, outward: Direction, rule: Rule):
        self.gradient, self.run = gradient, run
        self._same = max(SAME, rule.rtol)
        self.unsteady: Unsteady | None = None
        self._scatter: Floats | None = None
        self._last = outward
        """The direction along which the loss was moved away."""
        try:  # before any loss: what needs one first is asked again, after it
            self._first: tuple[Floats, Floats] | None = gradient.here()
        except MutatedInputError:
            raise
        except Exception:
            self._first = None

    def claim(self) -> Claim:
        """The gradient under test, once the loss was evaluated last a unit away.

        Raises
        ------
        MutatedInputError, StructureMismatchError, TypeError
            As `Gradient.here`; or the gradient's own exception.
        """
        if self._first is None:
            self._visit(0.0)
            self._first = self.gradient.here()
            self._visit(1.0)
        self.compare()
        own, scatter = self._own, self._scatter
        if own is not None:
            scatter = own if scatter is None else np.maximum(own, scatter)
        return Claim(*self._first, self.gradient.elsewhere, scatter=scatter)

    def at_the_end(self) -> Unsteady | None:
        """What varies, once the loss was evaluated last where only every second entry is moved.

        A cache whose key is the first entry, or the first block, takes that for theta.
        """
        if self._last.size > 1 and self.run.leaves_state:
            half = written_out(self._last).copy()
            half[::2] = 0.0
            self._last = half
            self._visit(1.0)
        self.compare()
        return self.unsteady

    def compare(self) -> None:
        """Ask once more; what differs beyond noise is looked into, and kept in ``unsteady``."""
        assert self._first is not None
        if self.unsteady is None:
            first, later = self._first[0], self._ask()
            if not np.array_equal(first, later):
                self._look_into(first, later)

    def _look_into(self, first: Floats, later: Floats) -> None:
        wrong = self._differ(first, later)
        if not wrong.any():
            with np.errstate(invalid="ignore"):
                scatter = np.nan_to_num(np.abs(first - later), posinf=0.0)
            self._scatter = scatter if self._scatter is None else np.maximum(self._scatter, scatter)
            return
        again = self._ask()
        if self._differ(later, again).any():
            kind = Kind.ACCUMULATES if _grows(first, later, again) else Kind.RANDOM
            self.unsteady = Unsteady(kind, (first, later, again), wrong)
            return
        self._visit(0.0)
        here = self._ask()
        self._visit(1.0)
        there = self._ask()
        moved = self._differ(here, there)
        if moved.any():
            self.unsteady = Unsteady(Kind.STALE, (here, there), moved)
        else:
            self.unsteady = Unsteady(Kind.STALE, (first, later, here), wrong)

    def _ask(self) -> Floats:
        return self.gradient.here()[0]

    def _visit(self, distance: float) -> None:
        """Evaluate the loss there along the last direction, wherever that leaves its state."""
        try:
            with np.errstate(all="ignore"):
                along(self.run, self._last, np.array([distance]))
        except LossError:
            if not distance:
                raise

    @cached_property
    def _own(self) -> Floats | None:
        """How far the gradient itself says that it may be off, as it may differ from call to call.

        None where it says nowhere: a vector of zeros would be read once a direction.
        """
        bars = self.gradient.error_bars()
        return bars if bars is not None and bars.any() else None

    def _differ(self, one: Floats, other: Floats) -> Mask:
        """Entries in which two answers differ beyond noise."""
        assert self._first is not None
        with np.errstate(invalid="ignore"):
            apart = np.abs(one - other)
            size = np.maximum(np.abs(one), np.abs(other))
        alike = (one == other) | (np.isnan(one) & np.isnan(other))
        for block, unit in zip(self.gradient.layout.blocks, self._first[1], strict=True):
            part = slice(block.start, block.stop)
            typical = np.maximum(size[part], rms(size[part][np.isfinite(size[part])]))
            alike[part] |= apart[part] <= max(self._same, ROUNDINGS * unit) * typical
        if not alike.all() and self._own is not None:
            alike |= apart <= self._own
        return np.asarray(~alike)


def _grows(first: Floats, later: Floats, again: Floats) -> bool:
    """Whether every call adds the same."""
    with np.errstate(invalid="ignore"):
        before, after = later - first, again - later
    return norm(after - before) <= GROWS * norm(before)


def convicted(outcome: Outcome, unsteady: Unsteady, layout: Layout) -> Outcome:
    """The outcome where the answers of a gradient are not one: its entries that vary disagree."""
    blocks = tuple(
        replace(found, verdict="disagrees") if unsteady.wrong[b.start : b.stop].any() else found
        for found, b in zip(outcome.blocks, layout.blocks, strict=True)
    )
    judged = outcome.judged
    if judged is not None:
        vary = np.flatnonzero(unsteady.wrong[judged.indices])
        verdict = judged.verdict.copy()
        verdict[vary] = Verdict.DISAGREES
        notes = dict(judged.notes)
        for k in vary.tolist():
            said = [f"{answer[judged.indices[k]]:.6g}" for answer in unsteady.answers]
            notes[k] = f"the gradient gives {' and '.join(dict.fromkeys(said))} here"
        judged = replace(judged, verdict=verdict, notes=notes)
    return replace(outcome, verdict="disagrees", blocks=blocks, judged=judged)


def diagnosed(unsteady: Unsteady, layout: Layout) -> Diagnosis:
    """What the varying answers say, in words, with those of the entry that varies most."""
    first, second = unsteady.answers[:2]
    with np.errstate(invalid="ignore"):
        apart = np.where(unsteady.wrong, np.nan_to_num(np.abs(second - first), nan=np.inf), 0.0)
    worst = int(apart.argmax())
    name, block = layout.name(worst), layout.block_at(worst).name
    values = [float(answer[worst]) for answer in unsteady.answers]
    said = [f"{value:.6g}" for value in values]
    if unsteady.kind is Kind.ACCUMULATES:
        sentence = (
            f"The gradient accumulates: {name} is {', then '.join(said)} in calls at the same "
            "theta. Zero what it adds to first."
        )
    elif unsteady.kind is Kind.RANDOM:
        least = float(apart[unsteady.wrong].min())
        between = f"{least:.2g} to {apart[worst]:.2g}" if least < apart[worst] else f"{least:.2g}"
        sentence = (
            f"The gradient differs from call to call, by {between}: {name} is "
            f"{' and '.join(said[:2])} at the same theta. Seed what it draws, or ask with "
            "samples=400 whether it is unbiased."
        )
    elif len(values) == 2:
        sentence = (
            f"The gradient depends on where the loss was evaluated last: at the same theta, {name} is "
            f"{said[0]} after a call of the loss there and {said[1]} after a call elsewhere. It "
            "reads state that the loss leaves, and not its argument."
        )
    else:
        sentence = (
            f"The gradient does not repeat its first answer: at the same theta, {name} is {said[0]} "
            f"and then {said[1]}. It keeps state of its own."
        )
    numbers = dict(zip(("first", "second", "third"), values, strict=False))
    return Diagnosis(block, str(unsteady.kind), numbers, sentence)
