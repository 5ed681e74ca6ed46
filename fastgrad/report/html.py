"""Documents as HTML: one page, or a fragment for a notebook; no script, nothing from elsewhere."""

import html
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from fastgrad.report.document import Document, Sentences, Table
from fastgrad.report.escape import visible
from fastgrad.report.figures import Figure, HeatMap, Scatter
from fastgrad.report.plots import NEEDED, as_svg

TEMPLATES = Path(__file__).parent / "templates"
MARKS = {"agrees": "\N{CHECK MARK}", "disagrees": "\N{MULTIPLICATION X}"}


def page(documents: Sequence[tuple[str, Document]], index: Document | None = None) -> str:
    """One page of several documents, each under its title (that of a single one is the page's).

    Parameters
    ----------
    index : Document, optional
        What stands before them; its cases name them, in their order.

    Raises
    ------
    ModuleNotFoundError
        jinja2 or matplotlib is missing; the message says how to get them.
    """
    environment = _environment()
    alone = len(documents) == 1
    heading = documents[0][0] if alone else f"{len(documents)} gradient checks"
    return str(
        environment.get_template("page.html").render(
            heading=heading or "Gradient check",
            style=_style(),
            index=None if index is None else _fragment(index, ""),
            links=[] if index is None else [title for title, _ in documents],
            fragments=[_fragment(doc, "" if alone else title) for title, doc in documents],
        )
    )


def fragment(document: Document) -> str:
    """A document with its style, to be put into another page."""
    return f"<style>{_style()}</style>{_fragment(document, '')}"


def _fragment(document: Document, title: str) -> Any:
    from markupsafe import Markup

    sentences = [s for s in document.sections if isinstance(s, Sentences) and s.sentences]
    figures = [(f.title, f.words, _is_broad(f), Markup(as_svg(f))) for f in document.figures]
    made = (
        _environment()
        .get_template("fragment.html")
        .render(
            title=title,
            document=document,
            said=[section for section in sentences if section.title],
            remarks=[section for section in sentences if not section.title],
            tables=[
                _filled(section) for section in document.sections if isinstance(section, Table)
            ],
            figures=figures,
        )
    )
    return Markup(made)


def _is_broad(figure: Figure) -> bool:
    """Whether a figure has a row of its own; those of one block stand side by side."""
    return not isinstance(figure, HeatMap | Scatter)


def _filled(table: Table) -> Table:
    """The table without the columns in which nothing stands."""
    kept = [k for k in range(len(table.columns)) if any(row[k] for row in table.rows)]
    return replace(
        table,
        columns=tuple(table.columns[k] for k in kept),
        rows=tuple(tuple(row[k] for k in kept) for row in table.rows),
    )


@cache
def _environment() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"a page {NEEDED.replace('matplotlib', 'jinja2 and matplotlib')}", name=error.name
        ) from error
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["visible"] = visible
    environment.filters["lines"] = lambda text: "\n".join(map(visible, text.split("\n")))
    environment.filters["mark"] = lambda verdict: MARKS.get(verdict, "?")
    environment.filters["kind"] = lambda verdict: verdict if verdict in MARKS else "unsure"
    # Quotes need no escape in text, and would make JSON twice as long.
    environment.filters["text"] = lambda text: Markup(html.escape(text, quote=False))
    return environment


@cache
def _style() -> Any:
    from markupsafe import Markup

    return Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
