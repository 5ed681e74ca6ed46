"""What checks answer: a frozen value, and the documents that say it in words."""

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fastgrad.errors import GradientMismatch
from fastgrad.findings import BlockCheck, ConvergenceRow, Diagnosis, EntryCheck
from fastgrad.report.arrays import BlockArrays, Kept
from fastgrad.report.document import Column, Document, Table
from fastgrad.report.figures import figure_of, figures_of
from fastgrad.report.figures import steps as steps_figure
from fastgrad.report.notebook import fragment_of
from fastgrad.report.suggestion import Suggestion, Suggestions
from fastgrad.report.words import cases_of, facts_of, headline, one_line, sections_of

SCHEMA = "fastgrad/gradient-check/1"
"""Name and version of `GradientCheck.to_dict`; the version changes when a field does."""
ENTRIES_SHOWN = 10
PATIENCE = 10.0
"""Seconds that a page may take to measure the error against the step."""
STEPS_COST = 18
"""Evaluations of that: two at each of nine steps."""


@dataclass(frozen=True)
class Convergence:
    """Errors against steps, and what they say. Iterates over its rows."""

    rows: tuple[ConvergenceRow, ...]
    summary: str

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, k: int) -> ConvergenceRow:
        return self.rows[k]

    def _repr_html_(self) -> str | None:
        return fragment_of(
            replace(self.document(), figures=(steps_figure(self.rows, self.summary),))
        )

    def document(self) -> Document:
        """The table of errors against steps."""
        columns = *(Column(name, True) for name in ("step", "error", "ratio")), Column("reading")
        rows = tuple(
            (f"{row.step:.0e}", f"{row.error:.2e}", f"{row.ratio:.3g}", row.reading)
            for row in self.rows
        )
        return Document(self.summary, (Table(columns, rows),))

    def __str__(self) -> str:
        from fastgrad.report.text import as_text

        return as_text(self.document())


