"""Screen, locate, certify: a verdict in a number of evaluations that hardly grows with theta."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.differences import Differencer, Indices
from fastgrad.detect.directions import Directions
from fastgrad.detect.judged import Judged
from fastgrad.detect.locate import Locator
from fastgrad.detect.preflight import Loss
from fastgrad.detect.screen import GLOBAL, PER_BLOCK, Lines, Reading, Screen, block_stream, screen
from fastgrad.detect.suspects import Finding, OutOfBudgetError
from fastgrad.detect.sweep import sweep
from fastgrad.evaluate import Evaluator
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import default_steps
from fastgrad.params import Floats, Layout

ATTEMPTS = 3
"""Rounds of locating, until fresh directions through all that is left are clean."""
ENOUGH = ("whole", "dense", "many", "tolerable")
"""Findings about a whole block, which is then left out of what fresh directions certify."""
FRESH = 1 << 10
"""Global directions from here on certify."""
NOT_FINITE = 16
"""Entries of a block that are not finite, and are looked at: enough to tell a law."""
WITH_KINKS = 8
"""Evaluations of an entry that goes through all stages of a sweep."""
LAST_RESORT = 256
"""Blocks of so few entries are checked entry by entry if the last search did not explain them."""


@dataclass
class Hunted:
    """What screening and locating found."""

    screen: Screen | None = None
    """None where the time did not even allow the screen."""
    findings: dict[int, Finding] = field(default_factory=dict)
    """By block."""
    judged: list[Judged] = field(default_factory=list)
    """Entries checked one by one."""
    rms: Floats = field(default_factory=lambda: np.zeros(0))
    """Size of each block's gradient under test."""
    counts: list[int] = field(default_factory=list)
    """Entries of each block that may be perturbed."""
    not_finite: int = 0
    """How many entries of the gradient under test are not."""
    fresh: list[Reading] = field(default_factory=list)
    """Directions through all that is not blamed, after the last search."""
    certified: bool = True
    """Whether these are clean."""
    complete: bool = True
    """Whether the time sufficed."""


