"""``fastgrad check``: targets in, reports and an exit code out."""

import contextlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastgrad.checking import check_grad
from fastgrad.cluster.engines import Engine
from fastgrad.cluster.parallel_map import in_any_order
from fastgrad.commands.mend import look_for_edits
from fastgrad.commands.targets import (
    found_at,
    importable,
    is_report,
    source_of,
    told,
)
from fastgrad.many_checks import SEVERITY, Check, document_of, not_run
from fastgrad.planning import plan
from fastgrad.problems import Problem, problem_of
from fastgrad.report.annotations import annotation, command
from fastgrad.report.document import Document
from fastgrad.report.escape import visible
from fastgrad.report.junit import Suite, as_junit
from fastgrad.report.plots import NEEDED
from fastgrad.report.text import as_text
from fastgrad.results import ENTRIES_SHOWN, GradientCheck

SCHEMA = "fastgrad/check/1"
CODES = {"agrees": 0, "disagrees": 1, "inconclusive": 3}
COULD_NOT_RUN = 2
SUGGEST_SECONDS = 20.0
"""What the search for an edit may take: the default of `GradientCheck.suggest`."""
PLANNED = "trainable", "argnum", "space", "budget", "backend", "structure", "scratch"
"""Options of a check on which its cost depends."""
WORST_FIRST = (COULD_NOT_RUN, CODES["disagrees"], CODES["inconclusive"])
"""Codes, worst first: a target that could not be run leaves everything open."""


@dataclass(frozen=True)
class Asked:
    """What the command line and pyproject.toml ask for."""

    defaults: Mapping[str, Any]
    """Options of check_grad that a target's own replace."""
    typed: Mapping[str, Any]
    """Options that replace a target's own."""
    output_format: str = "text"
    output: str | None = None
    html: str | None = None
    junitxml: str | None = None
    json_file: str | None = None
    max_entries: int | None = None
    exit_zero: bool = False
    allow_inconclusive: bool = False
    progress: bool | None = None
    traceback: bool = False
    quiet: bool = False
    suggest: bool = False
    write: bool = False
    dry_run: bool = False
    jobs: int = 1
    """Processes that check targets at the same time."""

    @property
    def entries(self) -> int:
        """How many entries a report lists."""
        return ENTRIES_SHOWN if self.max_entries is None else self.max_entries


@dataclass(frozen=True)
class Result:
    """What became of a target: a report, or why there is none."""

    target: str
    report: GradientCheck | None = None
    error: str = ""
    source: tuple[str, int] | None = None
    """File and line of the gradient function."""

    @property
    def check(self) -> Check:
        """The same as one of many."""
        report = not_run() if self.report is None else self.report
        return Check(self.target, report, self.error)

    @property
    def code(self) -> int:
        return COULD_NOT_RUN if self.report is None else CODES[self.report.verdict]