@dataclass(frozen=True)
class GradientCheck:
    """The answer of `check_grad`; true only when the verdict is "agrees".

    ``blocks`` are in theta's order; ``entries`` are all that do not plainly agree, worst first (at
    most 1,000), or, when all do, the ten that came closest. ``relative_error`` is the classical
    ``||a - D|| / (||a|| + ||D||)``, ``noise`` the standard deviation of one evaluation, ``seconds``
    the time spent. With ``points`` the top level is the worst of them, with the evaluations and
    seconds of all.
    """

    verdict: str
    strategy: str
    blocks: tuple[BlockCheck, ...]
    entries: tuple[EntryCheck, ...]
    diagnoses: tuple[Diagnosis, ...]
    relative_error: float
    noise: float
    evaluations: int
    seconds: float
    seed: int
    rtol: float
    size: int
    checked: int
    counts: dict[str, int]
    """Number of entries by verdict."""
    remarks: tuple[str, ...] = ()
    agreements: dict[str, int] = field(default_factory=dict)
    """Those that agree: how many `BAR`, how many `RTOL` alone."""
    label: str = ""
    points: tuple["GradientCheck", ...] = ()
    smallest_rtol: float | None = None
    """At which the gradient would agree; None where no rtol below 1 would do, or not every entry was
    judged."""
    over_seeds: dict[str, Any] | None = None
    """What ``seeds`` told: their number, the probability of a false alarm, and, by block, the mean
    relative bias, its standard error, and the seeds that would show a bias of one per cent."""
    in_noise: dict[str, Any] | None = None
    """What the screen of a rough loss would have missed: by block, a factor ("along", less one) and an
    error of any shape ("any_shape", over the norm of the block's gradient); of all, "whole_along" and
    "whole_any_shape"; the probability of missing it, and the evaluations that halve these limits. Where
    a sweep was followed by a screen of what it left open: how many ("open"), and within what part of its
    size or its block's rms each of them is ("each"), and half of them ("half")."""
    ran: str = field(default="", compare=False)
    """A sentence: where the loss ran, on how many threads, why not more; time compiling and running."""
    subject: str = "gradient"
    """What was checked: "gradient", "vjp", "jvp", "Jacobian", "Hessian" or "hvp"."""
    _convergence: Callable[[], Convergence] | None = field(default=None, repr=False, compare=False)
    _kept: Kept | None = field(default=None, repr=False, compare=False)
    _suggest: Callable[[frozenset[str], float], Suggestions] | None = field(
        default=None, repr=False, compare=False
    )
    _suggested: Suggestions | None = field(default=None, repr=False, compare=False)
    """What `suggest` found, once it was asked."""

    def __bool__(self) -> bool:
        return self.verdict == "agrees"

    def __repr__(self) -> str:
        return one_line(self)

    def __str__(self) -> str:
        from fastgrad.report.text import as_text

        return as_text(self.document())

    def document(self, entries: int = ENTRIES_SHOWN) -> Document:
        """The report in words, as plain values for any renderer, with so many entries.

        Its sections are, where there is something to say: the points, the blocks, why, the worst
        entries, remarks.
        """
        sections = tuple(sections_of(self, entries))
        return Document(headline(self), sections, self.verdict, cases_of(self), self.seconds)

    def page(self, entries: int = ENTRIES_SHOWN) -> Document:
        """`document` with its figures, how it was found, and everything as JSON.

        The error against the step is measured here, in some 20 evaluations, if the report still has
        its loss and these take less than `PATIENCE`.
        """
        figures = tuple(figures_of(self))
        each = self.seconds / max(self.evaluations, 1)
        if self._convergence is not None and each * STEPS_COST <= PATIENCE:
            # Whatever the loss does a step of 0.1 away, there is a page.
            with contextlib.suppress(Exception):
                found = self.convergence()
                figures += (steps_figure(found.rows, found.summary),)
        document = self.document(entries)
        return replace(document, figures=figures, facts=facts_of(self), data=self.to_json())

    def to_html(self, path: str | os.PathLike[str] | None = None, title: str = "") -> str:
        """The report as one page of HTML, written to a file if there is a path.

        Nothing in it runs, and nothing is loaded from elsewhere. It needs ``fastgrad[report]``.
        """
        from fastgrad.report.html import page

        text = page([(title or "Gradient check", self.page())])
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def _repr_html_(self) -> str | None:
        return fragment_of(replace(self.document(), figures=tuple(figures_of(self))))

    def plot(self, kind: str, block: str | None = None, ax: Any = None) -> Any:
        """Draw a figure of the report, and return its axes. It needs ``fastgrad[report]``.

        Parameters
        ----------
        kind : {"blocks", "residual", "scatter", "steps", "directions"}
            Relative errors of all blocks; where a block is off; its analytic gradient against the
            numerical one; the error against the step; the random directions of a screen.
        block : str, optional
            Which block; by default the first that disagrees, or the first.
        ax : matplotlib Axes, optional
            Where to draw; by default new axes of pyplot.
        """
        from fastgrad.report.plots import draw

        return draw(figure_of(self, kind, block), ax)

    @property
    def readings(self) -> tuple[tuple[str, float, float], ...]:
        """The directions of a screen: through what, the error seen along it, and its bar."""
        return () if self._kept is None else self._kept.readings

    @property
    def has_arrays(self) -> bool:
        """Whether `arrays` has something: not where nothing was checked entry by entry."""
        return self._kept is not None and self._kept.indices.size > 0

    def arrays(self, block: str | None = None) -> BlockArrays:
        """The arrays that a block was judged by, in its shape; NaN where it was not checked.

        Parameters
        ----------
        block : str, optional
            Its name; may be left out where there is only one.

        Raises
        ------
        ValueError
            There is no such block, or the report has no arrays.
        """
        if self._kept is None:
            raise ValueError("this report has no arrays: expected one that check_grad returned")
        return self._kept.block(block)

    def raise_if_wrong(self) -> None:
        """Raise `GradientMismatch`, with the whole report, unless the verdict is "agrees"."""
        if not self:
            raise GradientMismatch(str(self))

    def convergence(self) -> Convergence:
        """Errors of central differences against the step, along the direction that errs most.

        The table that textbooks make by hand: a step 10 times smaller makes the error 100 times
        smaller (truncation, the gradient is right there), leaves it as it is (the gradient is
        wrong), or makes it larger (noise). It evaluates the loss some 20 times.

        Raises
        ------
        ValueError
            For a report that was restored without its loss.
        """
        if self._convergence is None:
            raise ValueError(
                "this report no longer has its loss (it was unpickled or copied without it): run "
                "check_grad again for the table"
            )
        return self._convergence()

    def suggest(self, seconds: float = 20.0) -> list[Suggestion]:
        """Edits of the gradient's own source after which it agrees, the simplest first.

        Small edits are tried in a child process, on copies: nothing of yours is changed, no file is
        written. One is shown only if with it the whole gradient agrees by the rules of this check,
        at theta, at two random points, and with a part of the batch. The report then ends with the
        best one, or says that none was found among how many.

        Raises
        ------
        ValueError
            For a report that was restored without its gradient.
        """
        if self._suggest is None:
            raise ValueError(
                "this report no longer has its gradient (it was unpickled or copied without it): "
                "run check again for suggestions"
            )
        laws = frozenset(word for why in self.diagnoses for word in why.law.split("+"))
        found = self._suggest(laws, seconds)
        object.__setattr__(self, "_suggested", found)
        return list(found.found)

    @property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """What `suggest` found; empty before it was called."""
        return () if self._suggested is None else self._suggested.found

    def to_dict(self) -> dict[str, Any]:
        """The report as plain dicts, lists, strings and numbers, under ``"schema"``.

        Keys are the field names of `GradientCheck`, `BlockCheck`, `EntryCheck` and `Diagnosis`;
        ``"suggestions"`` is there once `suggest` was called.
        """
        fields = asdict(self, dict_factory=_plain)
        if self._suggested is not None:
            fields["suggestions"] = [found.to_dict() for found in self._suggested.found]
        return {"schema": SCHEMA, **fields}

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON; numbers that are not finite become null."""
        return json.dumps(_finite(self.to_dict()), indent=indent, allow_nan=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_convergence": None, "_suggest": None}


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields of a report; not where the loss ran, which the same seed does not give again."""
    return {name: value for name, value in items if not name.startswith("_") and name != "ran"}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
