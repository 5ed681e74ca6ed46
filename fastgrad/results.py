"""What fastgrad answers: frozen values, and the documents that say them in words."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fastgrad.errors import GradientMismatch
from fastgrad.numerics.norms import rms
from fastgrad.parameters.layout import flatten
from fastgrad.report.arrays import BlockArrays, Kept
from fastgrad.report.document import Case, Column, Document, Sentences, Table
from fastgrad.report.escape import visible
from fastgrad.report.figures import figure_of, figures_of
from fastgrad.report.figures import steps as steps_figure
from fastgrad.report.suggestion import Suggestion, Suggestions
from fastgrad.report.vocabulary import words_of
from fastgrad.version import __version__

SCHEMA = "fastgrad/gradient-check/1"
"""Name and version of `GradientCheck.to_dict`; the version changes when a field does."""
ENTRIES_SHOWN = 10
BLOCKS_NAMED = 5
STATES = ("stale", "accumulates", "random")
"""Laws of a gradient whose answers at one theta differ: said before all else."""
UNSEEN = ("budget", "cost", "detection-limit", "directions", "not-checked")
"""Words of remarks that say what was not looked at."""
UNSEEN_TITLE = "What was not looked at:"
SUBJECT = "The gradient "
"""What their sentences begin with."""
BAR, RTOL = "within its bar", "within rtol"
"""How an entry agrees."""
LINE_LIMIT = 200
"""Longest `repr`, so that a failed ``assert check_grad(...)`` reads well."""


@dataclass(frozen=True)
class GradientEstimate:
    """A numerical gradient with its error bars.

    ``gradient``, ``error`` and ``step`` are shaped like theta: the difference quotients, bounds on
    their absolute errors, and the steps really taken (the shortest, where several were). ``value``
    is the loss, ``noise`` the standard deviation of one of its evaluations, ``evaluations`` how
    many were made.
    """

    gradient: Any
    error: Any
    step: Any
    value: float
    noise: float
    evaluations: int

    def _repr_html_(self) -> str | None:
        return _fragment(self.document())

    def document(self) -> Document:
        """The blocks of the gradient, with their sizes and widest bars."""
        layout, gradient = flatten(self.gradient)
        _, error = flatten(self.error)
        numbers = "shape", "rms", "largest error bar"
        columns = (Column("block", names=True), *(Column(name, True) for name in numbers))
        rows = []
        for block in layout.blocks:
            inside = slice(block.start, block.stop)
            size, bar = gradient[inside], error[inside].max(initial=0.0)
            rows.append((block.name, _shape(block.shape), f"{rms(size):.6g}", f"{bar:.1e}"))
        said = (
            f"The gradient of {layout.size:,} parameters at a loss of {self.value:.9g}, from "
            f"{self.evaluations:,} evaluations, each noisy by {self.noise:.1e}."
        )
        return Document(said, (Table(columns, tuple(rows)),))


@dataclass(frozen=True)
class JacobianEstimate:
    """A numerical Jacobian with its error bars.

    ``jacobian`` and ``error`` are shaped outputs x inputs (structures of outputs, of structures of
    inputs; sparse where a pattern was given), ``value`` like the outputs; ``noise`` is the standard
    deviation of one evaluation of the noisiest output.
    """

    jacobian: Any
    error: Any
    value: Any
    noise: float
    evaluations: int


@dataclass(frozen=True)
class HessianEstimate:
    """A numerical Hessian, or its product with a vector, with error bars.

    ``hessian`` and ``error`` are structures like theta, of structures like theta (of a product, like
    theta); of an array they have the shape ``theta.shape + theta.shape``. ``noise`` is the standard
    deviation of one evaluation, of the loss or of the noisiest entry of its gradient.
    """

    hessian: Any
    error: Any
    noise: float
    evaluations: int


@dataclass(frozen=True)
class EntryCheck:
    """One entry: ``verdict`` is "agrees", "disagrees", "inconclusive", "kink: valid subgradient" or
    "kink: outside"; ``step`` is the step of the difference that judged it."""

    name: str
    block: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error_bar: float
    step: float
    verdict: str
    note: str


@dataclass(frozen=True)
class BlockCheck:
    """One block: the largest ``|a - D|``, the norm ratio, and how small an error would be seen.

    ``detection_limit`` is the largest bar over the rms of the block's differences (over the rms of
    all differences where the block's own are zero within their bars, as ``limit_of`` then says).
    ``kinks`` counts the entries at a kink, ``worst`` names the entry furthest off.
    """

    name: str
    shape: tuple[int, ...]
    size: int
    checked: int
    verdict: str
    relative_error: float
    max_error: float
    detection_limit: float
    limit_of: str
    kinks: int
    worst: str
    diagnosis: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """Why a block is wrong: a law of its residual, the law's constants, and a sentence."""

    block: str
    law: str
    constants: dict[str, float]
    sentence: str

    @property
    def explains(self) -> bool:
        """Whether there is a law, and not only a place."""
        words = self.law.split("+")
        lawless = {"unexplained", "tolerance"} & set(words)
        return not lawless and not words[0].startswith("wrong-")


