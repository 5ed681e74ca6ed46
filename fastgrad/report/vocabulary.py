"""The words of reports (verdicts, laws, remarks, errors) and what they mean.

The texts are data beside the code that says the words; they are read without importing that.
"""

import difflib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
TEXTS = {
    "verdict": "checks/verdicts.toml",
    "law": "checks/diagnose/laws.toml",
    "remark": "checks/remarks.toml",
    "error": "errors.toml",
}
"""The file of each kind of word, in the order in which they are listed."""
NUMBERED = re.compile(r"(wrong-axis)\d+")
"""Words that bear a number, and have one text."""


@dataclass(frozen=True)
class Word:
    """One word and what it means; an ``example`` in mathematics, usual ``causes``, and ``next``."""

    word: str
    kind: str
    meaning: str
    example: str
    causes: tuple[str, ...]
    next: str
    phrases: tuple[str, ...] = ()
    """Parts of the sentence by which a remark is known; the first word that has one is its word."""


@cache
def vocabulary() -> dict[str, Word]:
    """Every word, by itself."""
    found = {}
    for kind, name in TEXTS.items():
        texts = tomllib.loads((PACKAGE / name).read_text(encoding="utf-8"))
        for word, text in texts.items():
            lists = {key: tuple(text.get(key, ())) for key in ("causes", "phrases")}
            found[word] = Word(word, kind, **{**text, **lists})
    return found


def parts(law: str) -> list[str]:
    """The words that a law is made of, as the vocabulary has them."""
    return [NUMBERED.sub(r"\1", word) for word in law.split("+")]


def look_up(word: str) -> list[Word]:
    """What a word means, or each of the words that it is made of.

    Raises
    ------
    KeyError
        There is no such word; the message has those that are nearest.

    Examples
    --------
    >>> [found.kind for found in look_up("transposed+missing-l2")]
    ['law', 'law']
    """
    known = vocabulary()
    by_name = {name.lower(): name for name in known}
    wanted = [word] if word in known else parts(word)
    missing = [part for part in wanted if part.lower() not in by_name]
    if missing:
        near = difflib.get_close_matches(missing[0].lower(), by_name, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(by_name[n] for n in near)}? " if near else ""
        raise KeyError(f"no word {missing[0]!r} here: {hint}`fastgrad explain` lists them all")
    return [known[by_name[part.lower()]] for part in wanted]


def word_of(remark: str) -> str:
    """The word of a remark; empty where it has none."""
    for word in vocabulary().values():
        if any(phrase in remark for phrase in word.phrases):
            return word.word
    return ""


def words_of(remarks: Sequence[str]) -> tuple[str, ...]:
    """The words of some remarks, in their order."""
    return tuple(map(word_of, remarks))
