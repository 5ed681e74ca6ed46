"""What a sweep leaves open in noise is screened together, and both are joined in one outcome.

In float32 and with kinks a bar of some entries is wider than what they are compared with. What a sweep
knows of them is that each is within ``|a - D| + B``; directions through these entries alone tell of all
of them together what no single one shows. A gradient agrees if the two leave no more room for an error
than a screen of all of it may.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad.arrays import Mask
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.domain_edges import away_from_bounds
from fastgrad.checks.hidden_by_noise import kept_for_what_is_left
from fastgrad.checks.open_in_noise import Left
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import SEVERITY, Rule
from fastgrad.checks.screen.noisy import screen_rough
from fastgrad.checks.screen.noisy.limits import useful_limits
from fastgrad.checks.sweep import sweep
from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import heard, rounding_of
from fastgrad.differences.loss import Loss
from fastgrad.numerics.norms import norm

EACH = 1.0
"""No verdict is left where a single entry may be off by its own size or its block's rms: a zero, a sign
and a factor of 2 are excluded in all of typical size. What a sweep calls wrong it has called so."""


def sweep_and_screen(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options
) -> Outcome:
    """Judge every entry, and screen together what its noise leaves open."""
    kept = kept_for_what_is_left(loss)
    with budget.keeping(kept):
        swept = sweep(loss, claim, rule, budget, options)
    judged, known = swept.judged, swept.loss or loss
    # Of a float32 in other units its values alone say nothing, but the noise that a sweep measures.
    rough = kept or kept_for_what_is_left(known)
    if not rough or judged is None or swept.verdict != "inconclusive":
        return swept
    left = Left(judged, known)
    if not left.can_be_screened:
        return swept
    free = np.zeros(known.layout.size, np.bool_)
    free[judged.indices[left.together]] = True
    if not free.any():
        return _told_by_bars(swept, left, budget)
    rest = away_from_bounds(replace(known, free=free))[0]
    if rest.count < np.count_nonzero(free):  # directions would not move all of them
        return swept
    directions = Directions(rest.units.entry, claim.movable(rest.free), options.seed)
    rest = heard(rest, directions, rounding_of(rest) / abs(rest.value))
    together = (directions, (), "")
    screened = screen_rough(rest, claim, rule, budget, together, " of these together")
    return Joined(swept, screened, left.narrowed(budget)).outcome()


def sweep_and_tell(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options
) -> Outcome:
    """Judge every entry, and tell within what those are that noise leaves open, by their bars alone."""
    swept = sweep(loss, claim, rule, budget, options)
    judged, known = swept.judged, swept.loss or loss
    if judged is None or swept.verdict != "inconclusive" or not kept_for_what_is_left(loss):
        return swept
    left = Left(judged, known, screens=False)
    if not left.can_be_screened:
        return swept
    return _told_by_bars(swept, left, budget)


def _told_by_bars(swept: Outcome, left: "Left", budget: Budget) -> Outcome:
    """What a sweep decided, and within what the rest is by its bars: directions say nothing of it."""
    nothing = Outcome("agrees", swept.blocks, 0.0, ())
    return Joined(swept, nothing, left.narrowed(budget)).outcome()


class Joined:
    """What a sweep decided entry by entry, and what directions say of the rest.

    Parameters
    ----------
    swept, screened : Outcome
    left : Left
    """

    def __init__(self, swept: Outcome, screened: Outcome, left: Left):
        self.swept, self.screened, self.left = swept, screened, left
        self.names = [block.name for block in left.loss.layout.blocks]
        self.told = told = screened.in_noise or {}
        """What directions say in numbers."""
        open_ = [left.of_block(b) & left.together for b in range(len(self.names))]
        self.rest = [norm(left.size[which]) for which in open_]
        """The norm of what was screened of each block."""
        along, shape = told.get("along", {}), told.get("any_shape", {})
        self.along = {
            name: min(left.along(b), along.get(name, np.inf)) for b, name in self._with_gradient()
        }
        self.shape = {
            name: self._off(left.of_block(b), shape.get(name, np.inf), self.rest[b])
            for b, name in self._with_gradient()
        }
        everything = np.ones(left.size.size, np.bool_)
        missed = told.get("whole_any_shape", np.inf)
        self.whole = self._off(everything, missed, norm(np.array(self.rest)))

    def _with_gradient(self) -> Iterator[tuple[int, str]]:
        """The blocks of which some gradient is claimed."""
        for b, name in enumerate(self.names):
            if self.left.size[self.left.of_block(b)].any():
                yield b, name

    def _off(self, which: Mask, part: float, rest: float) -> float:
        """What some entries may be off by, over their norm; the open ones by a part of theirs."""
        left, together = self.left, part * rest if rest else np.inf
        alone = norm(left.error[which & ~left.together])
        together = min(together, norm(left.error[which & left.together]))
        return float(np.hypot(alone, together)) / norm(left.size[which])

    def outcome(self) -> Outcome:
        """The outcome of both."""
        blocks = tuple(
            replace(block, verdict=self._verdict_of(b)) for b, block in enumerate(self.swept.blocks)
        )
        verdicts = {block.verdict for block in blocks} | {self._verdict_of_whole()}
        others = (r for r in self.screened.remarks if r not in self.swept.remarks)
        return replace(
            self.swept,
            judged=self.left.judged,
            verdict=min(verdicts, key=SEVERITY.index),
            blocks=blocks,
            remarks=(*self.swept.remarks, self._said(), *others),
            readings=self.screened.readings,
            told=(*self.swept.told, *self.screened.told),
            in_noise=self._numbers(),
        )

    def _verdict_of(self, b: int) -> str:
        """The verdict of a block, of which directions must have seen what is open."""
        name, swept = self.names[b], self.swept.blocks[b].verdict
        if swept != "inconclusive":
            return swept
        if self.screened.blocks[b].verdict == "disagrees":
            return "disagrees"
        seen = not self.rest[b] or np.isfinite(self.told.get("along", {}).get(name, np.inf))
        seen &= not self.left.excluded_alone[self.left.of_block(b)].any()
        sure = self.along.get(name, 0.0) <= useful_limits(self.left.loss)[0]
        return "agrees" if sure and seen else "inconclusive"

    def _verdict_of_whole(self) -> str:
        if self.screened.verdict == "disagrees":
            return "disagrees"
        seen = not any(self.rest) or np.isfinite(self.told.get("whole_any_shape", np.inf))
        sure = self.whole <= useful_limits(self.left.loss)[1] and self.left.each < EACH
        return "agrees" if sure and seen else "inconclusive"

    def _numbers(self) -> dict[str, Any]:
        sums = {
            name: self.left.size[self.left.of_block(b)].sum() for b, name in self._with_gradient()
        }
        total = sum(sums.values())
        return {
            **self.told,
            "along": self.along,
            "any_shape": self.shape,
            "whole_along": max(self.along.values(), default=np.inf),
            "all_along": sum(self.along[name] * sums[name] for name in sums) / total,
            "whole_any_shape": self.whole,
            "open": int(np.count_nonzero(self.left.open)),
            "each": self.left.each,
            "half": float(np.median(self.left.parts)),
        }

    def _said(self) -> str:
        count = int(np.count_nonzero(self.left.open))
        return (
            f"The noise of the loss hides {count:,} of {self.left.open.size:,} entries one by one: each "
            f"is within {100 * self.left.each:.2g}% of its own size or its block's rms, half of them "
            f"within {100 * float(np.median(self.left.parts)):.2g}%. "
            + (
                "They were screened together."
                if any(self.rest)
                else "They are too few to be screened."
                if self.left.screens
                else "Each is known by its own differences alone."
            )
        )