@dataclass(frozen=True)
class ConvergenceRow:
    """Error of the difference along one direction at one step; ``ratio`` to the row before."""

    step: float
    error: float
    ratio: float
    reading: str


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
        return _fragment(replace(self.document(), figures=(steps_figure(self.rows, self.summary),)))

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
        return _one_line(self)

    def __str__(self) -> str:
        from fastgrad.report.text import as_text

        return as_text(self.document())

    def document(self, entries: int = ENTRIES_SHOWN) -> Document:
        """The report in words, as plain values for any renderer, with so many entries.

        Its sections are, where there is something to say: the points, the blocks, why, the worst
        entries, remarks.
        """
        sections = tuple(_sections(self, entries))
        return Document(_headline(self), sections, self.verdict, _cases(self), self.seconds)

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
        return replace(document, figures=figures, facts=_facts(self), data=self.to_json())

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
        return _fragment(replace(self.document(), figures=tuple(figures_of(self))))

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


PATIENCE = 10.0
"""Seconds that a page may take to measure the error against the step."""
STEPS_COST = 18
"""Evaluations of that: two at each of nine steps."""


def _fragment(document: Document) -> str | None:
    """The document for a notebook; None where the extra that makes HTML is not installed."""
    try:
        from fastgrad.report.html import fragment

        return fragment(document)
    except ModuleNotFoundError:
        return None


def _facts(check: GradientCheck) -> tuple[tuple[str, str], ...]:
    """How a verdict was found."""
    return (
        ("fastgrad", __version__),
        ("strategy", check.strategy),
        ("seed", str(check.seed)),
        ("rtol", f"{check.rtol:g}"),
        ("entries checked", f"{check.checked:,} of {check.size:,}"),
        ("relative error", f"{check.relative_error:.3g}"),
        ("noise of the loss", f"{check.noise:.3g}"),
        ("evaluations", f"{check.evaluations:,}"),
        ("seconds", f"{check.seconds:.3g}"),
    )


def _headline(check: GradientCheck) -> str:
    """The verdict, in one sentence."""
    at = f" {check.label}" if check.label else ""
    for diagnosis in check.diagnoses:
        if diagnosis.law in STATES:
            return f"The gradient is wrong{at}: it {diagnosis.sentence.removeprefix(SUBJECT)}"
    if check.verdict == "agrees":
        return f"The {check.subject} is right{at}: {_agreement(check)}."
    if check.verdict == "disagrees" and _is_unused(check):
        sentence = check.diagnoses[0].sentence.removeprefix(f"{check.diagnoses[0].block}: ")
        return f"The {check.subject} is wrong{at}: {sentence}"
    if check.verdict == "disagrees":
        return f"The {check.subject} is wrong{at}: {_disagreement(check)}."
    return f"Inconclusive{at}: nothing is shown to be wrong, but {_doubt(check)}."


def _is_unused(check: GradientCheck) -> bool:
    """Whether the loss is constant, which is said before anything else."""
    return bool(check.diagnoses) and all(found.law == "unused" for found in check.diagnoses)


def _agreement(check: GradientCheck) -> str:
    if check.strategy == "screen":
        return "no random direction shows an error beyond its bar"
    kinks = check.counts.get("kink: valid subgradient", 0)
    at_kinks = f" ({_entries_words(kinks)} at a kink, with a valid subgradient)" if kinks else ""
    bars = "its error bar" if check.checked == 1 else "their error bars"
    if loose := check.agreements.get(RTOL, 0):
        tight = check.agreements.get(BAR, 0)
        within = f"{tight:,} within {bars}, {loose:,} within rtol = {check.rtol:g}"
        return f"{_all_words(check.checked)} with the differences, {within}{at_kinks}"
    return f"{_all_words(check.checked)} with the differences within {bars}{at_kinks}"


