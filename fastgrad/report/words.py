"""A report in words: its headline, its sections, the line that stands for it.

``check`` is a `fastgrad.results.GradientCheck` throughout.
"""

from collections.abc import Iterator
from typing import Any

from fastgrad.findings import BAR, RTOL, STATES, BlockCheck, EntryCheck
from fastgrad.report.document import Case, Column, Sentences, Table
from fastgrad.report.escape import visible
from fastgrad.report.vocabulary import words_of
from fastgrad.version import __version__

BLOCKS_NAMED = 5
UNSEEN = ("budget", "cost", "detection-limit", "directions", "not-checked")
"""Words of remarks that say what was not looked at."""
UNSEEN_TITLE = "What was not looked at:"
SUBJECT = "The gradient "
"""What sentences of `STATES` begin with."""
LINE_LIMIT = 200
"""Longest `repr`, so that a failed ``assert check_grad(...)`` reads well."""
LARGEST_RTOL_ADVISED = 0.1
"""At a larger one a gradient of a wrong factor agrees as well: no advice to give."""


def facts_of(check: Any) -> tuple[tuple[str, str], ...]:
    """How a verdict was found."""
    return (
        ("fastgrad", __version__),
        ("strategy", check.strategy),
        ("seed", str(check.seed)),
        ("rtol", f"{check.rtol:g}"),
        ("entries checked", f"{check.checked:,} of {check.size:,}"),
        ("relative error", f"{check.relative_error:.3g}"),
        ("noise of the loss", f"{check.noise:.3g}"),
        ("evaluations", f"{check.evaluations:,}"),
        ("seconds", f"{check.seconds:.3g}"),
    )


def headline(check: Any) -> str:
    """The verdict, in one sentence."""
    at = f" {check.label}" if check.label else ""
    for diagnosis in check.diagnoses:
        if diagnosis.law in STATES:
            return f"The gradient is wrong{at}: it {diagnosis.sentence.removeprefix(SUBJECT)}"
    if check.verdict == "agrees":
        return f"The {check.subject} is right{at}: {_agreement(check)}."
    if check.verdict == "disagrees" and _is_unused(check):
        sentence = check.diagnoses[0].sentence.removeprefix(f"{check.diagnoses[0].block}: ")
        return f"The {check.subject} is wrong{at}: {sentence}"
    if check.verdict == "disagrees":
        return f"The {check.subject} is wrong{at}: {_disagreement(check)}."
    return f"Inconclusive{at}: nothing is shown to be wrong, but {_doubt(check)}."


def _is_unused(check: Any) -> bool:
    """Whether the loss is constant, which is said before anything else."""
    return bool(check.diagnoses) and all(found.law == "unused" for found in check.diagnoses)


def _agreement(check: Any) -> str:
    if check.in_noise is not None:
        parts = (check.in_noise[k] for k in ("all_along", "whole_along", "whole_any_shape"))
        along, block, shape = (f"{100 * part:.2g}%" for part in parts)
        if check.strategy == "sweep":
            hidden = check.in_noise["open"]
            each, half = (f"{100 * check.in_noise[k]:.2g}%" for k in ("each", "half"))
            return (
                f"{check.checked - hidden:,} of {_entries_words(check.checked)} agree one by one; "
                f"{_hidden_words(hidden)} within {each}, half of them within {half}; the whole agrees "
                f"within {along} along the gradient and within {shape} in any direction"
            )
        return (
            f"in a rough loss it agrees within {along} along the gradient, {block} in any one block, "
            f"and within {shape} in any direction"
        )
    if check.strategy == "screen":
        return "no random direction shows an error beyond its bar"
    kinks = check.counts.get("kink: valid subgradient", 0)
    at_kinks = f" ({_entries_words(kinks)} at a kink, with a valid subgradient)" if kinks else ""
    bars = "its error bar" if check.checked == 1 else "their error bars"
    if loose := check.agreements.get(RTOL, 0):
        tight = check.agreements.get(BAR, 0)
        within = f"{tight:,} within {bars}, {loose:,} within rtol = {check.rtol:g}"
        return f"{_all_words(check.checked)} with the differences, {within}{at_kinks}"
    return f"{_all_words(check.checked)} with the differences within {bars}{at_kinks}"


