"""A report as text: the verdict in one sentence, then blocks, entries, and what to do next."""

from io import StringIO
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from fastgrad.results import Convergence, EntryCheck, GradientCheck

WIDTH = 110
ENTRIES_SHOWN = 10
LINE_LIMIT = 200
"""Longest `repr`, so that a failed ``assert check_grad(...)`` reads well."""


def report_text(check: "GradientCheck") -> str:
    """The whole report."""
    parts = [headline(check), ""]
    if check.points:
        parts += [_points(check), ""]
    parts += [_blocks(check), ""]
    if check.diagnoses:
        parts += ["Why:", *(f"- {diagnosis.sentence}" for diagnosis in check.diagnoses), ""]
    if check.entries:
        parts += [_entries(check), ""]
    parts += [f"- {remark}" for remark in _remarks(check)]
    return "\n".join(parts).rstrip() + "\n"


def headline(check: "GradientCheck") -> str:
    """The verdict, in one sentence."""
    at = f" {check.label}" if check.label else ""
    if check.verdict == "agrees":
        return f"The gradient is right{at}: {_agreement(check)}."
    if check.verdict == "disagrees":
        return f"The gradient is wrong{at}: {_disagreement(check)}."
    return f"Inconclusive{at}: nothing is shown to be wrong, but {_doubt(check)}."


def _agreement(check: "GradientCheck") -> str:
    if check.strategy == "screen":
        return "no random direction shows an error beyond its bar"
    kinks = check.counts.get("kink: valid subgradient", 0)
    at_kinks = f" ({_entries_words(kinks)} at a kink, with a valid subgradient)" if kinks else ""
    return (
        f"{_all_words(check.checked)} with the differences within "
        f"{'its error bar' if check.checked == 1 else 'their error bars'}{at_kinks}"
    )


def _disagreement(check: "GradientCheck") -> str:
    wrong = check.counts.get("disagrees", 0)
    blocks = _names([block.name for block in check.blocks if block.verdict == "disagrees"])
    if not wrong:
        return f"random directions show an error{f' in {blocks}' if blocks else ''}"
    worst = check.entries[0]
    said = (
        f"{wrong:,} of {check.checked:,} entries "
        f"{'disagrees' if wrong == 1 else 'disagree'} with the differences, in {blocks}"
        if check.strategy == "sweep"
        else f"an error was found in {blocks}"
    )
    return (
        f"{said}; the worst is {worst.name}, {worst.analytic:.6g} where the differences say "
        f"{worst.numeric:.6g} +- {worst.error_bar:.1g}"
    )


def _doubt(check: "GradientCheck") -> str:
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


def one_line(check: "GradientCheck") -> str:
    """`repr`: the verdict and the worst entry."""
    worst = check.entries[0] if check.entries else None
    text = f"GradientCheck({check.verdict}: "
    if worst is not None and check.verdict != "agrees":
        text += (
            f"{_short(worst.name, 60)} analytic {worst.analytic:.6g}, numeric {worst.numeric:.6g} "
            f"+- {worst.error_bar:.1g}, {worst.verdict}; "
        )
    text += f"{check.checked} checked, relative error {check.relative_error:.1e})"
    return _short(text, LINE_LIMIT)


def convergence_text(convergence: "Convergence") -> str:
    """The h/10 table."""
    table = Table(box=SIMPLE, pad_edge=False)
    for name in ("step", "error", "ratio"):
        table.add_column(name, justify="right")
    table.add_column("reading")
    for row in convergence.rows:
        table.add_row(f"{row.step:.0e}", f"{row.error:.2e}", f"{row.ratio:.3g}", row.reading)
    return f"{convergence.summary}\n{_render(table)}\n"


