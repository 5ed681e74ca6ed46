"""Edits of a source: spans of text and what stands there instead.

Parentheses that an operator adds to be safe are marked, `OPEN` and `CLOSE`; those that the meaning
does not need are taken out of what is shown.
"""

import ast
from dataclasses import dataclass

from fastgrad.repair.source import Unit, Version, parsed

OPEN, CLOSE = "\ue000", "\ue001"
_PLAIN = str.maketrans({OPEN: "(", CLOSE: ")"})
SIMPLE = str.isidentifier


def grouped(text: str) -> str:
    """A text that stands for one operand wherever it is put."""
    return text if SIMPLE(text) else f"{OPEN}{text}{CLOSE}"


def plain(text: str) -> str:
    """The text as Python reads it."""
    return text.translate(_PLAIN)


@dataclass(frozen=True)
class Edit:
    """A change of one version.

    Parameters
    ----------
    unit : Unit
    spans : tuple of (int, int, str)
        Where, in the version's text, and what stands there instead; increasing, none overlap.
    node : int
        Position in ``version.nodes`` of the one expression that it replaces; -1 where it is more.
    operator : str
        The name of what made it.
    cost : float
        How far it is from what was written: what is tried first, and shown first.
    """

    unit: Unit
    spans: tuple[tuple[int, int, str], ...]
    node: int
    operator: str
    cost: float

    def applied(self, text: str) -> str:
        """The text with the change, its parentheses marked."""
        for start, stop, new in reversed(self.spans):
            text = text[:start] + new + text[stop:]
        return text

    def version(self, before: Version) -> Version:
        """The version with the change."""
        return Version(self.unit, plain(self.applied(before.text)))

    def _with_freed(self, before: Version) -> "Edit":
        """The same where the parentheses of what has become one name go with it."""
        spans = []
        for start, stop, new in self.spans:
            around = before.text[start - 1 : start] + before.text[stop : stop + 1]
            is_one = _is_one(plain(new))
            if around == "()" and is_one and not _is_one(before.text[start:stop]):
                spans.append((start - 1, stop + 1, f"{OPEN}{new}{CLOSE}"))
            else:
                spans.append((start, stop, new))
        return Edit(self.unit, tuple(spans), self.node, self.operator, self.cost)

    def tidy(self, before: Version) -> Version:
        """The same without parentheses that its meaning does not need."""
        marked = self._with_freed(before).applied(before.text)
        meaning = ast.dump(parsed(self.unit, plain(marked)))
        for pair in _pairs(marked):
            without = "".join("\ue002" if k in pair else c for k, c in enumerate(marked))
            try:
                if ast.dump(parsed(self.unit, plain(without.replace("\ue002", "")))) == meaning:
                    marked = without
            except SyntaxError:
                continue
        return Version(self.unit, plain(marked.replace("\ue002", "")))


def _is_one(text: str) -> bool:
    """Whether it is a name, a number, an attribute, an item or a call, in parentheses or not."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return False
    return isinstance(node, ast.Name | ast.Constant | ast.Attribute | ast.Subscript | ast.Call)


def _pairs(text: str) -> list[tuple[int, int]]:
    """Positions of marked parentheses, outer ones first."""
    opened: list[int] = []
    found: list[tuple[int, int]] = []
    for k, c in enumerate(text):
        if c == OPEN:
            opened.append(k)
        elif c == CLOSE:
            found.append((opened.pop(), k))
    return sorted(found)