def _disagreement(check: GradientCheck) -> str:
    wrong = check.counts.get("disagrees", 0)
    blocks = _names([block.name for block in check.blocks if block.verdict == "disagrees"])
    if not wrong:
        return f"random directions show an error{f' in {blocks}' if blocks else ''}"
    worst = check.entries[0]
    # Of entries that could not be looked at again, more may be wrong.
    least = "at least " if check.counts.get("inconclusive") and check.strategy == "sweep" else ""
    said = (
        f"{least}{wrong:,} of {check.checked:,} entries "
        f"{'disagrees' if wrong == 1 else 'disagree'} with the differences, in {blocks}"
        if check.strategy == "sweep"
        else f"an error was found in {blocks}"
    )
    return (
        f"{said}; the worst is {worst.name}, {worst.analytic:.6g} where the differences say "
        f"{worst.numeric:.6g} +- {worst.error_bar:.1g}"
    )


def _doubt(check: GradientCheck) -> str:
    if not check.entries:
        return check.remarks[0][0].lower() + check.remarks[0][1:].rstrip(".")
    outside = check.counts.get("kink: outside", 0)
    unsure = check.counts.get("inconclusive", 0)
    reasons = [f"{_entries_words(unsure)} cannot be told"] if unsure else []
    if outside:
        lie = "lies" if outside == 1 else "lie"
        reasons.append(f"{_entries_words(outside)} at a kink {lie} outside the subgradients")
    worst = check.entries[0]
    return f"{' and '.join(reasons) or 'the bars are wide'}; first {worst.name} ({worst.note})"


def _one_line(check: GradientCheck) -> str:
    """`repr`: the verdict and the worst entry."""
    worst = check.entries[0] if check.entries else None
    text = f"GradientCheck({check.verdict}: "
    if worst is not None and check.verdict != "agrees":
        text += (
            f"{_short(worst.name, 60)} analytic {worst.analytic:.6g}, numeric {worst.numeric:.6g} "
            f"+- {worst.error_bar:.1g}, {worst.verdict}; "
        )
    text += f"{check.checked} checked, relative error {check.relative_error:.1e})"
    return _short(visible(text), LINE_LIMIT)


def _cases(check: GradientCheck) -> tuple[Case, ...]:
    """The blocks of all points; and the whole, where no block has its verdict."""
    cases = [
        Case(f"{point.label}: {block.name}" if check.points else block.name, *_said_of(block))
        for point in check.points or (check,)
        for block in point.blocks
    ]
    if not any(case.verdict == check.verdict for case in cases):
        cases.insert(0, Case("the whole gradient", check.verdict, _headline(check)))
    return tuple(cases)


def _said_of(block: BlockCheck) -> tuple[str, str]:
    """The verdict of a block, and a sentence about it."""
    if not block.checked and not block.detection_limit:
        return block.verdict, "not checked"
    worst = f", the worst entry is {block.worst}" if block.worst else ""
    said = f"relative error {block.relative_error:.1e}{worst}"
    return block.verdict, block.diagnosis or f"{block.name}: {said}"


def _sections(check: GradientCheck, entries: int) -> Iterator[Sentences | Table]:
    if check.points:
        yield _points(check)
    yield _blocks(check)
    if check.diagnoses:
        said = tuple(diagnosis.sentence for diagnosis in check.diagnoses)
        yield Sentences(said, "Why:", tuple(diagnosis.law for diagnosis in check.diagnoses))
    if check.entries and entries:
        yield _entries(check, entries)
    remarks = _remarks(check)
    words = words_of(remarks)
    for title, unseen in ((UNSEEN_TITLE, True), ("", False)):
        chosen = [(r, w) for r, w in zip(remarks, words, strict=True) if (w in UNSEEN) == unseen]
        if chosen:
            yield Sentences(tuple(r for r, _ in chosen), title, tuple(w for _, w in chosen))
    if check._suggested is not None:
        yield check._suggested.section()


def _points(check: GradientCheck) -> Sentences:
    return Sentences(
        tuple(f"{point.label}: {point.verdict}" for point in check.points),
        f"Checked at {len(check.points)} points; the worst is shown below.",
    )


