"""check_many: many losses, points or seeds in one call; a table of all, failures first."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, overload

from fastgrad.checking import check_grad
from fastgrad.cluster.engines import Engine, engine_of
from fastgrad.cluster.parallel_map import Done, in_any_order
from fastgrad.cluster.sending import pickled_part
from fastgrad.errors import GradientMismatch
from fastgrad.problems import Problem, problem_of
from fastgrad.report.document import Case, Column, Document, Sentences, Table
from fastgrad.results import GradientCheck

SEVERITY = ("could not be run", "disagrees", "inconclusive", "agrees")
"""Failures first."""
WORDS = {
    "could not be run": ("could not be run", "could not be run"),
    "disagrees": ("is wrong", "are wrong"),
    "inconclusive": ("is not shown to be right", "are not shown to be right"),
    "agrees": ("is right", "are right"),
}
"""What is said of one, and of several."""


@dataclass(frozen=True)
class Check:
    """One of many: its name, and its report or why there is none."""

    name: str
    report: GradientCheck
    error: str = ""

    @property
    def state(self) -> str:
        """The verdict, or that it could not be run."""
        return "could not be run" if self.error else self.report.verdict


class Checks(Sequence[GradientCheck]):
    """The reports of `check_many`, in the order of the problems; true only if all agree.

    One that could not be run is inconclusive, and says why.

    Parameters
    ----------
    checks : sequence of Check
    """

    def __init__(self, checks: Sequence[Check]):
        self._checks = tuple(checks)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the problems."""
        return tuple(check.name for check in self._checks)

    @property
    def errors(self) -> dict[str, str]:
        """Why problems could not be run, by name."""
        return {check.name: check.error for check in self._checks if check.error}

    @overload
    def __getitem__(self, which: int) -> GradientCheck: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[GradientCheck]: ...
    def __getitem__(self, which: Any) -> Any:
        return [check.report for check in self._checks][which]

    def __len__(self) -> int:
        return len(self._checks)

    def __bool__(self) -> bool:
        return all(check.state == "agrees" for check in self._checks)

    def __repr__(self) -> str:
        return f"Checks({self.document().headline})"

    def __str__(self) -> str:
        from fastgrad.report.text import as_text

        return as_text(self.document())

    def raise_if_wrong(self) -> None:
        """Raise `GradientMismatch` with the table, and the first report, unless all agree."""
        if not self:
            worst = self._worst_first()[0]
            raise GradientMismatch(f"{self}\n{worst.name}\n\n{worst.report}")

    def document(self) -> Document:
        """The table of all, failures first."""
        return document_of(self._checks)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """All reports on one page of HTML, failures first, under an index: for ``fastgrad[report]``."""
        from fastgrad.report.html import page

        pages = [(check.name, page_of(check)) for check in self._worst_first()]
        text = page(pages, index=self.document())
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def _worst_first(self) -> list[Check]:
        return worst_first(self._checks)


def worst_first(checks: Sequence[Check]) -> list[Check]:
    """The same with failures first, else in their order."""
    return sorted(checks, key=lambda check: SEVERITY.index(check.state))


def page_of(check: Check) -> Document:
    """What a page says of one."""
    if check.error:
        return Document(f"Could not be run: {check.error}", ())
    return check.report.page()


def document_of(checks: Sequence[Check]) -> Document:
    """The table of many checks, failures first."""
    columns = (
        Column("problem", names=True),
        Column("verdict"),
        Column("worst entry"),
        Column("relative error", numbers=True),
        Column("evaluations", numbers=True),
        Column("seconds", numbers=True),
    )
    ordered = worst_first(checks)
    counts = Counter(check.state for check in checks)
    said = [
        f"{counts[state]:,} {WORDS[state][counts[state] > 1]}"
        for state in SEVERITY
        if counts[state]
    ]
    errors = tuple(f"{check.name}: {check.error}" for check in ordered if check.error)
    return Document(
        f"Of {len(checks):,} gradients {', '.join(said)}."
        if checks
        else "No gradients were checked.",
        (
            Table(columns, tuple(map(_row, ordered))),
            *([Sentences(errors, "Could not be run:")] if errors else []),
        ),
        verdict=_overall(counts),
        cases=tuple(Case(check.name, check.report.verdict, check.error) for check in ordered),
        seconds=sum(check.report.seconds for check in checks),
    )


def _overall(counts: Mapping[str, int]) -> str:
    if counts.get("disagrees"):
        return "disagrees"
    unsure = counts.get("inconclusive", 0) + counts.get("could not be run", 0)
    return "inconclusive" if unsure or not counts else "agrees"


def _row(check: Check) -> tuple[str, ...]:
    report = check.report
    if check.error:
        return check.name, check.state, "", "", "", ""
    worst = report.entries[0].name if report.entries and not report else ""
    return (
        check.name,
        check.state,
        worst,
        f"{report.relative_error:.1e}",
        f"{report.evaluations:,}",
        f"{report.seconds:.2g}",
    )


