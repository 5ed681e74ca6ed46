"""``fastgrad explain``: what a word of a report means, in a screen."""

import textwrap
from collections.abc import Iterator

from fastgrad.report.vocabulary import TEXTS, Word, look_up, vocabulary

WIDTH = 88


def explained(word: str) -> str:
    """What a word means, an example, its usual causes, and what to do next.

    Raises
    ------
    KeyError
        There is no such word; the message has those that are nearest.
    """
    return "\n\n".join("\n".join(_lines(found)) for found in look_up(word))


def listed() -> str:
    """Every word, kind by kind."""
    lines = []
    for kind in TEXTS:
        lines.append(f"{kind}s".capitalize())
        for word in vocabulary().values():
            if word.kind == kind:
                said = textwrap.shorten(word.meaning, WIDTH - 28, placeholder=" ...")
                lines.append(f"  {word.word:<26}{said}")
        lines.append("")
    return "\n".join([*lines, "fastgrad explain WORD says more."])


def _lines(word: Word) -> Iterator[str]:
    yield f"{word.word} ({word.kind})"
    yield ""
    yield from textwrap.wrap(word.meaning, WIDTH)
    yield ""
    yield from _under("Example", word.example)
    yield "Usual causes"
    for cause in word.causes:
        yield from textwrap.wrap(cause, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    yield from _under("Next", word.next)


def _under(title: str, text: str) -> Iterator[str]:
    yield title
    yield from textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")
