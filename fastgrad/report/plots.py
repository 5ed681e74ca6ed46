"""The data of figures drawn by matplotlib, for people's own axes and as SVG for pages."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np

from fastgrad.report.escape import visible
from fastgrad.report.figures import Figure, HeatMap, Readings, Scatter, Steps, Strip

NEEDED = "needs matplotlib: pip install 'fastgrad[report]'"
LONGEST_LABEL = 32
SETTINGS = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and read aloud
    "svg.hashsalt": "fastgrad",  # the same report makes the same bytes
    "text.parse_math": False,  # names may have dollars in them
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
}


@dataclass(frozen=True)
class Palette:
    """Colours by what they mean."""

    ink: str = "#333333"
    muted: str = "#888888"
    agrees: str = "#2a7f62"
    disagrees: str = "#c8452d"
    unsure: str = "#a06a00"


STANDINS = {
    "#010101": "currentColor",
    "#020202": "var(--fg-muted)",
    "#030303": "var(--fg-agrees)",
    "#040404": "var(--fg-disagrees)",
    "#050505": "var(--fg-unsure)",
}
"""Colours of a page, which follow its style sheet, and what matplotlib is given in their place."""
PAGE = Palette(*STANDINS)
MARKERS = {"agrees": "o", "disagrees": "x", "inconclusive": "^"}
"""The shape of a verdict, beside its colour; kinks are squares."""


def draw(figure: Figure, ax: Any = None, palette: Palette | None = None) -> Any:
    """Draw a figure on axes, new ones of pyplot by default; returns the axes."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"a plot {NEEDED}", name=error.name) from error
    with mpl.rc_context(SETTINGS):
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots(figsize=_size(figure), layout="constrained")[1]
        DRAWN[type(figure)](figure, ax, palette or Palette())
        if palette is None and not isinstance(figure, HeatMap):  # pages have captions
            ax.set_title(_label(figure.title), loc="left", fontsize=10)
    return ax


def as_svg(figure: Figure) -> str:
    """The figure as an SVG element in the colours of its page."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure as Canvas
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"a page {NEEDED}", name=error.name) from error
    out = StringIO()
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        # Glyphs are the browser's to find.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas = Canvas(figsize=_size(figure))
        draw(figure, canvas.subplots(), PAGE)
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        canvas.savefig(out, format="svg", transparent=True, metadata=metadata, bbox_inches="tight")
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    for standin, colour in STANDINS.items():
        text = text.replace(standin, colour)
    return text


def _size(figure: Figure) -> tuple[float, float]:
    if isinstance(figure, Strip):
        return 6.4, 0.9 + 0.22 * len(figure.rows)
    if isinstance(figure, HeatMap) and figure.shape[0] == 1:
        return 4.4, 1.6
    return (4.4, 3.6) if isinstance(figure, HeatMap | Scatter) else (6.4, 3.0)


def _label(name: str) -> str:
    name = visible(name)
    return name if len(name) <= LONGEST_LABEL else f"...{name[3 - LONGEST_LABEL :]}"


def _colour(verdict: str, palette: Palette) -> str:
    known = {"agrees": palette.agrees, "disagrees": palette.disagrees}
    return known.get(verdict, palette.unsure)


def _plain(axis: Any) -> None:
    """Ticks of a logarithmic axis as text that needs no mathematics."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}" if value else "0"))
    axis.set_minor_formatter(NullFormatter())


def _ink(ax: Any, palette: Palette) -> None:
    ax.tick_params(colors=palette.ink, which="both")
    for spine in ax.spines.values():
        spine.set_color(palette.muted)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title, ax._left_title):
        text.set_color(palette.ink)
    ax.set_facecolor("none")


