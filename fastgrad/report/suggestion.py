"""What to change: an edit of the user's source, and where it was proved."""

from dataclasses import asdict, dataclass, field
from typing import Any

from fastgrad.report.document import Sentences

TITLE = "What to change:"
AGREES = "with it the whole gradient agrees"


@dataclass(frozen=True)
class Suggestion:
    """An edit after which the whole gradient agrees with the differences of the loss.

    Attributes
    ----------
    file, line : str, int
        Where its first line is.
    before, after : str
        The lines that change, as they are and as they should be.
    diff : str
        All of it, unified; applied by ``patch -p0`` or by `fastgrad.repair.write`.
    blocks : tuple of str
        The blocks that it mends.
    verified : tuple of str
        Where the gradient agrees with it.
    note : str
        What else is to be known: other ways to write it, or what it cannot tell.
    """

    file: str
    line: int
    before: str
    after: str
    diff: str
    blocks: tuple[str, ...]
    verified: tuple[str, ...]
    note: str = ""
    _texts: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)
    """Each file: its path, its text, and its text with the edit."""

    def to_dict(self) -> dict[str, Any]:
        """The suggestion as plain values."""
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}

    def __str__(self) -> str:
        return f"{self.file}:{self.line}\n{self.diff}"


@dataclass(frozen=True)
class Suggestions:
    """What a search found, best first, and what it says of itself.

    Attributes
    ----------
    found : tuple of Suggestion
    tried : int
        Edits that were tried.
    remarks : tuple of str
        What was not looked at, and why.
    """

    found: tuple[Suggestion, ...] = ()
    tried: int = 0
    remarks: tuple[str, ...] = ()

    def section(self) -> Sentences:
        """For a report: the best suggestion, or that there is none."""
        if not self.found:
            none = f"No edit was found among the {self.tried:,} tried." if self.tried else ""
            return Sentences(tuple(filter(None, (none, *self.remarks))), TITLE)
        best = self.found[0]
        proof = f"This edit mends {_listed(best.blocks)}: {AGREES} {_listed(best.verified)}."
        others = len(self.found) - 1
        more = f"{others} more {'is' if others == 1 else 'are'} in .suggestions." if others else ""
        told = (proof, best.note, more, *self.remarks)
        return Sentences(tuple(filter(None, told)), TITLE, verbatim=best.diff.rstrip())


def _listed(names: tuple[str, ...]) -> str:
    """ "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
