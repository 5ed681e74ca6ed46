"""What lines through a rough loss told -> an outcome: verdicts of blocks, limits, laws and remarks."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgrad.checks.block_checks import unchecked_block
from fastgrad.checks.budget import Budget
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.remarks import about_the_loss
from fastgrad.checks.screen.noisy.found import NoisyFound
from fastgrad.checks.screen.noisy.limits import BARS, HALVED, NOTHING, useful_limits
from fastgrad.checks.screen.noisy.lines import Look, NoisyLines
from fastgrad.checks.screen.noisy.pooled import MISSED
from fastgrad.checks.screen.noisy.words import diagnosis_of, per_cent, sentence_of
from fastgrad.findings import BlockCheck
from fastgrad.numerics.norms import norm, rms
from fastgrad.parameters.blocks import Block

BLOCKS_TOLD = 12
"""Blocks whose limits are told in words; the others' are in ``report.in_noise``."""


class Summary:
    """The outcome of a screen of a rough loss.

    Parameters
    ----------
    found : NoisyFound
    lines : NoisyLines
    budget : Budget
    began : int
        Evaluations made before the first line.
    """

    def __init__(self, found: NoisyFound, lines: NoisyLines, budget: Budget, began: int):
        self.found, self.lines, self.budget = found, lines, budget
        self.layout = lines.loss.layout
        self.made = lines.loss.run.evaluations - began
        self.shares = lines.shares(lines.norms)
        moving = [b for b, block in enumerate(self.layout.blocks) if self._moves(block)]
        self.moving = moving
        self.along = {b: self._along(b) for b in moving}
        self.shape = {b: self._shape(b) for b in moving}
        whole = norm(lines.norms)
        self.whole = found.everything.limit / whole if whole else float("inf")

    def _moves(self, block: Block) -> bool:
        return bool(self.lines.directions.moves(block).any())

    def _along(self, b: int) -> float:
        """The smallest factor by which a block's gradient may be off, less one, that would be missed."""
        look = self.found.signs.get(b)
        if look is None:
            return float("inf")
        sums = self.lines.sums
        shares = self.lines.shares(sums) if len(look.blocks) > 1 else np.ones(sums.size)
        size = float(shares[b] * sums[b])
        limit = max(BARS * look.bar, self.found.parts.get(b, 0.0))
        return limit / size + self.lines.shared(b) if size else float("inf")

    def _shape(self, b: int) -> float:
        """The smallest error of any shape that would be missed, over the norm of the gradient there."""
        size = float(self.lines.norms[b])
        alike = self.found.alike.limit / float(self.shares[b])
        return min(self.found.everything.limit, alike) / size if size else float("inf")

    def outcome(self, remarks: tuple[str, ...], cost: str, of: str = "") -> Outcome:
        blocks = tuple(self._block(b) for b in range(len(self.layout.blocks)))
        looks = [(self._named(look), look.y, look.bar) for look in self._looks()]
        for pooled in (self.found.everything, self.found.alike):
            looks += [("everything", y, pooled.bar) for y in pooled.y]
        return Outcome(
            self._verdict(blocks),
            blocks,
            self._relative_error(),
            tuple(
                filter(None, (*remarks, *self._remarks(of), *about_the_loss(self.lines.loss), cost))
            ),
            None,
            tuple(looks),
            loss=self.lines.loss,
            told=tuple(
                diagnosis_of(blame, self.layout.blocks[b])
                for b, blame in sorted(self.found.blamed.items())
            ),
            in_noise=self._numbers(),
        )

    def _looks(self) -> list[Look]:
        return list({id(look): look for look in self.found.signs.values()}.values())

    def _named(self, look: Look) -> str:
        return "signs of " + ", ".join(self.layout.blocks[b].name for b in look.blocks[:3])

    def _relative_error(self) -> float:
        shown, whole = np.array(self.found.everything.y), norm(self.lines.norms)
        return rms(shown) / (2 * whole) if shown.size and whole else 0.0

    def _block(self, b: int) -> BlockCheck:
        block = self.layout.blocks[b]
        if b not in self.along:
            return unchecked_block(block)
        look = self.found.signs.get(b)
        size = float(self.lines.norms[b])
        rms = size / np.sqrt(block.size)
        error = abs(look.y) / (2 * look.size) if look is not None and look.size else 0.0
        return BlockCheck(
            name=block.name,
            shape=block.shape,
            size=block.size,
            checked=0,
            verdict=self._block_verdict(b),
            relative_error=float(error),
            max_error=0.0,
            detection_limit=self.shape[b] * size / rms if rms else float("inf"),
            limit_of="block",
            kinks=0,
            worst="",
        )

    def _block_verdict(self, b: int) -> str:
        if b in self.found.blamed:
            return "disagrees"
        look = self.found.signs.get(b)
        if look is None or look.alarms:
            return "inconclusive"
        if not self.lines.sums[b]:
            told = float("inf") if self.lines.coarse else look.slope.bar
            missed = min(told, self.found.zeros.get(b, float("inf")))
            alone = missed <= NOTHING * float(self.lines.norms.max(initial=0.0))
            return "agrees" if alone else "inconclusive"
        most = useful_limits(self.lines.loss)[0]
        if self.along[b] * self.lines.sums[b] <= NOTHING * float(self.lines.sums.max()):
            most = 1.0
        return "agrees" if self.along[b] <= most else "inconclusive"

    def _verdict(self, blocks: tuple[BlockCheck, ...]) -> str:
        verdicts = {block.verdict for block in blocks}
        if "disagrees" in verdicts or self.found.unplaced:
            return "disagrees"
        sure = self.found.complete and "inconclusive" not in verdicts
        most = useful_limits(self.lines.loss)[1]
        return "agrees" if sure and self.whole <= most else "inconclusive"

    def _numbers(self) -> dict[str, Any]:
        names = {b: self.layout.blocks[b].name for b in self.moving}
        return {
            "along": {names[b]: self.along[b] for b in self.moving},
            "any_shape": {names[b]: self.shape[b] for b in self.moving},
            "whole_along": self._worst_along(),
            "all_along": self._all_along(),
            "whole_any_shape": self.whole,
            "probability": MISSED,
            "evaluations_for_half": int(HALVED * self.made),
        }

    def _worst_along(self) -> float:
        """The factor that would be missed in any block whose gradient is not zero."""
        known = [self.along[b] for b in self.moving if self.lines.sums[b]]
        return max(known, default=float("inf"))

    def _all_along(self) -> float:
        """The same for the gradient as a whole: blocks off by their limits, all of one sign."""
        known = np.array([self.along[b] for b in self.moving if self.lines.sums[b]])
        sums = np.array([self.lines.sums[b] for b in self.moving if self.lines.sums[b]])
        return float(np.sum(known * sums) / np.sum(sums)) if known.size else float("inf")

    def _remarks(self, of: str) -> Iterator[str]:
        found, layout = self.found, self.layout
        for b, blame in sorted(found.blamed.items()):
            yield sentence_of(blame, layout.blocks[b])
        if found.unplaced:
            yield (
                "Random directions through everything show an error that no block shows alone, and "
                "fresh ones bear it out."
            )
        own = len({id(look) for look in found.signs.values()})
        lines = len(found.everything.y) + len(found.alike.y)
        yield (
            f"The loss is rough, {self.lines.sigma:.1g} in {abs(self.lines.loss.value):.3g}: screened "
            f"along the signs of the gradient ({own} lines), along theta, and along {lines} random "
            "directions, each with the error that it shows at several steps."
        )
        if self.moving and np.isfinite(self.whole):
            yield (
                f"What would have been missed{of}: a factor of any block up to "
                f"{per_cent(self._worst_along())} off; an error of any shape up to "
                f"{per_cent(self.whole)} of the gradient's norm, with probability at most "
                f"{MISSED:.0%}. By block: {self._by_block()}."
            )
            seconds = HALVED * self.made * self.budget.evaluation
            yield (
                f"Half of these limits: the next factor of 2 costs about {int(HALVED * self.made):,} "
                f"evaluations, {seconds:.2g} s, or a loss in float64."
            )
        if found.ended:
            yield "The search ended there: what is not blamed was not looked at to the end."
        if not found.complete:
            yield "The budget ended the search: more may be wrong than was located."

    def _by_block(self) -> str:
        worst = sorted(self.moving, key=lambda b: -self.along[b])
        told = [
            f"{self.layout.blocks[b].name} {per_cent(self.along[b])} and {per_cent(self.shape[b])}"
            for b in worst[:BLOCKS_TOLD]
        ]
        more = f"; {len(worst) - BLOCKS_TOLD} more" if len(worst) > BLOCKS_TOLD else ""
        return ", ".join(told) + more