def _strip(figure: Strip, ax: Any, palette: Palette) -> None:
    limits = [limit for _, _, limit, _ in figure.rows if 0 < limit < np.inf]
    errors = [error for _, error, _, _ in figure.rows if 0 < error < np.inf]
    floor = min([*limits, *errors, 1e-8]) / 3
    high = max([*limits, *errors, 1e-6]) * 3
    for k, (_, error, limit, verdict) in enumerate(figure.rows):
        shown = min(max(error, floor), high)
        if 0 < limit < np.inf:
            ax.plot([floor, limit], [k, k], color=palette.muted, lw=6, alpha=0.35,
                    solid_capstyle="butt")  # fmt: skip
            ax.plot([limit], [k], "|", color=palette.muted, ms=9)
        ax.plot([shown], [k], MARKERS.get(verdict, "^"), color=_colour(verdict, palette), ms=6)
        ax.annotate(f" {verdict}", (shown, k), xytext=(6, 0), textcoords="offset points",
                    va="center", color=palette.ink, fontsize=8)  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(floor, high * 30)
    ax.set_ylim(len(figure.rows) - 0.5, -0.5)
    ax.set_yticks(range(len(figure.rows)), [_label(row[0]) for row in figure.rows])
    ax.set_xlabel("relative error; the grey bar ends at the detection limit")
    _plain(ax.xaxis)
    _ink(ax, palette)


def _heat(figure: HeatMap, ax: Any, palette: Palette) -> None:

    cells = np.array(figure.cells)
    size = np.abs(cells)
    rows, columns = figure.shape
    extent = (0, columns, rows, 0)
    ax.imshow(_shades(cells), extent=extent, aspect="auto", interpolation="none")
    at = np.argwhere(size > 1)
    high, wide = rows / cells.shape[0], columns / cells.shape[1]
    if 0 < len(at) <= MOST_CROSSES:
        ax.plot(
            (at[:, 1] + 0.5) * wide, (at[:, 0] + 0.5) * high, "x", color=palette.ink, ms=4, mew=1
        )
    ax.set_xlabel("column")
    ax.set_ylabel("row")
    _whole_ticks(ax, figure.shape)
    _margins(ax, np.minimum(np.nan_to_num(size, nan=0.0), 1e300), (high, wide), palette)
    _ink(ax, palette)


def _shades(excess: Any) -> Any:
    """Colours, shape (rows, columns, 4): none where allowed, deeper by decades; grey if unchecked."""
    size = np.nan_to_num(np.abs(excess), nan=0.0, posinf=FULL_EXCESS)
    deep = np.log10(np.clip(size, 1.0, FULL_EXCESS)) / np.log10(FULL_EXCESS)
    made = np.zeros((*excess.shape, 4))
    made[..., :3] = np.where((excess > 0)[..., None], ABOVE, BELOW)
    made[..., 3] = np.where(size > 1, FAINTEST + (1 - FAINTEST) * deep, 0.0)
    made[np.isnan(excess)] = UNCHECKED
    return made


ABOVE, BELOW = (0.85, 0.37, 0.01), (0.13, 0.44, 0.71)
"""Orange and blue, which the colour-blind tell apart."""
UNCHECKED = (0.5, 0.5, 0.5, 0.25)
FULL_EXCESS = 1e6
"""Excess of the deepest colour; the wrong entries of real mistakes reach 1e3 to 1e8."""
FAINTEST = 0.25


