"""One checker before one exhibit: what it said, and whether that was well said."""

from typing import Any, NamedTuple

LOCATES = frozenset(
    {"unexplained", "wrong-entries", "wrong-row", "wrong-column", "wrong-axis", "wrong-range"}
)
"""Words that say where and not why; where a bug lists one, it is its cause all the same."""


class Visit(NamedTuple):
    """The answer of a checker to one exhibit.

    ``where`` is "all", "some" or "others" of the wrong entries, or "" where none was named.
    """

    name: str
    kind: str
    is_bug: bool
    passes: bool | None
    where: str
    laws: tuple[str, ...]
    causes: tuple[str, ...]
    seconds: float

    @property
    def is_well(self) -> bool | None:
        """A bug was called wrong, or a right gradient right; None where it cannot tell."""
        return None if self.passes is None else self.passes is not self.is_bug

    @property
    def names_cause(self) -> bool:
        """One of the laws named is the cause."""
        return bool(set(self.laws) & set(self.causes))

    @property
    def names_another(self) -> bool:
        """A law is named that is not the cause."""
        return self.is_bug and bool(set(self.laws) - set(self.causes) - LOCATES)

    def row(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**self._asdict(), "laws": list(self.laws), "causes": list(self.causes)}


def where_of(blamed: frozenset[int] | None, off: frozenset[int]) -> str:
    """How the entries that were named compare with those that are wrong.

    A gradient that keeps state is right when it is fresh: there it has no place.
    """
    if not blamed or not off:
        return ""
    return "others" if blamed - off else "all" if blamed == off else "some"
