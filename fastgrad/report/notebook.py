"""A document as a notebook shows it."""

from fastgrad.report.document import Document


def fragment_of(document: Document) -> str | None:
    """The document for a notebook; None where the extra that makes HTML is not installed."""
    try:
        from fastgrad.report.html import fragment

        return fragment(document)
    except ModuleNotFoundError:
        return None