def _disagreement(check: Any) -> str:
    wrong = check.counts.get("disagrees", 0)
    blocks = _names([block.name for block in check.blocks if block.verdict == "disagrees"])
    if not wrong:
        return f"random directions show an error{f' in {blocks}' if blocks else ''}"
    worst = check.entries[0]
    # Of entries that could not be looked at again, more may be wrong.
    least = "at least " if check.counts.get("inconclusive") and check.strategy == "sweep" else ""
    said = (
        f"{least}{wrong:,} of {check.checked:,} entries "
        f"{'disagrees' if wrong == 1 else 'disagree'} with the differences, in {blocks}"
        if check.strategy == "sweep"
        else f"an error was found in {blocks}"
    )
    return (
        f"{said}; the worst is {worst.name}, {worst.analytic:.6g} where the differences say "
        f"{worst.numeric:.6g} +- {worst.error_bar:.1g}"
    )


def _doubt(check: Any) -> str:
    if not check.entries:
        return check.remarks[0][0].lower() + check.remarks[0][1:].rstrip(".")
    outside = check.counts.get("kink: outside", 0)
    unsure = check.counts.get("inconclusive", 0)
    reasons = [f"{_entries_words(unsure)} cannot be told"] if unsure else []
    if outside:
        lie = "lies" if outside == 1 else "lie"
        reasons.append(f"{_entries_words(outside)} at a kink {lie} outside the subgradients")
    worst = check.entries[0]
    return f"{' and '.join(reasons) or 'the bars are wide'}; first {worst.name} ({worst.note})"


def one_line(check: Any) -> str:
    """`repr`: the verdict and the worst entry."""
    worst = check.entries[0] if check.entries else None
    text = f"GradientCheck({check.verdict}: "
    if worst is not None and check.verdict != "agrees":
        text += (
            f"{_short(worst.name, 60)} analytic {worst.analytic:.6g}, numeric {worst.numeric:.6g} "
            f"+- {worst.error_bar:.1g}, {worst.verdict}; "
        )
    elif check.verdict == "disagrees":
        text += (
            f"{_short(_names([b.name for b in check.blocks if b.verdict == 'disagrees']), 60)}; "
        )
    text += f"{check.checked} checked, relative error {check.relative_error:.1e})"
    return _short(visible(text), LINE_LIMIT)


def cases_of(check: Any) -> tuple[Case, ...]:
    """The blocks of all points; and the whole, where no block has its verdict."""
    cases = [
        Case(f"{point.label}: {block.name}" if check.points else block.name, *_said_of(block))
        for point in check.points or (check,)
        for block in point.blocks
    ]
    if not any(case.verdict == check.verdict for case in cases):
        cases.insert(0, Case("the whole gradient", check.verdict, headline(check)))
    return tuple(cases)


def _said_of(block: BlockCheck) -> tuple[str, str]:
    """The verdict of a block, and a sentence about it."""
    if not block.checked and not block.detection_limit:
        return block.verdict, "not checked"
    worst = f", the worst entry is {block.worst}" if block.worst else ""
    said = f"relative error {block.relative_error:.1e}{worst}"
    return block.verdict, block.diagnosis or f"{block.name}: {said}"


def sections_of(check: Any, entries: int) -> Iterator[Sentences | Table]:
    if check.points:
        yield _points(check)
    yield _blocks(check)
    if check.diagnoses:
        said = tuple(diagnosis.sentence for diagnosis in check.diagnoses)
        yield Sentences(said, "Why:", tuple(diagnosis.law for diagnosis in check.diagnoses))
    if check.entries and entries:
        yield _entries(check, entries)
    remarks = _remarks(check)
    words = words_of(remarks)
    for title, unseen in ((UNSEEN_TITLE, True), ("", False)):
        chosen = [(r, w) for r, w in zip(remarks, words, strict=True) if (w in UNSEEN) == unseen]
        if chosen:
            yield Sentences(tuple(r for r, _ in chosen), title, tuple(w for _, w in chosen))
    if check._suggested is not None:
        yield check._suggested.section()


def _points(check: Any) -> Sentences:
    return Sentences(
        tuple(f"{point.label}: {point.verdict}" for point in check.points),
        f"Checked at {len(check.points)} points; the worst is shown below.",
    )