def _blocks(check: GradientCheck) -> Table:
    with_kinks = any(block.kinks for block in check.blocks)
    numbers = "shape", "checked", "relative error", "detection limit"
    columns = (
        Column("block", names=True),
        *(Column(name, True) for name in ((*numbers, "kinks") if with_kinks else numbers)),
        Column("worst entry", names=True),
        Column("verdict"),
    )
    rows = tuple(_block_cells(block, with_kinks) for block in check.blocks)
    borrowed = any(block.limit_of == "all" for block in check.blocks)
    note = "* of the rms of all differences: the block's own are zero within their bars"
    return Table(columns, rows, notes=(note,) if borrowed else ())


def _block_cells(block: BlockCheck, with_kinks: bool) -> tuple[str, ...]:
    shape = _shape(block.shape)
    kinks = (f"{block.kinks:,}" if block.kinks else "",) if with_kinks else ()
    if block.detection_limit == 0.0 and block.checked == 0:
        return block.name, shape, "none", "", "", *kinks, "", "not checked"
    return (
        block.name,
        shape,
        f"{block.checked:,}",
        f"{block.relative_error:.1e}",
        f"{block.detection_limit:.1e}" + ("*" if block.limit_of == "all" else ""),
        *kinks,
        block.worst,
        block.verdict,
    )


def _entries(check: GradientCheck, shown: int) -> Table:
    plain = all(entry.verdict == "agrees" for entry in check.entries)
    numbers = "analytic", "numeric", "error bar", "step"
    more = len(check.entries) - shown
    return Table(
        (
            Column("entry", names=True),
            *(Column(name, True) for name in numbers),
            Column("verdict"),
            Column("note"),
        ),
        tuple(map(_entry_cells, check.entries[:shown])),
        "closest to disagreeing" if plain else "worst entries",
        (f"  and {more:,} more in .entries",) if more > 0 else (),
    )


def _entry_cells(entry: EntryCheck) -> tuple[str, ...]:
    return (
        entry.name,
        f"{entry.analytic:.9g}",
        f"{entry.numeric:.9g}",
        f"{entry.error_bar:.1e}",
        f"{entry.step:.1e}",
        entry.verdict,
        entry.note,
    )


def _remarks(check: GradientCheck) -> tuple[str, ...]:
    remarks = list(check.remarks)
    limit = max((b.detection_limit for b in check.blocks if b.checked), default=0.0)
    unseen = (
        f"An error below {limit:.1e} of a block's gradient could not be seen"
        if limit < float("inf")
        else "Every difference is zero, so there is no size to compare an error with"
    )
    if check.checked or limit:
        remarks.append(f"{unseen}; one below rtol = {check.rtol:g} was not looked for.")
    constant = check.size - check.checked
    if constant and check.strategy == "sweep":
        remarks.append(f"Not checked: {_entries_words(constant)} held constant (trainable).")
    what = (
        "Every entry" if check.strategy in ("sweep", "seeds") else "Directions and what they blamed"
    )
    remarks.append(
        f"{what} checked by central differences: {check.evaluations:,} evaluations in "
        f"{check.seconds:.2g} s; one evaluation is noisy by {check.noise:.1e}."
    )
    if check.smallest_rtol is not None and check.verdict != "agrees":
        remarks.append(f"It would agree with rtol={check.smallest_rtol:g}.")
    if check.verdict == "disagrees":
        remarks.append(
            "Next: compare the worst entries with the derivation; report.convergence() shows the "
            "error against the step; `fastgrad explain WORD` says more about a word in brackets."
        )
    elif check.verdict == "inconclusive" and check.entries:
        remarks.append(
            "Next: check at other parameters (points=3), scale the loss to order one, or compute "
            "it in float64."
        )
    if check.ran:
        remarks.append(check.ran)
    return tuple(remarks)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "number"


def _entries_words(count: int) -> str:
    return f"{count:,} entry" if count == 1 else f"{count:,} entries"


def _all_words(count: int) -> str:
    return "its only entry checked agrees" if count == 1 else f"all {count:,} entries checked agree"


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:BLOCKS_NAMED])
    return shown + (
        f" and {len(names) - BLOCKS_NAMED} more blocks" if len(names) > BLOCKS_NAMED else ""
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


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