def not_run(seed: int = 0) -> GradientCheck:
    """The report in the place of one that there is not."""
    return GradientCheck(
        verdict="inconclusive",
        strategy="",
        blocks=(),
        entries=(),
        diagnoses=(),
        relative_error=float("nan"),
        noise=float("nan"),
        evaluations=0,
        seconds=0.0,
        seed=seed,
        rtol=float("nan"),
        size=0,
        checked=0,
        counts={},
        remarks=("It could not be run.",),
    )


def check_many(
    problems: Mapping[str, Any] | Iterable[Any],
    *,
    executor: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Checks:
    """Check many gradients: models, points, seeds; an error in one leaves the others alone.

    Parameters
    ----------
    problems : mapping or iterable
        Problems by name, or in a row. Each is a tuple ``(loss, grad, theta, *args)``, or has fields or
        keys ``loss``, ``grad``, ``theta``, and perhaps ``args``, ``options`` (of `check_grad`) and
        ``name``.
    executor : dask.distributed.Client, or anything with ``submit``, optional
        If there are at least as many problems as it has workers, each is checked as a whole on one of
        them; if there are fewer, one after another, the evaluations of each on all workers.
    checkpoint : path of a folder, optional
        One file a problem goes there, as of `check_grad`: the same call goes on where it ended. Workers
        that check whole problems write there themselves.
    **options
        Options of `check_grad` for all; a problem's own go before them.

    Returns
    -------
    Checks
        The reports in the order of the problems; printed, a table with failures first;
        ``to_html(path)`` makes a page of all.

    Raises
    ------
    ProblemError, TypeError
        Something is no problem, or the executor none.

    Examples
    --------
    >>> import numpy as np
    >>> def loss(x):
    ...     return (x**2).sum()
    >>> x = np.array([1.0, 2.0])
    >>> found = check_many({"right": (loss, 2 * x, x), "wrong": (loss, 3 * x, x)})
    >>> bool(found), found[0].verdict, found[1].verdict
    (False, 'agrees', 'disagrees')
    >>> print(found.document().headline)
    Of 2 gradients 1 is wrong, 1 is right.
    """
    named = named_problems(problems)
    engine = engine_of(executor)
    folder = None if checkpoint is None else Path(checkpoint)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    given: list[Problem] = []
    for name, problem in named.items():
        own = {**options, **problem.options}
        if folder is not None:
            own["checkpoint"] = folder / f"{_file_name(name, len(given))}.fg"
        given.append(replace(problem, options=own))
    if engine is None or (not engine.inside and len(given) < engine.workers):
        done = [_checked_here(problem, engine) for problem in given]
    else:
        done = _checked_afar(given, engine)
    return Checks([_check(name, one) for name, one in zip(named, done, strict=True)])


def named_problems(problems: Mapping[str, Any] | Iterable[Any]) -> dict[str, Problem]:
    """Problems by name; those without one are numbered.

    Raises
    ------
    ProblemError, ValueError
        One is none; two have one name.
    """
    if isinstance(problems, Mapping):
        return {str(name): problem_of(found) for name, found in problems.items()}
    named: dict[str, Problem] = {}
    for k, found in enumerate(problems):
        get = found.get if isinstance(found, Mapping) else partial(getattr, found)
        name = str(get("name", f"problem {k}") or f"problem {k}")
        if name in named:
            raise ValueError(
                f"two problems are called {name!r}: expected a name of its own for each"
            )
        named[name] = problem_of(found)
    return named


def _checked_here(problem: Problem, engine: Engine | None) -> Done:
    try:
        return Done(_report(problem, executor=engine))
    except Exception as error:
        return Done(error=error)


def _checked_afar(problems: Sequence[Problem], engine: Engine) -> list[Done]:
    """Each problem as a whole on a worker; in this process where that is a thread of it."""
    if engine.inside:
        return in_any_order(engine, _checked_whole, problems)
    sent: list[Any] = []
    refused: dict[int, Exception] = {}
    for k, problem in enumerate(problems):
        try:
            sent.append(pickled_part(problem, f"problem {k}"))
        except Exception as error:
            sent.append(None)
            refused[k] = error
    which = [k for k in range(len(sent)) if k not in refused]
    found = in_any_order(engine, _checked_whole, [sent[k] for k in which])
    done = {k: Done(error=error) for k, error in refused.items()}
    done |= dict(zip(which, found, strict=True))
    return [done[k] for k in range(len(sent))]


def _checked_whole(problem: Any) -> Done:
    """The check of a whole problem, on a worker; an error is part of the answer."""
    import pickle

    made = pickle.loads(problem) if isinstance(problem, bytes) else problem
    try:
        return Done(_report(made))
    except Exception as error:
        return Done(why=f"{type(error).__name__}: {error}")


def _report(problem: Problem, **more: Any) -> GradientCheck:
    options = {**more, **problem.options}
    return check_grad(problem.loss, problem.grad, problem.theta, *problem.args, **options)


def _check(name: str, done: Done) -> Check:
    """One of many, of what became of it."""
    inner = done.result if isinstance(done.result, Done) else done
    if inner.result is not None:
        return Check(name, inner.result)
    why = inner.why or f"{type(inner.error).__name__}: {inner.error}"
    return Check(name, not_run(), why)


def _file_name(name: str, position: int) -> str:
    """A name as that of a file, which no other problem has."""
    return f"{position:04d}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:60]}"