def _blocks(check: Any) -> Table:
    with_kinks = any(block.kinks for block in check.blocks)
    numbers = "shape", "checked", "relative error", "detection limit"
    columns = (
        Column("block", names=True),
        *(Column(name, True) for name in ((*numbers, "kinks") if with_kinks else numbers)),
        Column("worst entry", names=True),
        Column("verdict"),
    )
    rows = tuple(_block_cells(block, with_kinks) for block in check.blocks)
    borrowed = any(block.limit_of == "all" for block in check.blocks)
    note = "* of the rms of all differences: the block's own are zero within their bars"
    return Table(columns, rows, notes=(note,) if borrowed else ())


def _block_cells(block: BlockCheck, with_kinks: bool) -> tuple[str, ...]:
    shape = shape_words(block.shape)
    kinks = (f"{block.kinks:,}" if block.kinks else "",) if with_kinks else ()
    if block.detection_limit == 0.0 and block.checked == 0:
        return block.name, shape, "none", "", "", *kinks, "", "not checked"
    return (
        block.name,
        shape,
        f"{block.checked:,}",
        f"{block.relative_error:.1e}",
        f"{block.detection_limit:.1e}" + ("*" if block.limit_of == "all" else ""),
        *kinks,
        block.worst,
        block.verdict,
    )


def _entries(check: Any, shown: int) -> Table:
    plain = all(entry.verdict == "agrees" for entry in check.entries)
    numbers = "analytic", "numeric", "error bar", "step"
    more = len(check.entries) - shown
    return Table(
        (
            Column("entry", names=True),
            *(Column(name, True) for name in numbers),
            Column("verdict"),
            Column("note"),
        ),
        tuple(map(_entry_cells, check.entries[:shown])),
        "closest to disagreeing" if plain else "worst entries",
        (f"  and {more:,} more in .entries",) if more > 0 else (),
    )


def _entry_cells(entry: EntryCheck) -> tuple[str, ...]:
    return (
        entry.name,
        f"{entry.analytic:.9g}",
        f"{entry.numeric:.9g}",
        f"{entry.error_bar:.1e}",
        f"{entry.step:.1e}",
        entry.verdict,
        entry.note,
    )


def _remarks(check: Any) -> tuple[str, ...]:
    remarks = list(check.remarks)
    limit = max((b.detection_limit for b in check.blocks if b.checked), default=0.0)
    unseen = (
        f"An error below {limit:.1e} of a block's gradient could not be seen"
        if limit < float("inf")
        else "Every difference is zero, so there is no size to compare an error with"
        if check.strategy == "sweep"
        else "An error of any size may be left where the search did not come to its end"
    )
    if check.checked or limit:
        remarks.append(f"{unseen}; one below rtol = {check.rtol:g} was not looked for.")
    constant = check.size - check.checked
    if constant and check.strategy == "sweep":
        remarks.append(f"Not checked: {_entries_words(constant)} held constant (trainable).")
    what = (
        "Every entry" if check.strategy in ("sweep", "seeds") else "Directions and what they blamed"
    )
    remarks.append(
        f"{what} checked by central differences: {check.evaluations:,} evaluations in "
        f"{check.seconds:.2g} s; one evaluation is noisy by {check.noise:.1e}."
    )
    rtol = check.smallest_rtol
    if rtol is not None and rtol <= LARGEST_RTOL_ADVISED and check.verdict != "agrees":
        remarks.append(f"It would agree with rtol={rtol:g}.")
    if check.verdict == "disagrees":
        remarks.append(
            "Next: compare the worst entries with the derivation; report.convergence() shows the "
            "error against the step; `fastgrad explain WORD` says more about a word in brackets."
        )
    elif check.verdict == "inconclusive" and check.entries:
        remarks.append(
            "Next: check at other parameters (points=3), scale the loss to order one, or compute "
            "it in float64."
        )
    if check.ran:
        remarks.append(check.ran)
    return tuple(remarks)


def shape_words(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "number"


def _entries_words(count: int) -> str:
    return f"{count:,} entry" if count == 1 else f"{count:,} entries"


def _hidden_words(count: int) -> str:
    return f"the {count:,} that noise hides {'is' if count == 1 else 'are'}"


def _all_words(count: int) -> str:
    return "its only entry checked agrees" if count == 1 else f"all {count:,} entries checked agree"


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:BLOCKS_NAMED])
    return shown + (
        f" and {len(names) - BLOCKS_NAMED} more blocks" if len(names) > BLOCKS_NAMED else ""
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
