"""What screening and locating found -> an outcome: verdicts of blocks, and remarks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastgrad.checks.block_checks import unchecked_block
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.remarks import about_the_loss
from fastgrad.checks.rules import Verdict
from fastgrad.checks.screen.block_words import beside, laws_of, sentence_of
from fastgrad.checks.screen.first_look import Along
from fastgrad.checks.screen.found import Finding, Found
from fastgrad.checks.screen.limits import (
    MISSED_NORM,
    USEFUL_LIMIT,
    USEFUL_NORM,
    Sight,
    readings_through,
    size_in,
)
from fastgrad.checks.screen.random_directions import GLOBAL, SCREEN_GROUPS
from fastgrad.differences.loss import Loss
from fastgrad.findings import BlockCheck
from fastgrad.numerics.norms import rms
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.layout import Layout


def outcome_of(found: Found, judged: Judged | None, sight: Sight, loss: Loss, cost: str) -> Outcome:
    """The outcome of a screen and of what was located after it.

    A block's ``relative_error`` is estimated from its directions, its ``max_error`` is that of the
    entries checked one by one. ``cost`` says what a sweep would take.
    """
    layout = loss.layout
    blocks = tuple(
        _block(b, found, judged, layout, sight)
        if b in sight.entries
        else _not_looked_at(b, found, layout)
        for b in range(len(layout.blocks))
    )
    readings = [] if found.screen is None else found.screen.readings
    error = rms(np.array([reading.y for reading in readings]))
    finite = judged is None or bool(np.isfinite(judged.analytic).all())
    kinds = {b: f.kind for b, f in found.findings.items()} if found.certified else {}
    located = frozenset(b for b, kind in kinds.items() if kind == "entries")
    lines = frozenset(b for b, kind in kinds.items() if kind == "lines")
    shown = () if found.refuted is None else (found.refuted,)
    verdict = _verdict(found, blocks, sight)
    proof = _first_proof(found, layout) if verdict == "disagrees" and not shown else ""
    directions, reasons = _directions(found, layout), _reasons(found, blocks, loss, sight)
    remarks = _remarks(found, layout, sight)
    return Outcome(
        verdict,
        blocks,
        error / (2 * sight.norm) if sight.norm and finite else 0.0 if finite else float("inf"),
        (*reasons, *about_the_loss(loss), *filter(None, [proof]), *remarks, cost),
        judged,
        directions,
        located,
        loss,
        beside(found.told, laws_of(shown, layout)),
        lines=lines,
    )


def with_refuted(outcome: Outcome, refuted: Along, layout: Layout) -> Outcome:
    """The outcome, in which the block that the first look refuted is wrong."""
    blocks = tuple(
        replace(block, verdict="disagrees") if b == refuted.block else block
        for b, block in enumerate(outcome.blocks)
    )
    told = beside(outcome.told, laws_of([refuted], layout))
    return replace(outcome, verdict="disagrees", blocks=blocks, told=told)


def _first_proof(found: Found, layout: Layout) -> str:
    """Which direction showed first that something is wrong, and how soon; nothing if none did."""
    if found.screen is None:
        return ""
    named = [("everything", reading) for reading in found.screen.readings]
    for block, own in zip(layout.blocks, found.screen.blocks, strict=True):
        named += [(block.name, reading) for reading in own]
    named = [(name, reading) for name, reading in named if reading.proves]
    if not named:
        return ""
    name, reading = min(named, key=lambda shown: shown[1].made)
    return (
        f"After {reading.made} evaluations: a random direction v through {name} shows v . (a - D) = "
        f"{reading.y:.3g} +- {reading.bar:.1g}, more than kinks or errors within rtol make of it."
    )


def _directions(found: Found, layout: Layout) -> tuple[tuple[str, float, float], ...]:
    """What was measured along directions, in the order of measuring."""
    if found.screen is None:
        return ()
    named = [("everything", reading) for reading in found.screen.readings]
    for block, own in zip(layout.blocks, found.screen.blocks, strict=True):
        named += [(block.name, reading) for reading in own]
    named += [("what is not blamed", reading) for reading in found.fresh]
    return tuple((name, reading.y, reading.bar) for name, reading in named)


def _not_looked_at(b: int, found: Found, layout: Layout) -> BlockCheck:
    """A block of constants, or one that was not come to."""
    if found.refuted is not None and found.refuted.block == b:
        return unchecked_block(layout.blocks[b], "disagrees")
    return unchecked_block(layout.blocks[b], "agrees" if found.screen else "inconclusive")


def _block(b: int, found: Found, judged: Judged | None, layout: Layout, sight: Sight) -> BlockCheck:
    block = layout.blocks[b]
    inside = np.zeros(0, np.intp) if judged is None else np.flatnonzero(judged.block == b)
    own = () if found.screen is None else found.screen.blocks[b]
    own_size = size_in(found, b)
    size = own_size or sight.typical
    limit = sight.entries[b] / size if size else float("inf")
    error = rms(np.array([reading.y for reading in own]))
    worst, largest, verdicts = "", 0.0, np.zeros(0, np.int8)
    if judged is not None and inside.size:
        verdicts = judged.verdict[inside]
        residual = np.abs(judged.analytic[inside] - judged.numeric[inside])
        residual[~np.isfinite(judged.analytic[inside])] = np.inf
        worst = block.entry(int(judged.indices[inside[residual.argmax()]]))
        largest = float(np.nan_to_num(residual, nan=0.0, posinf=np.inf).max())
    verdict = _block_verdict(b, found, verdicts, limit)
    # What directions show, and was not located, is within no limit.
    untold = verdict == "inconclusive" and size > 0
    shown = [abs(r.y) / size for r in readings_through(found, b) if r.alarms] if untold else []
    return BlockCheck(
        name=block.name,
        shape=block.shape,
        size=block.size,
        checked=inside.size,
        verdict=verdict,
        relative_error=error / (2 * size * np.sqrt(block.size)) if size else 0.0,
        max_error=largest,
        detection_limit=max([limit, *shown]),
        limit_of="away" if b in found.away else "block" if own_size else "all",
        kinks=int(np.sum(verdicts >= Verdict.KINK_VALID)),
        worst=worst,
    )


def _block_verdict(b: int, found: Found, verdicts: NDArray[np.int8], limit: float) -> str:
    finding = found.findings.get(b)
    if found.refuted is not None and found.refuted.block == b:
        return "disagrees"
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
    return "inconclusive" if unsure or not (limit <= USEFUL_LIMIT or every) else "agrees"


def _verdict(found: Found, blocks: Sequence[BlockCheck], sight: Sight) -> str:
    verdicts = {block.verdict for block in blocks}
    if "disagrees" in verdicts or (_is_unexplained(found) and _is_proven(found)):
        return "disagrees"
    sure = found.complete and found.certified and "inconclusive" not in verdicts
    return "agrees" if sure and _is_accurate(found, blocks, sight) else "inconclusive"


def _is_unexplained(found: Found) -> bool:
    """Whether directions show more than was located."""
    return found.screen is not None and found.screen.alarms and not found.certified


def _is_proven(found: Found) -> bool:
    """Whether neither kinks nor errors within rtol explain what the last directions show."""
    readings = found.fresh or (() if found.screen is None else found.screen.readings)
    return any(reading.proves for reading in readings)


def _is_accurate(found: Found, blocks: Sequence[BlockCheck], sight: Sight) -> bool:
    """Whether an error throughout the gradient would have shown.

    It would if every entry was checked, unless a direction alarms that no blamed entry explains: what
    hides in the bars of all entries adds up along it.
    """
    every = sum(block.checked for block in blocks) >= sum(found.counts)
    alarms = found.screen is not None and found.screen.alarms
    if alarms and not any(finding.blames for finding in found.findings.values()):
        every = False
    return every or sight.missed <= USEFUL_NORM * sight.norm


def _reasons(found: Found, blocks: Sequence[BlockCheck], loss: Loss, sight: Sight) -> list[str]:
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
        f"Beside the noise of the loss, {loss.noise:.1g} in {abs(loss.value):.3g}, directions "
        "show {} up: add the terms of the loss pairwise, as numpy's sum does, or in float64, or "
        'sweep (strategy="sweep").'
    )
    wide = [b for b in blocks if b.verdict == "inconclusive" and b.detection_limit > USEFUL_LIMIT]
    if wide:
        worst = max(wide, key=lambda block: block.detection_limit)
        size = f"{worst.detection_limit:.2g} of the rms of its gradient"
        return [noisy.format(f"a single wrong entry of {worst.name} only from {size}")]
    if not _is_accurate(found, blocks, sight):
        part = sight.missed / (sight.norm or 1.0)
        return [noisy.format(f"an error throughout only from {part:.2g} of the gradient's norm")]
    return []


def _remarks(found: Found, layout: Layout, sight: Sight) -> list[str]:
    remarks = []
    if found.refuted is not None:
        remarks.append(sentence_of(found.refuted, layout.blocks[found.refuted.block]))
    if found.screen is not None:
        limit, norm = sight.missed, sight.norm
        of = f", {limit / norm:.1e} of the gradient's own" if norm else ""
        missed = (
            f": an error of norm {limit:.2g} or more{of}, would have been missed with probability "
            f"at most {MISSED_NORM:g}"
            if np.isfinite(limit)
            else ""
        )
        remarks.append(
            f"Screened along {GLOBAL} random directions through everything and one through "
            f"each {'block' if len(layout.blocks) <= SCREEN_GROUPS else 'group of blocks'}{missed}."
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
    checked, lines = len(finding.checked), " and ".join(_lines(finding, block))
    wrong = len(finding.single(block))
    entries = f"{wrong} wrong {'entry was' if wrong == 1 else 'entries were'} located"
    if finding.kind == "entries":
        return f"{entries}."
    if finding.kind == "lines":
        return (
            f"{lines}."
            if not wrong
            else f"{lines}; {wrong} more wrong {entries.partition('wrong ')[2]}."
        )
    if finding.kind == "whole":
        return f"all {checked} entries looked at are wrong: the whole block is, it seems."
    if finding.kind == "tolerable":
        return "small errors throughout, below rtol."
    if finding.kind == "many":
        more = (
            f"{finding.fraction:.0%} of a random sample"
            if finding.fraction
            else "less than a tenth"
        )
        return f"{f'{lines}; ' if lines else ''}{entries}, and there are more: {more}."
    share = f"about {finding.fraction:.0%} of the block is wrong"
    return f"{lines}; in all {share}." if lines else f"{share}."


def _lines(finding: Finding, block: Block) -> list[str]:
    """Which rows and columns are wrong throughout, all of them."""
    said = []
    for kind in ("row", "column"):
        numbers = sorted(number for of, number in finding.lines if of == kind)
        if len(numbers) == 1:
            where = f"{numbers[0]}, :" if kind == "row" else f":, {numbers[0]}"
            said.append(f"{kind} {numbers[0]} is wrong: {block.name}[{where}]")
        elif numbers:
            said.append(f"{len(numbers)} {kind}s are wrong: {', '.join(map(str, numbers))}")
    return said
