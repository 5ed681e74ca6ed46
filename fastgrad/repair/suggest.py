"""report.suggest: from a report that disagrees to the edits that make the gradient right."""

import difflib
import os
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule
from fastgrad.differences.loss import Loss
from fastgrad.parameters.arguments import Argnum
from fastgrad.repair.of_loss import OfLoss, of_the_loss
from fastgrad.repair.proof import Proof, Proved, Recheck
from fastgrad.repair.reach import Reached, reached
from fastgrad.repair.sandbox import available
from fastgrad.repair.score import Target
from fastgrad.repair.search import Search
from fastgrad.repair.source import Unit, Version
from fastgrad.repair.trial import Callee, Spot
from fastgrad.repair.trying import Subject
from fastgrad.report.suggestion import Suggestion, Suggestions

SEARCHING = 0.8
"""Part of the time that the search may take; the rest is for the proof."""
CONTEXT = 3
"""Lines around a change in a diff."""


@dataclass(frozen=True)
class Suspect:
    """A gradient that was judged, and what it was judged by.

    Parameters
    ----------
    functions : (callable, callable)
        The loss and the gradient.
    theta : structure
    arguments : (int or tuple of int, tuple)
        The position of theta among all arguments, and the others.
    judged : (Loss, Claim, Outcome, Rule)
    recheck : callable
        ``recheck(gradient, theta, args)``: the same check somewhere else.
    """

    functions: tuple[Any, Any]
    theta: Any
    arguments: tuple[Argnum, tuple[Any, ...]]
    judged: tuple[Loss, Claim, Outcome, Rule]
    recheck: Recheck


def suggest(suspect: Suspect, laws: frozenset[str], seconds: float) -> Suggestions:
    """Edits of the gradient's source that make it right, each proved.

    Parameters
    ----------
    laws : frozenset of str
        The laws of the error that a diagnosis found.
    seconds : float
    """
    began = time.perf_counter()
    loss, claim, outcome, rule = suspect.judged
    _, function = suspect.functions
    refusal = _refusal(function, outcome)
    if refusal:
        return Suggestions(remarks=(refusal,))
    argnum, args = suspect.arguments
    gradient = Callee(function, loss.layout, argnum)
    spot = Spot(loss.theta, args)
    gradient.values(spot)  # what is compiled is compiled now
    start = time.perf_counter()
    found = reached(function, lambda: gradient.values(spot))
    one_call = time.perf_counter() - start
    if not found.units:
        return Suggestions(remarks=found.refused or ("The gradient runs no source of yours.",))
    target = Target.of(outcome, claim.values, loss.layout, rule)
    of_loss = Callee(suspect.functions[0], loss.layout, argnum)
    shared, said = _read(found, of_loss, spot)
    subject = Subject(gradient, found, spot, target, of_loss, shared, said)
    search = Search(subject, laws, began + SEARCHING * seconds, one_call, _workers())
    proof = Proof(subject, suspect.theta, suspect.recheck, began + seconds, one_call)
    proved: list[Proved] = []
    for states in search.run():
        proof.one_call = search.one_call
        proved = proof.proved(states)
        if proved:
            break
    names = [block.name for block in loss.layout.blocks]
    blocks = tuple(name for name, wrong in zip(names, target.wrong, strict=True) if wrong)
    remarks = (*filter(None, (_either(laws, all(target.wrong)),)), *found.refused)
    return Suggestions(tuple(_suggestion(one, blocks) for one in proved), search.tried, remarks)


TOO_MUCH, TOO_LITTLE = {"extra-l2", "extra-l1"}, {"missing-l2", "missing-l1"}
"""Laws of a penalty that the gradient has and the loss has not, and the other way round."""


def _either(laws: frozenset[str], everywhere: bool) -> str:
    """What is said where the loss may be what is to be changed, or "".

    Parameters
    ----------
    everywhere : bool
        Whether every block is wrong.
    """
    if laws and laws <= TOO_MUCH:
        what, instead = "a penalty", "If it is to be there, add it to the loss instead."
    elif laws and laws <= TOO_LITTLE:
        what, instead = "a penalty", "If it is not to be there, take it out of the loss instead."
    elif everywhere and laws == {"scale"}:
        what, instead = (
            "a factor",
            "If the loss is to be a mean, or a sum, change the loss instead.",
        )
    else:
        return ""
    return f"The loss and the gradient differ by {what}, and either may be meant. {instead}"


def _refusal(function: Any, outcome: Outcome) -> str:
    """Why nothing can be suggested, or ""."""
    if outcome.verdict != "disagrees" or outcome.judged is None:
        return "There is nothing to mend: the gradient was not shown to be wrong."
    if not callable(function):
        return "The gradient was given as values: pass the function that computes them."
    if not available():
        return "Edits are tried in a child process, which this system cannot fork."
    return ""


def _read(found: Reached, loss: Callee, spot: Spot) -> tuple[frozenset[Unit], OfLoss]:
    """The units that the loss runs too, and what its source has."""
    try:
        of_loss = reached(loss.function, lambda: loss.call(spot))
    except Exception:
        of_loss = reached(loss.function, lambda: None)
    codes = {unit.code for unit in of_loss.units}
    shared = frozenset(unit for unit in found.units if unit.code in codes)
    return shared, of_the_loss(of_loss.units, found.units)


def _workers() -> int:
    return min(2, os.cpu_count() or 1)


def _suggestion(proved: Proved, blocks: tuple[str, ...]) -> Suggestion:
    """The suggestion that a proved state is."""
    files: dict[str, list[Version]] = {}
    for version in proved.state.versions:
        if version.text != version.unit.original.text:
            files.setdefault(version.unit.path, []).append(version)
    texts = tuple(
        (path, versions[0].unit.file, _edited(versions)) for path, versions in files.items()
    )
    changes = [_change(*text) for text in texts]
    count = proved.equivalent
    note = (
        f"{count} other {'edit gives' if count == 1 else 'edits give'} the same gradient."
        if count
        else ""
    )
    first = changes[0]
    return Suggestion(
        file=_shown(texts[0][0]),
        line=first.line,
        before=first.before,
        after=first.after,
        diff="".join(change.diff for change in changes),
        blocks=blocks,
        verified=proved.verified,
        note=note,
        _texts=texts,
    )


def _edited(versions: list[Version]) -> str:
    """The text of a file with the versions of its functions."""
    text = versions[0].unit.file
    for version in sorted(versions, key=lambda v: -v.unit.start):
        text = text[: version.unit.start] + version.text + text[version.unit.stop :]
    return text


class _Change(NamedTuple):
    """What changes in one file: from which line on, the lines before and after, and all as a diff."""

    line: int
    before: str
    after: str
    diff: str


def _change(path: str, old: str, new: str) -> _Change:
    a, b = old.splitlines(keepends=True), new.splitlines(keepends=True)
    shown = _shown(path)
    diff = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(a, b, shown, shown, n=CONTEXT)
    )
    changes = [c for c in difflib.SequenceMatcher(None, a, b).get_opcodes() if c[0] != "equal"]
    before = "".join(line for _, i, j, _, _ in changes for line in a[i:j])
    after = "".join(line for _, _, _, i, j in changes for line in b[i:j])
    return _Change(changes[0][1] + 1, before.rstrip("\n"), after.rstrip("\n"), diff)


def _shown(path: str) -> str:
    """A path as one types it from here."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
