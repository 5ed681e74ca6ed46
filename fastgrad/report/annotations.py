"""A document as an annotation of a pull request: a workflow command of GitHub on one line."""

import os
from pathlib import Path

from fastgrad.report.document import Document, Sentences
from fastgrad.report.escape import visible, workflow_property, workflow_value

LEVELS = {"disagrees": "error", "inconclusive": "warning"}
"""How loud a verdict is; what agrees is not annotated."""


def annotation(document: Document, title: str, source: tuple[str, int] | None) -> str:
    """The command that marks the line of a gradient function; empty for a gradient that is right.

    Parameters
    ----------
    title : str
        What was checked.
    source : (str, int) or None
        File and line to mark.
    """
    if document.verdict not in LEVELS:
        return ""
    why = [
        sentence
        for section in document.sections
        if isinstance(section, Sentences) and section.title == "Why:"
        for sentence in section.sentences
    ]
    edits = [
        f"{section.title}\n{section.verbatim}"
        for section in document.sections
        if isinstance(section, Sentences) and section.verbatim
    ]
    said = "\n".join([document.headline, *why, *edits])
    return command(LEVELS[document.verdict], said, title, source)


def command(level: str, message: str, title: str, source: tuple[str, int] | None = None) -> str:
    """One workflow command."""
    properties = {"title": f"fastgrad: {title}"}
    if source is not None:
        properties = {"file": _relative(source[0]), "line": str(source[1]), **properties}
    said = ",".join(f"{key}={workflow_property(visible(v))}" for key, v in properties.items())
    lines = map(visible, message.split("\n"))
    return f"::{level} {said}::{workflow_value(chr(10).join(lines))}"


def _relative(file: str) -> str:
    """The path that the repository has, where the command runs in its root."""
    inside = Path(file).resolve().is_relative_to(Path.cwd())
    return Path(os.path.relpath(file)).as_posix() if inside else file
