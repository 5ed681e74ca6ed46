"""Screen, locate, certify: a verdict in a number of evaluations that hardly grows with theta."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.differences import Differencer, Indices
from fastgrad.detect.directions import Directions
from fastgrad.detect.locate import Finding, Locator, OutOfBudgetError
from fastgrad.detect.preflight import Loss
from fastgrad.detect.screen import GLOBAL, PER_BLOCK, Lines, Screen, block_stream, screen
from fastgrad.detect.sweep import Judged, sweep
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


@dataclass
class Hunted:
    """What screening and locating found."""

    screen: Screen | None
    """None where the time did not even allow the screen."""
    findings: dict[int, Finding] = field(default_factory=dict)
    """By block."""
    judged: list[Judged] = field(default_factory=list)
    """Entries checked one by one."""
    rms: Floats = field(default_factory=lambda: np.zeros(0))
    """Size of each block's gradient under test."""
    certified: bool = True
    """Whether fresh directions through all that is not blamed are clean."""
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
        Whether the time allows two more evaluations.
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
        going_on: Callable[[], bool],
    ):
        self.run, self.layout, self.loss, self.mask = run, layout, loss, mask
        self.unit, self.rtol, self.going_on = unit, rtol, going_on
        self.directions = Directions(run.theta, mask, seed)
        self.rms = block_rms(layout, analytic, mask)
        self.counts = [_free(block.start, block.stop, mask) for block in layout.blocks]
        self.lines = Lines(run, loss, analytic, float(unit.max()))

    def __call__(self) -> Hunted:
        """Run the tiers."""
        screened = screen(self.lines, self.directions, self.layout, self.counts, self.going_on)
        self.result = Hunted(screened, rms=self.rms, complete=screened is not None)
        if screened is None or not screened.alarms:
            return self.result
        try:
            self._locate(screened)
        except OutOfBudgetError:
            self.result.complete = self.result.certified = False
        return self.result

    def _locate(self, screened: Screen) -> None:
        failing = screened.failing or [b for b, count in enumerate(self.counts) if count]
        for attempt in range(ATTEMPTS):
            for b in failing:
                finding = self.result.findings.setdefault(b, Finding())
                locator = Locator(self.lines, self.directions, self._judge, self.going_on)
                own = screened.blocks[b]
                locator.search(
                    self.layout.blocks[b],
                    block_stream(b, attempt * PER_BLOCK),
                    finding,
                    own[0] if attempt == 0 and own[0].alarms else None,
                )
            if self._is_clean(attempt):
                return
            failing = [b for b in failing if not self._excluded(b)]
        self.result.certified = False

    def _is_clean(self, attempt: int) -> bool:
        """Are fresh directions through all that is not blamed clean?"""
        for k in range(GLOBAL):
            if not self.going_on():
                raise OutOfBudgetError
            v = self.directions.draw(FRESH + attempt * GLOBAL + k)
            for b, finding in self.result.findings.items():
                block = self.layout.blocks[b]
                v[block.start : block.stop][blamed(finding, block.shape)] = 0.0
            if self.lines.confirmed(v, self.lines.step).alarms:
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
