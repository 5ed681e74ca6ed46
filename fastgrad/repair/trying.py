"""Jobs of a child process: a version observed, edits tried, gradients taken where they are proved."""

import ast
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher

from fastgrad.arrays import Floats
from fastgrad.repair.edits import Edit, plain
from fastgrad.repair.observe import Observed, observe
from fastgrad.repair.of_loss import NOTHING, OfLoss
from fastgrad.repair.reach import Reached
from fastgrad.repair.score import Score, Target
from fastgrad.repair.source import Unit, Version, compiled, parsed
from fastgrad.repair.trial import Callee, Spot, Stage, protect

ELSEWHERE = 0.9
"""A point somewhat nearer to 1 in every entry."""
REPEATS = 1e-9
"""The part of the largest entry to which a gradient repeats itself: threads may sum in another order."""
CHOICE = "__fastgrad_choice__"
Versions = Mapping[Unit, Version]


@dataclass(frozen=True)
class Subject:
    """What is edited, where it is asked, and what it is compared with."""

    gradient: Callee
    reached: Reached
    spot: Spot
    target: Target
    loss: Callee
    shared: frozenset[Unit] = frozenset()
    """Units that the loss runs too: their edits must leave it as it is."""
    said: OfLoss = NOTHING
    """What the loss's source has."""

    def ask_elsewhere(self) -> None:
        """Let the loss leave behind what it may keep of a point that is not the one compared.

        Compiled code keeps nothing.
        """
        if isinstance(self.loss.function, CPUDispatcher):
            return
        with suppress(Exception):  # it may not be defined there
            self.loss.call(replace(self.spot, flat=ELSEWHERE * self.spot.flat + 1 - ELSEWHERE))


@dataclass(frozen=True)
class Sight:
    """What a version showed: by the units' order in ``reached.units``."""

    observed: tuple[Observed, ...]
    score: Score
    seconds: float
    """What one call takes, with compiled functions run as Python."""


class Observing:
    """The job ``versions -> Sight``; the versions by the units' order."""

    def __init__(self, subject: Subject):
        self.subject = subject

    def __call__(self, versions: Sequence[Version]) -> Sight:
        subject = self.subject
        protect(subject.spot.args)
        stage = Stage(subject.gradient, subject.reached)
        stage.put({version.unit: version for version in versions})
        start = time.perf_counter()
        score = subject.target.score(stage.values(subject.spot))
        seconds = time.perf_counter() - start
        stops = subject.gradient.layout.stops
        named = {version.unit: version for version in versions}
        texts = (*subject.said.expressions, *subject.said.penalties)
        found = observe(named, lambda: stage.values(subject.spot), stops, texts)
        return Sight(tuple(found[version.unit] for version in versions), score, seconds)


class Trying:
    """The job ``edit -> Score or None``, of edits of some versions.

    Compiling a function anew for every edit of one expression would cost more than running it. So
    the function is compiled once with a choice in the expression's place, and then the expression.
    """

    def __init__(self, subject: Subject, versions: Versions):
        self.subject = subject
        self.versions = versions
        self._stage: Stage | None = None
        self._codes: dict[tuple[Unit, int], CodeType | None] = {}
        self._chosen: Any = None

    def __call__(self, edit: Edit) -> Score | None:
        stage = self._staged()
        before = self.versions[edit.unit]
        choice = self._choice(edit, before)
        for function in edit.unit.functions:
            function.__code__ = choice or edit.version(before).compiled()
        try:
            try:
                values = stage.values(self.subject.spot)
            except NameError:
                if choice is None:
                    raise
                stage.put({edit.unit: edit.version(before)})  # a name that only the whole can see
                values = stage.values(self.subject.spot)
            score = self.subject.target.score(values)
            if all(score.right):  # twice, and wherever the loss was asked last: it may keep state
                self.subject.ask_elsewhere()
                score = self.subject.target.score(stage.values(self.subject.spot))
            return score
        finally:
            for function in edit.unit.functions:
                function.__code__ = self._original(edit.unit)

    def _staged(self) -> Stage:
        if self._stage is None:
            protect(self.subject.spot.args)
            self._stage = Stage(self.subject.gradient, self.subject.reached)
            self._stage.put(self.versions)
            self._before = {unit: unit.code for unit in self.versions}
        return self._stage

    def _original(self, unit: Unit) -> CodeType:
        return self._before[unit]

    def _choice(self, edit: Edit, before: Version) -> CodeType | None:
        """The unit's code with a choice where the edit is, which chooses the edit."""
        if edit.node < 0 or len(edit.spans) > 1:
            return None
        key = edit.unit, edit.node
        if key not in self._codes:
            self._codes[key] = with_choice(before, edit.node)
        code = self._codes[key]
        if code is None:
            return None
        text = plain(edit.spans[0][2])
        new = ast.parse(f"({text})", mode="eval")
        if any(isinstance(node, _OWN_SCOPE) for node in ast.walk(new)):
            return None
        names = edit.unit.functions[0].__globals__
        expression = compile(new, "<edit>", "eval")
        names[CHOICE] = lambda here: eval(expression, names, here)
        return code


_OWN_SCOPE = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda


def with_choice(version: Version, position: int) -> CodeType | None:
    """The code of a version that asks `CHOICE` for the value of one expression."""
    tree = parsed(version.unit, version.text)
    nodes = list(ast.walk(tree))
    wanted = nodes[position]
    parents = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
    above = wanted
    while (above := parents.get(above)) is not None and above is not tree:  # type: ignore[assignment]
        if isinstance(above, _OWN_SCOPE):
            return None
    here = ast.Call(ast.Name("locals", ast.Load()), [], [])
    asked = ast.fix_missing_locations(ast.Call(ast.Name(CHOICE, ast.Load()), [here], []))
    parent = parents[wanted]
    for name, value in ast.iter_fields(parent):
        if value is wanted:
            setattr(parent, name, asked)
        elif isinstance(value, list):
            value[:] = [asked if item is wanted else item for item in value]
    return compiled(version.unit, tree)


class Asking:
    """The job ``versions -> values at every spot``; None for a spot where the gradient raises."""

    def __init__(self, subject: Subject, spots: Sequence[Spot], compiled: bool):
        self.subject = subject
        self.spots = spots
        self.compiled = compiled

    def __call__(self, versions: Sequence[Version]) -> list[Floats | None]:
        for spot in self.spots:
            protect(spot.args)
        subject = self.subject
        edited = {v.unit for v in versions if v.text != v.unit.original.text}
        of_loss = edited & subject.shared
        before = [self._loss(spot) for spot in self.spots] if of_loss else []
        stage = Stage(subject.gradient, subject.reached, self.compiled)
        stage.put({version.unit: version for version in versions})
        if of_loss and [self._loss(spot) for spot in self.spots] != before:
            raise ValueError("the loss has changed")
        found: list[Floats | None] = []
        for spot in self.spots:
            try:
                found.append(np.asarray(stage.values(spot)))
            except Exception:
                found.append(None)
        subject.ask_elsewhere()
        if found[0] is not None:
            again = np.asarray(stage.values(self.spots[0]))
            size = float(np.abs(found[0]).max(initial=0.0))
            if not np.allclose(again, found[0], REPEATS, REPEATS * size, equal_nan=True):
                raise ValueError("the gradient is another one when it is asked again")
        return found

    def _loss(self, spot: Spot) -> float:
        """The loss, run as Python."""
        loss = self.subject.loss
        return float(loss.call(spot, getattr(loss.function, "py_func", loss.function)))