def _whole_ticks(ax: Any, shape: tuple[int, int]) -> None:
    """Ticks at whole indices, in the middle of their cell."""
    for axis, count in ((ax.yaxis, shape[0]), (ax.xaxis, shape[1])):
        step = max(1, -(-count // 6))
        at = range(0, count, step)
        axis.set_ticks([k + 0.5 for k in at], [str(k) for k in at])


def _margins(ax: Any, size: Any, cell: tuple[float, float], palette: Palette) -> None:
    """The largest excess of each column above the map, of each row beside it."""
    above = ax.inset_axes([0, 1.03, 1, 0.3 if size.shape[0] == 1 else 0.16], sharex=ax)
    beside = ax.inset_axes([1.03, 0, 0.16, 1], sharey=ax)
    columns, rows = size.max(axis=0), size.max(axis=1)
    for margin, values, unit, draws in (
        (above, columns, cell[1], above.bar),
        (beside, rows, cell[0], beside.barh),
    ):
        margin.axis("off")
        if values.size == 1:
            continue
        at = (np.arange(values.size) + 0.5) * unit
        heights = np.log10(1 + np.minimum(values, 1e12))
        off = values > 1
        for chosen, colour in ((off, palette.disagrees), (~off, palette.muted)):
            if chosen.any():
                draws(at[chosen], heights[chosen], 0.8 * unit, color=colour)
    above.set_title(ax.get_title() or "largest of each column", fontsize=8, color=palette.muted)


MOST_CROSSES = 200
"""Cells that are crossed; where more are off, colour and margins tell enough."""


def _scatter(figure: Scatter, ax: Any, palette: Palette) -> None:
    for verdict in dict.fromkeys(dot[3] for dot in figure.dots):
        D, a, bar = np.array([dot[:3] for dot in figure.dots if dot[3] == verdict]).T
        marker, colour = MARKERS.get(verdict, "s"), _colour(verdict, palette)
        ax.errorbar(D, a, xerr=bar, fmt=marker, ms=4, color=colour, lw=0.8, label=verdict)
    if figure.dots:
        ends = np.array([f(dot[0] for dot in figure.dots) for f in (min, max)])
        ax.plot(ends, ends, "--", color=palette.muted, lw=1, label="analytic = numeric")
        if figure.law is not None:
            slope, offset, word = figure.law
            ax.plot(ends, slope * ends + offset, "-", color=palette.ink, lw=1, label=f"law: {word}")
    ax.set_xlabel("numeric")
    ax.set_ylabel("analytic")
    ax.ticklabel_format(useMathText=False)
    ax.locator_params(nbins=5)
    legend = ax.legend(frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_color(palette.ink)
    _ink(ax, palette)


def _steps(figure: Steps, ax: Any, palette: Palette) -> None:
    h, error = np.array(figure.steps), np.array(figure.errors)
    ax.set_xscale("log")
    ax.set_yscale("log")
    if h.size:
        ax.plot(h, error, "o-", color=palette.ink, ms=4, lw=1)
        low = float(error.min())
        ax.set_ylim(low / 10, float(error.max()) * 10)  # ticks are at whole decades
        for slope, through in ((2, 0), (0, int(error.argmin())), (-1, -1)):
            line = error[through] * (h / h[through]) ** slope
            shown = (line >= low / 3) & (line <= error.max() * 3)
            ax.plot(h[shown], line[shown], ":", color=palette.muted, lw=1)
            at = int(np.flatnonzero(shown)[0 if slope >= 0 else -1])
            ax.annotate(f"slope {slope}", (h[at], line[at]), color=palette.muted, fontsize=8,
                        xytext=(0, 4), textcoords="offset points")  # fmt: skip
    ax.set_xlabel("step")
    ax.set_ylabel("|analytic - difference|")
    _plain(ax.xaxis)
    _plain(ax.yaxis)
    _ink(ax, palette)


def _readings(figure: Readings, ax: Any, palette: Palette) -> None:
    y, bar = np.array([row[1:] for row in figure.rows]).reshape(-1, 2).T
    at = np.arange(y.size)
    off = np.abs(y) > bar
    for chosen, marker, colour, said in (
        (~off, "o", palette.agrees, "within its bar"),
        (off, "x", palette.disagrees, "beyond its bar"),
    ):
        if chosen.any():
            ax.errorbar(at[chosen], y[chosen], yerr=bar[chosen], fmt=marker, ms=4, color=colour,
                        lw=0.8, label=said)  # fmt: skip
    ax.axhline(0, color=palette.muted, lw=0.8)
    smallest = float(bar[bar > 0].min(initial=1e-300)) if (bar > 0).any() else 1e-12
    threshold = max(float(np.median(bar)) * 3 if bar.size else 1, smallest)
    ax.set_yscale("symlog", linthresh=threshold)
    ax.yaxis.get_major_locator().set_params(numticks=7)
    ax.locator_params(axis="x", integer=True)
    ax.set_xlabel("direction")
    ax.set_ylabel("v . (a - g)")
    _plain(ax.yaxis)
    legend = ax.legend(frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_color(palette.ink)
    _ink(ax, palette)


DRAWN: dict[type, Callable[[Any, Any, Palette], None]] = {
    Strip: _strip,
    HeatMap: _heat,
    Scatter: _scatter,
    Steps: _steps,
    Readings: _readings,
}
