"""The data of figures as plain values, with a sentence for who does not see them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.report.arrays import BlockArrays

MOST_BINS = 48
"""Rows and columns of a heat map, at most: each still a few pixels wide on paper. A cell shows the
largest excess of its entries, so that one wrong entry of a million shows."""
MOST_DOTS = 200
"""Entries of a scatter, at most: the page stays small, and dots apart."""
MOST_BLOCKS = 40
"""Blocks of a strip, at most."""


@dataclass(frozen=True)
class Strip:
    """Blocks with their relative error beside their detection limit."""

    rows: tuple[tuple[str, float, float, str], ...]
    """Name, relative error, detection limit, verdict."""
    words: str
    title: str = "Blocks"


@dataclass(frozen=True)
class HeatMap:
    """``(a - D) / allowance`` over a block, binned; the largest of each bin, by size."""

    block: str
    shape: tuple[int, int]
    """Rows and columns of the block as it is drawn."""
    cells: tuple[tuple[float, ...], ...]
    """NaN where no entry of the bin was checked."""
    words: str

    @property
    def title(self) -> str:
        return f"Where {self.block} is off"


@dataclass(frozen=True)
class Scatter:
    """Entries of a block: numeric, analytic, error bar, verdict; and the law, a = slope D + offset."""

    block: str
    dots: tuple[tuple[float, float, float, str], ...]
    law: tuple[float, float, str] | None
    """Slope, offset and the law's word."""
    words: str

    @property
    def title(self) -> str:
        return f"{self.block}: analytic against numeric"


@dataclass(frozen=True)
class Steps:
    """Errors of the difference along one direction, against its step."""

    steps: tuple[float, ...]
    errors: tuple[float, ...]
    words: str
    title: str = "Error against step"


@dataclass(frozen=True)
class Readings:
    """Directions: through what, ``v . (a - g)`` as measured, and its bar."""

    rows: tuple[tuple[str, float, float], ...]
    words: str
    title: str = "Random directions"


Figure = Strip | HeatMap | Scatter | Steps | Readings


def strip(blocks: Sequence[Any]) -> Strip:
    """The blocks of a report; of too many, those that are worst."""
    known = [b for b in blocks if b.checked or b.detection_limit]
    ranks = {"disagrees": 0, "inconclusive": 1}
    worst = sorted(known, key=lambda b: (ranks.get(b.verdict, 2), -b.relative_error))[:MOST_BLOCKS]
    shown = [b for b in known if any(b is w for w in worst)]
    counts = {
        v: sum(b.verdict == v for b in known) for v in ("disagrees", "inconclusive", "agrees")
    }
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    rows = tuple((b.name, b.relative_error, b.detection_limit, b.verdict) for b in shown)
    left = (
        f"; {len(known) - len(shown)} more blocks are not drawn" if len(shown) < len(known) else ""
    )
    return Strip(rows, f"Relative error of each block beside its detection limit: {said}{left}.")


def heat_map(name: str, arrays: BlockArrays) -> HeatMap:
    """The heat map of a block, and in how many rows and columns it is off."""
    excess = arrays.excess
    flat = excess.reshape(-1, excess.shape[-1]) if excess.ndim else excess.reshape(1, 1)
    wrong = np.asarray(arrays.verdict == "disagrees").reshape(flat.shape)
    rows, columns = int(wrong.any(axis=1).sum()), int(wrong.any(axis=0).sum())
    checked = int(np.count_nonzero(~np.isnan(flat)))
    words = (
        f"{name}: {int(wrong.sum()):,} of {checked:,} entries checked disagree, in {rows:,} of "
        f"{flat.shape[0]:,} rows and {columns:,} of {flat.shape[1]:,} columns. Colour is (analytic "
        "- numeric) over what is allowed: orange above, blue below, a cross where beyond."
    )
    cells = tuple(tuple(map(float, row)) for row in _binned(flat))
    return HeatMap(name, (flat.shape[0], flat.shape[1]), cells, words)


def _binned(values: Floats) -> Floats:
    """The value of largest size in each bin, shape at most (MOST_BINS, MOST_BINS)."""
    for axis in (0, 1):
        starts = _edges(values.shape[axis])
        with np.errstate(invalid="ignore"):
            high = np.fmax.reduceat(values, starts, axis=axis)
            low = np.fmin.reduceat(values, starts, axis=axis)
            values = np.where(np.abs(low) > np.abs(high), low, high)
    return values


def _edges(count: int) -> Indices:
    bins = min(count, MOST_BINS)
    return (np.arange(bins) * count) // bins


