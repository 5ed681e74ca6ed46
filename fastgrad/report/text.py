"""A document as text, within `WIDTH` columns where names allow it."""

from io import StringIO

from rich import table as rich_table
from rich.box import SIMPLE
from rich.console import Console
from rich.text import Text

from fastgrad.report.document import Document, Sentences, Table
from fastgrad.report.escape import visible

WIDTH = 110
WIDEST_TABLE = 100_000
"""Width of the widest table, in columns."""


def as_text(document: Document) -> str:
    """The whole document: its headline, then its sections, with a blank line between."""
    sections = [_section(section) for section in document.sections]
    return "\n\n".join([visible(document.headline), *sections]).rstrip() + "\n"


def _section(section: Sentences | Table) -> str:
    return _table(section) if isinstance(section, Table) else _sentences(section)


def _sentences(section: Sentences) -> str:
    title = [section.title] if section.title else []
    said = [f"- {visible(said)}" + (f" [{word}]" if word else "") for said, word in section.pairs]
    if section.verbatim:
        said[1:1] = map(visible, section.verbatim.split("\n"))
    return "\n".join(title + said)


def _table(section: Table) -> str:
    table = rich_table.Table(
        box=SIMPLE, pad_edge=False, title=section.title or None, title_justify="left"
    )
    for column in section.columns:
        table.add_column(
            Text(column.name),
            justify="right" if column.numbers else "left",
            overflow="fold",
            no_wrap=column.names,
        )
    for row in section.rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    out = StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, force_terminal=False)
    # Names are not broken: somebody will search for them.
    unlimited = console.options.update(max_width=WIDEST_TABLE)
    console.width = max(WIDTH, table.__rich_measure__(console, unlimited).minimum)
    console.print(table)
    lines = (line.rstrip() for line in out.getvalue().split("\n") if line.strip())
    return "\n".join([*lines, *section.notes])
