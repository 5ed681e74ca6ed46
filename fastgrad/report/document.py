"""A report as plain values: a headline, and sections that are lists of sentences or tables.

Results make their own document, where the facts are; what writes one as text, or in any other form,
knows this file alone.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Column(NamedTuple):
    """A column of a table: of words, or of numbers, which stand to the right."""

    name: str
    numbers: bool = False


@dataclass(frozen=True)
class Table:
    """Cells as they are to be read, under named columns.

    Parameters
    ----------
    columns : tuple of Column
    rows : tuple of tuple of str
        One cell a column.
    title : str
    notes : tuple of str
        What stands below the table.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sentences:
    """Sentences under a title, each one point of a list."""

    sentences: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True)
class Document:
    """What is said first, in one sentence, and what stands below it, in order."""

    headline: str
    sections: tuple[Sentences | Table, ...]