class Hunt:
    """Screens a gradient under test and locates what is wrong with it.

    Parameters
    ----------
    run : Evaluator
    layout : Layout
    loss : Loss
        From preflight.
    analytic : ndarray, shape (n,)
        The gradient under test.
    unit : ndarray, shape (blocks,)
        Its rounding units.
    mask : ndarray of bool, shape (n,), or None
        What may be perturbed.
    rtol, seed : as of `check_grad`
    going_on : callable
        ``going_on(evaluations=2)``: whether the time allows so many more.
    """

    def __init__(
        self,
        run: Evaluator,
        layout: Layout,
        loss: Loss,
        analytic: Floats,
        unit: Floats,
        mask: NDArray[np.bool_] | None,
        rtol: float,
        seed: int,
        going_on: Callable[..., bool],
    ):
        self.run, self.layout, self.loss, self.mask = run, layout, loss, mask
        self.unit, self.rtol, self.going_on = unit, rtol, going_on
        finite = np.isfinite(analytic)
        movable = finite if mask is None else finite & mask
        self.directions = Directions(run.theta, None if movable.all() else movable, seed)
        self.rms = block_rms(layout, analytic, mask)
        self.counts = [
            _free(block.start, block.stop, self.directions.mask) for block in layout.blocks
        ]
        self.lines = Lines(run, loss, analytic, float(unit.max()), rtol)

    def __call__(self) -> Hunted:
        """Run the tiers; what they replace in the gradient under test is put back."""
        bad = np.flatnonzero(~np.isfinite(self.lines.a))
        kept = self.lines.a[bad]
        self.result = Hunted(rms=self.rms, counts=self.counts)
        try:
            self._look_at_not_finite(bad)
            self.lines.a[bad] = 0.0  # directions do not move them
            self._hunt()
        except OutOfBudgetError:
            self.result.complete = self.result.certified = False
        self.lines.a[bad] = kept
        for judged in reversed(self.result.judged):
            self.lines.a[judged.indices] = judged.analytic
        return self.result

    def _hunt(self) -> None:
        if not any(self.counts):
            self.result.screen = Screen((), ((),) * len(self.counts))
            return
        screened = screen(self.lines, self.directions, self.layout, self.counts, self.going_on)
        if screened is None:
            raise OutOfBudgetError
        self.result.screen = screened
        if screened.alarms:
            self._locate(screened)

    def _look_at_not_finite(self, bad: Indices) -> None:
        """Check some of the entries that are not finite, which are wrong whatever the loss says."""
        free = bad if self.mask is None else bad[self.mask[bad]]
        self.result.not_finite = free.size
        most = NOT_FINITE if self.going_on(WITH_KINKS * NOT_FINITE) else 1
        for block in self.layout.blocks:
            inside = free[(block.start <= free) & (free < block.stop)]
            if inside.size:
                self._judge(inside[:most])

    def _locate(self, screened: Screen) -> None:
        failing = screened.failing or [b for b, count in enumerate(self.counts) if count]
        for attempt in range(ATTEMPTS):
            for b in failing:
                self._search(b, attempt, screened.blocks[b][0] if attempt == 0 else None)
            if self._is_clean(attempt):
                return
            failing = [b for b in failing if not self._excluded(b)]
        self.result.certified = False

    def _search(self, b: int, attempt: int, known: Reading | None) -> None:
        finding = self.result.findings.setdefault(b, Finding())
        locator = Locator(self.lines, self.directions, self._judge, self.going_on)
        block, stream = self.layout.blocks[b], block_stream(b, attempt * PER_BLOCK)
        thorough = attempt == ATTEMPTS - 1 and self.counts[b] <= LAST_RESORT
        if known is not None and not known.alarms:
            known = None
        locator.search(block, stream, finding, known, thorough)

    def _is_clean(self, attempt: int) -> bool:
        """Are fresh directions through all that is not settled clean?"""
        self.result.fresh = []
        for k in range(GLOBAL):
            if not self.going_on():
                raise OutOfBudgetError
            v = self.directions.draw(FRESH + attempt * GLOBAL + k)
            for b, finding in self.result.findings.items():
                block = self.layout.blocks[b]
                settled = len(finding.checked) >= self.counts[b]
                v[block.start : block.stop][settled | blamed(finding, block.shape)] = 0.0
            self.result.fresh.append(self.lines.confirmed(v, self.lines.step))
            if self.result.fresh[-1].alarms:
                return False
        return True

    def _excluded(self, b: int) -> bool:
        return self.result.findings[b].kind in ENOUGH

    def _judge(self, positions: Indices) -> Judged:
        """Check entries one by one, as a sweep would."""
        differencer = Differencer(self.run, self.loss, positions)
        h = default_steps(differencer.x, CENTRAL[2].step)
        judged = sweep(
            differencer, self.layout, self.lines.a[positions], self.unit, self.rtol, h, self.rms
        )
        self.result.judged.append(judged)
        return judged


def blamed(finding: Finding, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The entries of a block that a finding speaks of beyond single ones, flat."""
    mask = np.zeros(shape, np.bool_)
    if finding.kind in ENOUGH:
        mask[...] = True
    elif finding.kind == "row":
        mask[finding.line] = True
    elif finding.kind == "column":
        mask[:, finding.line] = True
    return mask.ravel()


def block_rms(layout: Layout, gradient: Floats, mask: NDArray[np.bool_] | None) -> Floats:
    """rms of a gradient over the free entries of each block, shape (blocks,)."""
    rms = np.zeros(len(layout.blocks))
    for b, block in enumerate(layout.blocks):
        part = gradient[block.start : block.stop]
        if mask is not None:
            part = part[mask[block.start : block.stop]]
        part = part[np.isfinite(part)]
        rms[b] = np.sqrt(np.dot(part, part) / part.size) if part.size else 0.0
    return rms


def merged(parts: list[Judged]) -> Judged | None:
    """All entries judged, in theta's order; of an entry judged twice, the first time."""
    if not parts:
        return None
    indices, first = np.unique(np.concatenate([part.indices for part in parts]), return_index=True)

    def column(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])[first]

    offsets = np.cumsum([0] + [part.indices.size for part in parts])
    notes = {
        int(offset + k): note
        for offset, part in zip(offsets, parts, strict=False)
        for k, note in part.notes.items()
    }
    return Judged(
        indices=indices,
        **{  # type: ignore[arg-type]  # columns of the kinds they have in each part
            name: column(name)
            for name in ("analytic", "numeric", "bar", "step", "verdict", "block", "scale")
        },
        rms=np.max([part.rms for part in parts], axis=0),
        overall=max(part.overall for part in parts),
        notes={k: notes[int(j)] for k, j in enumerate(first) if int(j) in notes},
    )


def _free(start: int, stop: int, mask: NDArray[np.bool_] | None) -> int:
    return stop - start if mask is None else int(np.count_nonzero(mask[start:stop]))