def _blocks(check: "GradientCheck") -> str:
    with_kinks = any(block.kinks for block in check.blocks)
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("block", overflow="fold")
    numbers = ("shape", "checked", "relative error", "detection limit")
    for name in (*numbers, "kinks") if with_kinks else numbers:
        table.add_column(name, justify="right")
    table.add_column("worst entry", overflow="fold")
    table.add_column("verdict")
    for block in check.blocks:
        shape = "x".join(map(str, block.shape)) or "number"
        kinks = (f"{block.kinks:,}" if block.kinks else "",) if with_kinks else ()
        if block.detection_limit == 0.0 and block.checked == 0:
            table.add_row(block.name, shape, "none", "", "", *kinks, "", "not checked")
            continue
        table.add_row(
            block.name,
            shape,
            f"{block.checked:,}",
            f"{block.relative_error:.1e}",
            f"{block.detection_limit:.1e}" + ("*" if block.limit_of == "all" else ""),
            *kinks,
            block.worst,
            block.verdict,
        )
    text = _render(table)
    if any(block.limit_of == "all" for block in check.blocks):
        text += "\n* of the rms of all differences: the block's own are zero within their bars"
    return text


def _entries(check: "GradientCheck") -> str:
    plain = all(entry.verdict == "agrees" for entry in check.entries)
    title = "closest to disagreeing" if plain else "worst entries"
    table = Table(box=SIMPLE, pad_edge=False, title=title, title_justify="left")
    table.add_column("entry", overflow="fold")
    for name in ("analytic", "numeric", "error bar", "step"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("note", overflow="fold")
    for entry in check.entries[:ENTRIES_SHOWN]:
        table.add_row(*_entry_cells(entry))
    more = len(check.entries) - ENTRIES_SHOWN
    return _render(table) + (f"\n  and {more:,} more in .entries" if more > 0 else "")


def _entry_cells(entry: "EntryCheck") -> tuple[str, ...]:
    return (
        entry.name,
        f"{entry.analytic:.9g}",
        f"{entry.numeric:.9g}",
        f"{entry.error_bar:.1e}",
        f"{entry.step:.1e}",
        entry.verdict,
        entry.note,
    )


def _points(check: "GradientCheck") -> str:
    rows = "\n".join(f"  {point.label}: {point.verdict}" for point in check.points)
    return f"Checked at {len(check.points)} points; the worst is shown below.\n{rows}"


def _remarks(check: "GradientCheck") -> list[str]:
    remarks = list(check.remarks)
    limit = max((b.detection_limit for b in check.blocks if b.checked), default=0.0)
    unseen = (
        f"An error below {limit:.1e} of a block's gradient could not be seen"
        if limit < float("inf")
        else "Every difference is zero, so there is no size to compare an error with"
    )
    if check.checked or limit:
        remarks.append(f"{unseen}; one below rtol = {check.rtol:g} was not looked for.")
    constant = check.size - check.checked
    if constant and check.strategy == "sweep":
        remarks.append(f"Not checked: {_entries_words(constant)} held constant (trainable).")
    what = "Every entry" if check.strategy == "sweep" else "Directions and what they blamed"
    remarks.append(
        f"{what} checked by central differences: {check.evaluations:,} evaluations in "
        f"{check.seconds:.2g} s; one evaluation is noisy by {check.noise:.1e}."
    )
    if check.verdict == "disagrees":
        remarks.append(
            "Next: compare the worst entries with the derivation; report.convergence() shows the "
            "error against the step."
        )
    elif check.verdict == "inconclusive" and check.entries:
        remarks.append(
            "Next: check at other parameters (points=3), scale the loss to order one, or compute "
            "it in float64."
        )
    return remarks


def _render(table: Table) -> str:
    out = StringIO()
    Console(file=out, width=WIDTH, color_system=None, force_terminal=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip())


def _entries_words(count: int) -> str:
    return f"{count:,} entry" if count == 1 else f"{count:,} entries"


def _all_words(count: int) -> str:
    return "its only entry checked agrees" if count == 1 else f"all {count:,} entries checked agree"


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown + (f" and {len(names) - 5} more blocks" if len(names) > 5 else "")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
