"""What screening and locating found -> the report's blocks, entries and remarks."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.directions import WEAKEST
from fastgrad.detect.hunt import Hunted
from fastgrad.detect.judged import Judged
from fastgrad.detect.preflight import Loss
from fastgrad.detect.screen import GLOBAL, MISSED, PER_BLOCK, entry_limit, norm_limit
from fastgrad.detect.suspects import Finding
from fastgrad.detect.tabulate import about_the_loss, entries_of, preliminary, unchecked
from fastgrad.numerics.bars import Verdict
from fastgrad.params import Block, Layout
from fastgrad.results import BlockCheck, GradientCheck

USEFUL = 0.1
"""A screen that would miss a single error of more than this part of a block's rms is inconclusive."""
USEFUL_NORM = 0.01
"""So is one that would miss an error of this part of the whole gradient."""


def tabulate_hunt(
    found: Hunted,
    judged: Judged | None,
    layout: Layout,
    facts: Loss,
    rtol: float,
    seed: int,
) -> GradientCheck:
    """The report of a screen and of what was located after it.

    A block's ``relative_error`` is estimated from its directions, its ``max_error`` is that of the
    entries checked one by one.
    """
    start = preliminary(layout, facts.noise, rtol, seed)
    overall = float(np.sqrt(np.mean(found.rms**2)))
    blocks = tuple(
        _block(block, b, found, judged, overall) for b, block in enumerate(layout.blocks)
    )
    lists = {} if judged is None else entries_of(judged, layout, rtol)
    readings = [] if found.screen is None else found.screen.readings
    size = 2 * _norm(found, layout)
    error = float(np.sqrt(np.mean([r.y**2 for r in readings]))) if readings else 0.0
    finite = judged is None or bool(np.isfinite(judged.analytic).all())
    return replace(
        start,
        verdict=_verdict(found, blocks, layout),
        blocks=blocks,
        relative_error=error / size if size and finite else 0.0 if finite else float("inf"),
        checked=0 if judged is None else judged.indices.size,
        remarks=(
            *_reasons(found, blocks, layout, facts),
            *about_the_loss(facts),
            *_remarks(found, layout),
        ),
        **lists,
    )


def _block(
    block: Block, b: int, found: Hunted, judged: Judged | None, overall: float
) -> BlockCheck:
    inside = np.zeros(0, np.intp) if judged is None else np.flatnonzero(judged.block == b)
    own = () if found.screen is None else found.screen.blocks[b]
    if not own and not inside.size:
        verdict = "agrees" if found.screen else "inconclusive"  # constants, or not come to
        return replace(unchecked(block), verdict=verdict)
    rms = float(found.rms[b])
    size = rms or overall
    error = float(np.sqrt(np.mean([reading.y**2 for reading in own]))) if own else 0.0
    worst, largest, verdicts = "", 0.0, np.zeros(0, np.int8)
    if judged is not None and inside.size:
        verdicts = judged.verdict[inside]
        residual = np.abs(judged.analytic[inside] - judged.numeric[inside])
        residual[~np.isfinite(judged.analytic[inside])] = np.inf
        worst = block.entry(int(judged.indices[inside[residual.argmax()]]))
        largest = float(np.nan_to_num(residual, nan=0.0, posinf=np.inf).max())
    limit = _entry_limit(b, found) / size if size else float("inf")
    return BlockCheck(
        name=block.name,
        shape=block.shape,
        size=block.size,
        checked=inside.size,
        verdict=_block_verdict(b, found, verdicts, limit),
        relative_error=error / (2 * size * np.sqrt(block.size)) if size else 0.0,
        max_error=largest,
        detection_limit=limit,
        limit_of="block" if rms else "all",
        kinks=int(np.sum(verdicts >= Verdict.KINK_VALID)),
        worst=worst,
    )


def _entry_limit(b: int, found: Hunted) -> float:
    """What single error all clean directions through a block would have missed."""
    if found.screen is None:
        return float("inf")
    limit = entry_limit([*found.screen.blocks[b], *found.screen.readings, *found.fresh])
    if b not in found.findings:
        return limit
    finding = found.findings[b]
    hidden = finding.hidden / WEAKEST
    if len(finding.checked) >= found.counts[b]:  # an alarm was settled entry by entry
        hidden = max(hidden, *(entry.bar for entry in finding.checked.values()))
    return max(limit, hidden)


def _block_verdict(b: int, found: Hunted, verdicts: NDArray[np.int8], limit: float) -> str:
    finding = found.findings.get(b)
    if np.any(verdicts == Verdict.DISAGREES) or (finding is not None and finding.blames):
        return "disagrees"
    if found.screen is None:
        return "inconclusive"
    settled = found.certified and finding is not None
    if b in found.screen.failing and not settled:
        proven = any(reading.proves for reading in found.screen.blocks[b])
        return "disagrees" if proven else "inconclusive"
    unsure = np.isin(verdicts, (Verdict.INCONCLUSIVE, Verdict.KINK_OUTSIDE)).any()
    every = verdicts.size >= found.counts[b]
    return "inconclusive" if unsure or not (limit <= USEFUL or every) else "agrees"


