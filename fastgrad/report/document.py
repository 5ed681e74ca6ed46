"""A report as plain values: a headline, and sections that are lists of sentences or tables.

Results make their own document, where the facts are; what writes one as text, or in any other form,
knows this file alone.
"""

from dataclasses import dataclass
from typing import NamedTuple

from fastgrad.report.figures import Figure


class Column(NamedTuple):
    """A column of a table: of words, of numbers, which stand to the right, or of names, which are
    shown whole."""

    name: str
    numbers: bool = False
    names: bool = False


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
    """Sentences under a title, each one point of a list; ``words`` are what to look them up by."""

    sentences: tuple[str, ...]
    title: str = ""
    words: tuple[str, ...] = ()
    """One a sentence, or none at all; empty for a sentence without."""
    verbatim: str = ""
    """Lines below the first sentence that are code, or a difference of texts."""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each sentence with its word."""
        return list(zip(self.sentences, self.words or ("",) * len(self.sentences), strict=True))


class Case(NamedTuple):
    """What is said of one part that can fail by itself, a block as a rule."""

    name: str
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Document:
    """What is said first, in one sentence, and what stands below it, in order.

    Parameters
    ----------
    headline : str
    sections : tuple of Sentences and Table
    verdict : str
        "agrees", "disagrees" or "inconclusive"; empty where nothing is judged.
    cases : tuple of Case
        The verdict by parts; one of them has the verdict of the whole.
    seconds : float
        What it took to find out.
    figures : tuple of Figure
        What can be drawn; text leaves it out.
    facts : tuple of (str, str)
        How it was found, by name.
    data : str
        Everything, as JSON.
    """

    headline: str
    sections: tuple[Sentences | Table, ...]
    verdict: str = ""
    cases: tuple[Case, ...] = ()
    seconds: float = 0.0
    figures: tuple[Figure, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    data: str = ""
