"""Names that users give are data: how text that holds them is made safe for each output."""

import unicodedata

UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of what moves a cursor, turns the direction of text or takes no room:
controls, formats (joiners, directions), surrogates, separators of lines and paragraphs."""


def visible(text: str) -> str:
    r"""The text with every character that is not seen written as in Python source.

    Examples
    --------
    >>> print(visible("layer\x1b[2J\u202e1"))
    layer\x1b[2J\u202e1
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in UNSEEN else c for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def workflow_value(text: str) -> str:
    """What follows ``::`` in a workflow command of GitHub."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def workflow_property(text: str) -> str:
    """A property of a workflow command, which also ends at a colon or a comma."""
    return workflow_value(text).replace(":", "%3A").replace(",", "%2C")
