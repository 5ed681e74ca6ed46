"""A document as text, within `WIDTH` columns."""

from io import StringIO

from rich import table as rich_table
from rich.box import SIMPLE
from rich.console import Console
from rich.text import Text

from fastgrad.report.document import Document, Sentences, Table

WIDTH = 110


def as_text(document: Document) -> str:
    """The whole document: its headline, then its sections, with a blank line between."""
    sections = [_section(section) for section in document.sections]
    return "\n\n".join([document.headline, *sections]).rstrip() + "\n"


def _section(section: Sentences | Table) -> str:
    return _table(section) if isinstance(section, Table) else _sentences(section)


def _sentences(section: Sentences) -> str:
    title = [section.title] if section.title else []
    return "\n".join(title + [f"- {sentence}" for sentence in section.sentences])


def _table(section: Table) -> str:
    table = rich_table.Table(
        box=SIMPLE, pad_edge=False, title=section.title or None, title_justify="left"
    )
    for column in section.columns:
        table.add_column(
            Text(column.name), justify="right" if column.numbers else "left", overflow="fold"
        )
    for row in section.rows:
        table.add_row(*map(Text, row))
    out = StringIO()
    Console(file=out, width=WIDTH, color_system=None, force_terminal=False).print(table)
    lines = (line.rstrip() for line in out.getvalue().splitlines() if line.strip())
    return "\n".join([*lines, *section.notes])
