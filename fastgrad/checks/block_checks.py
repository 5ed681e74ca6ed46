"""The blocks of a report: what was found of the entries of each."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.outcome import Judged
from fastgrad.checks.rules import Verdict
from fastgrad.findings import BlockCheck
from fastgrad.numerics.norms import norm
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.layout import Layout


def unchecked_block(block: Block, verdict: str = "agrees") -> BlockCheck:
    """A block of which nothing is known."""
    return BlockCheck(
        block.name, block.shape, block.size, 0, verdict, 0.0, 0.0, 0.0, "block", 0, ""
    )


def checked_block(judged: Judged, layout: Layout, b: int) -> BlockCheck:
    """A block whose entries were checked one by one."""
    block = layout.blocks[b]
    first, last = np.searchsorted(judged.block, (b, b + 1)).tolist()  # they are in theta's order
    if first == last:
        return unchecked_block(block)
    inside = slice(first, last)
    a, D, bar = judged.analytic[inside], judged.numeric[inside], judged.bar[inside]
    residual = judged.residual[inside]
    zero = bool(np.all(np.abs(D) <= bar))
    size = judged.scales.overall if zero else float(judged.scales.rms[b])
    verdicts = judged.verdict[inside]
    # An error that was not told is within no limit, whatever the bar of the difference beside it.
    untold = (verdicts == Verdict.INCONCLUSIVE) | (verdicts == Verdict.KINK_OUTSIDE)
    seen = np.where(untold, np.fmax(bar, residual), bar)
    widest = float((seen * judged.scales.unit[inside]).max())
    return BlockCheck(
        name=block.name,
        shape=block.shape,
        size=block.size,
        checked=last - first,
        verdict=overall(verdicts),
        relative_error=relative_error(a, D),
        max_error=float(residual.max()),
        detection_limit=widest / size if size else (float("inf") if widest else 0.0),
        limit_of="all" if zero else "block",
        kinks=int(np.count_nonzero(verdicts >= Verdict.KINK_VALID)),
        worst=block.entry(int(judged.indices[first + residual.argmax()])),
    )


def overall(verdicts: np.ndarray) -> str:
    """The verdict of several entries together."""
    counts = np.bincount(verdicts, minlength=len(Verdict))
    if counts[Verdict.DISAGREES]:
        return "disagrees"
    right = counts[Verdict.AGREES] + counts[Verdict.KINK_VALID]
    return "agrees" if right == verdicts.size else "inconclusive"


def relative_error(a: Floats, D: Floats) -> float:
    """``||a - D|| / (||a|| + ||D||)``; 0 where both are zero, infinite where a is not finite."""
    known = np.isfinite(D)
    a, D = a[known], D[known]
    if not np.isfinite(a).all():
        return float("inf")
    size = norm(a) + norm(D)
    return norm(a - D) / size if size else 0.0