def _verdict(found: Hunted, blocks: tuple[BlockCheck, ...], layout: Layout) -> str:
    verdicts = {block.verdict for block in blocks}
    if "disagrees" in verdicts or (_is_unexplained(found) and _is_proven(found)):
        return "disagrees"
    sure = found.complete and found.certified and "inconclusive" not in verdicts
    return "agrees" if sure and _is_accurate(found, blocks, layout) else "inconclusive"


def _is_unexplained(found: Hunted) -> bool:
    """Whether directions show more than was located."""
    return found.screen is not None and found.screen.alarms and not found.certified


def _is_proven(found: Hunted) -> bool:
    readings = found.fresh or (found.screen.readings if found.screen is not None else ())
    return any(reading.proves for reading in readings)


def _is_accurate(found: Hunted, blocks: tuple[BlockCheck, ...], layout: Layout) -> bool:
    """Whether an error throughout the gradient would have shown."""
    every = sum(block.checked for block in blocks) >= sum(found.counts)
    return every or _norm_limit(found) <= USEFUL_NORM * _norm(found, layout)


def _reasons(
    found: Hunted, blocks: tuple[BlockCheck, ...], layout: Layout, facts: Loss
) -> list[str]:
    """Why the directions do not tell, and what would."""
    if found.screen is None:
        return ["The budget ended before the screen did: nothing is known of most entries."]
    if any(block.verdict == "disagrees" for block in blocks):
        return []
    if _is_unexplained(found) and not _is_proven(found):
        return [
            "Directions show an error that no entry looked at explains, and that may be kinks of "
            "the loss: check at other points too (points=), or every entry "
            '(strategy="sweep").'
        ]
    noisy = (
        f"Beside the noise of the loss, {facts.noise:.1g} in {abs(facts.value):.3g}, directions "
        "show {} up: add the terms of the loss pairwise, as numpy's sum does, or in float64, or "
        'sweep (strategy="sweep").'
    )
    wide = [b for b in blocks if b.verdict == "inconclusive" and b.detection_limit > USEFUL]
    if wide:
        worst = max(wide, key=lambda block: block.detection_limit)
        size = f"{worst.detection_limit:.2g} of the rms of its gradient"
        return [noisy.format(f"a single wrong entry of {worst.name} only from {size}")]
    if not _is_accurate(found, blocks, layout):
        part = _norm_limit(found) / (_norm(found, layout) or 1.0)
        return [noisy.format(f"an error throughout only from {part:.2g} of the gradient's norm")]
    return []


def _norm_limit(found: Hunted) -> float:
    assert found.screen is not None
    return norm_limit([*found.screen.readings, *found.fresh])


def _norm(found: Hunted, layout: Layout) -> float:
    return float(np.linalg.norm(found.rms * np.sqrt([block.size for block in layout.blocks])))


def _remarks(found: Hunted, layout: Layout) -> list[str]:
    remarks = []
    if found.screen is not None:
        limit, norm = _norm_limit(found), _norm(found, layout)
        of = f", {limit / norm:.1e} of the gradient's own" if norm else ""
        missed = (
            f": an error of norm {limit:.2g} or more{of}, would have been missed with probability "
            f"at most {MISSED:g}"
            if np.isfinite(limit)
            else ""
        )
        remarks.append(
            f"Screened along {GLOBAL} random directions through everything and {PER_BLOCK} through "
            f"each block{missed}."
        )
    remarks += [
        f"{layout.blocks[b].name}: {_sentence(finding, layout.blocks[b])}"
        for b, finding in sorted(found.findings.items())
        if finding.kind != "nothing"
    ]
    if found.not_finite:
        remarks.append(
            f"The gradient under test is not finite in {found.not_finite:,} of its entries."
        )
    if found.findings and found.complete:
        remarks.append(
            "Fresh random directions through all that is not blamed are clean."
            if found.certified
            else "Fresh random directions still show errors beyond what was located."
        )
    if not found.complete:
        remarks.append("The budget ended the search: more may be wrong than was located.")
    return remarks


def _sentence(finding: Finding, block: Block) -> str:
    checked = len(finding.checked)
    wrong = len(finding.wrong)
    if finding.kind == "entries":
        return f"{wrong} wrong {'entry was' if wrong == 1 else 'entries were'} located."
    if finding.kind in ("row", "column"):
        where = f"{finding.line}, :" if finding.kind == "row" else f":, {finding.line}"
        return f"{finding.kind} {finding.line} is wrong: {block.name}[{where}]."
    if finding.kind == "whole":
        return f"all {checked} entries looked at are wrong: the whole block is, it seems."
    if finding.kind == "tolerable":
        return "small errors throughout, below rtol."
    if finding.kind == "many":
        return (
            f"{wrong} wrong entries were located, and there are more: "
            f"{finding.fraction:.0%} of a random sample."
        )
    return f"about {finding.fraction:.0%} of the block is wrong."