def scatter(name: str, arrays: BlockArrays, law: tuple[float, float, str] | None) -> Scatter:
    """Analytic against numeric: half of the dots what is furthest off, half evenly spread."""
    a, D, bar = (x.ravel() for x in (arrays.analytic, arrays.numeric, arrays.error_bar))
    verdict = arrays.verdict.ravel()
    known = np.flatnonzero(np.isfinite(a) & np.isfinite(D) & np.isfinite(bar))
    chosen = known
    if known.size > MOST_DOTS:
        order = known[np.argsort(-np.abs(arrays.excess.ravel()[known]), kind="stable")]
        even = known[np.linspace(0, known.size - 1, MOST_DOTS // 2).astype(int)]
        chosen = np.union1d(order[: MOST_DOTS // 2], even)
    dots = tuple((float(D[k]), float(a[k]), float(bar[k]), str(verdict[k])) for k in chosen)
    on = f" The line is the law found: {law[2]}." if law else ""
    words = (
        f"{name}: the analytic gradient of {len(dots):,} of {known.size:,} entries against the "
        f"numerical one, with its error bars; what is right lies on the dashed diagonal.{on}"
    )
    return Scatter(name, dots, law, words)


def law_line(law: str, constants: dict[str, float]) -> tuple[float, float, str] | None:
    """Slope and offset of a law that is a line in the plane of numeric and analytic."""
    words = set(law.split("+"))
    if not words or words - {"scale", "sign", "offset", "zero"}:
        return None
    slope = 0.0 if "zero" in words else -1.0 if "sign" in words else constants.get("factor", 1.0)
    return slope, constants.get("offset", 0.0), law


def steps(rows: Sequence[Any], summary: str) -> Steps:
    """A convergence table as a figure."""
    good = [row for row in rows if 0 < row.error < np.inf]
    return Steps(tuple(r.step for r in good), tuple(r.error for r in good), summary)


def readings(rows: Sequence[tuple[str, float, float]]) -> Readings:
    """The directions of a screen that were measured."""
    good = tuple(row for row in rows if np.isfinite(row[1]) and np.isfinite(row[2]))
    beyond = sum(abs(y) > bar for _, y, bar in good)
    words = (
        f"{len(good)} random directions v: the error v . (a - g) that each shows, with its bar. "
        f"{beyond or 'None'} {'show' if beyond != 1 else 'shows'} an error beyond its bar."
    )
    return Readings(good, words)


def figures_of(check: Any) -> Iterator[Figure]:
    """The figures of a report: blocks, what is wrong in each that fails, directions."""
    if len(check.blocks) > 1 and (drawn := strip(check.blocks)).rows:
        yield drawn
    laws = {d.block: law_line(d.law, d.constants) for d in check.diagnoses}
    failing = [b for b in check.blocks if b.verdict == "disagrees" and b.checked]
    for block in failing[:FAILING_DRAWN] if check.has_arrays else ():
        arrays = check.arrays(block.name)
        if block.size > 1:
            yield heat_map(block.name, arrays)
        yield scatter(block.name, arrays, laws.get(block.name))
    if check.readings:
        yield readings(check.readings)


FAILING_DRAWN = 4
"""Failing blocks that are drawn: each takes some 40 kB."""


def figure_of(check: Any, kind: str, block: str | None) -> Figure:
    """One figure of a report, by its kind.

    Raises
    ------
    ValueError
        There is no such kind, or the report has nothing of that kind.
    """
    if kind == "blocks":
        return strip(check.blocks)
    if kind == "steps":
        found = check.convergence()
        return steps(found.rows, found.summary)
    if kind == "directions":
        if not check.readings:
            raise ValueError('kind="directions": expected a screen (strategy="screen")')
        return readings(check.readings)
    if kind not in ("residual", "scatter"):
        kinds = '"blocks", "residual", "scatter", "steps" or "directions"'
        raise ValueError(f"kind={kind!r}: expected {kinds}")
    if block is None:
        wrong = [b for b in check.blocks if b.verdict == "disagrees" and b.checked]
        block = (wrong or list(check.blocks))[0].name
    arrays = check.arrays(block)
    if not (arrays.verdict != "").any():
        raise ValueError(f"no entry of {block} was checked by itself: expected a sweep")
    if kind == "residual":
        return heat_map(block, arrays)
    laws = [law_line(d.law, d.constants) for d in check.diagnoses if d.block == block]
    return scatter(block, arrays, laws[0] if laws else None)