def run_check(targets: Sequence[str], asked: Asked, say: Callable[[str], object]) -> int:
    """Check every target, write what is asked for, and return the exit code."""
    trouble = _unwritable(asked)
    if trouble:
        print(f"fastgrad: {trouble}", file=sys.stderr)
        return COULD_NOT_RUN
    if asked.dry_run:
        return _planned(targets, asked, say)
    results = _results(targets, asked)
    try:
        _write(results, asked, say)
    except OSError as error:
        print(f"fastgrad: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return COULD_NOT_RUN
    return exit_code([result.code for result in results], asked)


def _planned(targets: Sequence[str], asked: Asked, say: Callable[[str], object]) -> int:
    """Say what each check would cost, and return the exit code."""
    code = 0
    for target in targets:
        try:
            with importable(target), contextlib.redirect_stdout(sys.stderr):
                problem = problem_of(found_at(target))
                options = {**asked.defaults, **problem.options, **asked.typed}
                kept = {name: options[name] for name in PLANNED if name in options}
                if kept.get("budget") == "none":
                    kept["budget"] = None
                text = str(plan(problem.loss, problem.theta, *problem.args, **kept))
            say(f"{visible(target)}\n\n{text}")
        except Exception as error:
            print(f"fastgrad: {visible(target)}: {told(error, asked.traceback)}", file=sys.stderr)
            code = COULD_NOT_RUN
    return code


def _results(targets: Sequence[str], asked: Asked) -> list[Result]:
    """What became of each target; as it becomes known, errors are told."""

    def heard(result: Result) -> Result:
        if result.error:
            print(f"fastgrad: {visible(result.target)}: {result.error}", file=sys.stderr)
        return result

    if asked.jobs == 1 or len(targets) == 1:
        return [heard(_checked(target, asked)) for target in targets]
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Not forked: a child of a process that has started numba's threads would end at a launch.
    workers = min(asked.jobs, len(targets))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        check = partial(_checked, asked=replace(asked, progress=False))
        done = in_any_order(Engine(pool), check, targets)
    return [
        heard(one.result or Result(target, error=f"{type(one.error).__name__}: {one.why}"))
        for target, one in zip(targets, done, strict=True)
    ]


def exit_code(codes: Sequence[int], asked: Asked) -> int:
    """The exit code of all targets together."""
    forgiven = {CODES["inconclusive"]} if asked.allow_inconclusive else set()
    if asked.exit_zero:
        forgiven = set(CODES.values())
    return next((code for code in WORST_FIRST if code in codes and code not in forgiven), 0)


def _unwritable(asked: Asked) -> str:
    """Why a file that is asked for cannot be written; said before the work is done."""
    if asked.html is not None:
        missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
        if missing:
            return f"--html {NEEDED.replace('matplotlib', ' and '.join(missing))}"
    for name in (asked.output, asked.html, asked.junitxml, asked.json_file):
        if name is not None and not Path(name).parent.is_dir():
            return f"cannot write {name}: there is no folder {Path(name).parent}"
    return ""


def _checked(target: str, asked: Asked) -> Result:
    try:
        with importable(target), contextlib.redirect_stdout(sys.stderr):
            found = found_at(target)
            if is_report(found):
                _warn_of_ignored(target, asked)
                return Result(target, found)
            problem = problem_of(found)
            report = _report(problem, asked)
            if asked.suggest or asked.write:
                look_for_edits(report, SUGGEST_SECONDS, asked.write)
            edits = [(edit.file, edit.line) for edit in report.suggestions]
            return Result(target, report, source=next(iter(edits), source_of(problem.grad)))
    except Exception as error:
        return Result(target, error=told(error, asked.traceback))


def _report(problem: Problem, asked: Asked) -> GradientCheck:
    progress = sys.stderr.isatty() if asked.progress is None else asked.progress
    options = {"progress": progress, **asked.defaults, **problem.options, **asked.typed}
    if options.get("budget") == "none":
        options["budget"] = None
    return check_grad(problem.loss, problem.grad, problem.theta, *problem.args, **options)


def _warn_of_ignored(target: str, asked: Asked) -> None:
    if asked.typed:
        names = ", ".join(f"--{name}" for name in asked.typed)
        print(f"fastgrad: {target} makes its report itself: {names} not applied", file=sys.stderr)


def _write(results: Sequence[Result], asked: Asked, say: Callable[[str], object]) -> None:
    text = FORMATS[asked.output_format](results, asked)
    if asked.output is not None:
        Path(asked.output).write_text(text + "\n", encoding="utf-8")
    elif text and not asked.quiet:
        say(text)
    if asked.json_file is not None:
        Path(asked.json_file).write_text(_json(results, asked) + "\n", encoding="utf-8")
    if asked.html is not None:
        from fastgrad.report.html import page

        index, shown = None, results
        if len(results) > 1:
            index = document_of([r.check for r in results])
            shown = sorted(results, key=lambda r: SEVERITY.index(r.check.state))
        pages = [(visible(r.target), _page_of(r, asked)) for r in shown]
        Path(asked.html).write_text(page(pages, index), encoding="utf-8")
    if asked.junitxml is not None:
        suites = [Suite(r.target, _document(r, asked), r.error) for r in results]
        xml = as_junit(suites, asked.allow_inconclusive or asked.exit_zero)
        Path(asked.junitxml).write_text(xml, encoding="utf-8")


def _document(result: Result, asked: Asked) -> Document | None:
    return None if result.report is None else result.report.document(asked.entries)


def _page_of(result: Result, asked: Asked) -> Document:
    if result.report is None:
        return Document(f"Could not be run: {result.error}", ())
    return result.report.page(asked.entries)


def _text(results: Sequence[Result], asked: Asked) -> str:
    """The reports; where they are several, under their targets' names, before a table of all."""
    parts = []
    for result in results:
        document = _document(result, asked)
        if document is not None:
            head = f"{visible(result.target)}\n\n" if len(results) > 1 else ""
            parts.append(head + as_text(document).rstrip())
    if len(results) > 1:
        parts.append(as_text(document_of([result.check for result in results])).rstrip())
    return "\n\n\n".join(parts)


def _concise(results: Sequence[Result], asked: Asked) -> str:
    """A line a target."""
    documents = ((r.target, _document(r, asked)) for r in results)
    return "\n".join(visible(f"{name}: {doc.headline}") for name, doc in documents if doc)


def _github(results: Sequence[Result], asked: Asked) -> str:
    """A line a target, and annotations of what is not right."""
    lines = [_concise(results, asked)]
    for result in results:
        document = _document(result, asked)
        if document is None:
            lines.append(command("error", result.error, result.target))
        else:
            lines.append(annotation(document, result.target, result.source))
    return "\n".join(line for line in lines if line)


def _json(results: Sequence[Result], _: Asked) -> str:
    made: list[dict[str, Any]] = []
    for result in results:
        fields: dict[str, Any] = {"target": result.target, "exit_code": result.code}
        if result.report is None:
            fields["error"] = result.error
        else:
            fields["report"] = json.loads(result.report.to_json())
        made.append(fields)
    return json.dumps({"schema": SCHEMA, "results": made}, indent=1)


FORMATS: dict[str, Callable[[Sequence[Result], Asked], str]] = {
    "text": _text,
    "concise": _concise,
    "json": _json,
    "github": _github,
}
