"""What screening and locating found -> the report's blocks, entries and remarks."""

from dataclasses import replace

import numpy as np

from fastgrad.detect.hunt import Hunted
from fastgrad.detect.locate import Finding
from fastgrad.detect.preflight import Loss
from fastgrad.detect.screen import GLOBAL, MISSED, PER_BLOCK, Screen
from fastgrad.detect.sweep import Judged
from fastgrad.detect.tabulate import about_the_loss, entries_of, preliminary, unchecked
from fastgrad.numerics.bars import Verdict
from fastgrad.params import Block, Layout
from fastgrad.results import BlockCheck, GradientCheck

USEFUL = 0.1
"""A screen that would miss a single error of more than this part of a block's rms is inconclusive."""


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
    start = preliminary(layout, facts.noise, rtol, seed, tuple(about_the_loss(facts)))
    if found.screen is None:
        remark = "The budget ended before the screen did: nothing is known."
        return replace(start, remarks=(*start.remarks, remark))
    overall = float(np.sqrt(np.mean(found.rms**2)))
    blocks = tuple(
        _block(block, b, found, found.screen, judged, overall)
        for b, block in enumerate(layout.blocks)
    )
    verdict = _verdict(found, blocks)
    size = 2 * float(np.linalg.norm(found.rms * np.sqrt([b.size for b in layout.blocks])))
    error = float(np.sqrt(np.mean([r.y**2 for r in found.screen.readings])))
    lists = {} if judged is None else entries_of(judged, layout, rtol)
    return replace(
        start,
        verdict=verdict,
        blocks=blocks,
        relative_error=error / size if size else 0.0,
        checked=0 if judged is None else judged.indices.size,
        remarks=(*start.remarks, *_remarks(found, found.screen, layout)),
        **lists,
    )


def _block(
    block: Block,
    b: int,
    found: Hunted,
    screened: Screen,
    judged: Judged | None,
    overall: float,
) -> BlockCheck:
    own = screened.blocks[b]
    if not own:
        return unchecked(block)
    inside = np.zeros(0, np.intp) if judged is None else np.flatnonzero(judged.block == b)
    rms = float(found.rms[b])
    size = rms or overall
    error = float(np.sqrt(np.mean([reading.y**2 for reading in own])))
    worst, largest = "", 0.0
    if judged is not None and inside.size:
        residual = np.abs(judged.analytic[inside] - judged.numeric[inside])
        worst = block.entry(int(judged.indices[inside[residual.argmax()]]))
        largest = float(residual.max())
    kinks = 0 if judged is None else int(np.sum(judged.verdict[inside] >= Verdict.KINK_VALID))
    return BlockCheck(
        name=block.name,
        shape=block.shape,
        size=block.size,
        checked=inside.size,
        verdict=_block_verdict(b, found, screened, judged, screened.entry_limits[b], size),
        relative_error=error / (2 * size * np.sqrt(block.size)) if size else 0.0,
        max_error=largest,
        detection_limit=screened.entry_limits[b] / size if size else float("inf"),
        limit_of="block" if rms else "all",
        kinks=kinks,
        worst=worst,
    )


def _block_verdict(
    b: int, found: Hunted, screened: Screen, judged: Judged | None, limit: float, size: float
) -> str:
    finding = found.findings.get(b)
    wrong = judged is not None and bool(
        np.any((judged.block == b) & (judged.verdict == Verdict.DISAGREES))
    )
    if wrong or (finding is not None and finding.blames):
        return "disagrees"
    if b in screened.failing and not (found.certified and finding is not None):
        return "disagrees"
    unsure = judged is not None and bool(
        np.any(
            (judged.block == b)
            & np.isin(judged.verdict, (Verdict.INCONCLUSIVE, Verdict.KINK_OUTSIDE))
        )
    )
    return "inconclusive" if unsure or not limit <= USEFUL * size else "agrees"


def _verdict(found: Hunted, blocks: tuple[BlockCheck, ...]) -> str:
    verdicts = {block.verdict for block in blocks}
    assert found.screen is not None
    if "disagrees" in verdicts or (found.screen.alarms and not found.certified):
        return "disagrees"
    return "inconclusive" if "inconclusive" in verdicts or not found.complete else "agrees"


def _remarks(found: Hunted, screened: Screen, layout: Layout) -> list[str]:
    norm = float(np.linalg.norm(found.rms * np.sqrt([block.size for block in layout.blocks])))
    of = f", {screened.limit / norm:.1e} of the gradient's own" if norm else ""
    remarks = [
        f"Screened along {GLOBAL} random directions through everything and {PER_BLOCK} through "
        f"each block: an error of norm {screened.limit:.2g} or more{of}, would have been missed "
        f"with probability at most {MISSED:g}."
    ]
    remarks += [
        f"{layout.blocks[b].name}: {_sentence(finding, layout.blocks[b])}"
        for b, finding in sorted(found.findings.items())
        if finding.kind != "nothing"
    ]
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
    wrong = sum(v == Verdict.DISAGREES for v in finding.checked.values())
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
