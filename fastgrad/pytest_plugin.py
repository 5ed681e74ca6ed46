"""A pytest plugin: the whole report of a gradient that an assertion refused, and a page of it.

It is loaded in every run of pytest where fastgrad is installed, so it imports nothing of fastgrad
until a test that used it fails.
"""

import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

RESULTS = "fastgrad.results"
"""The module that a test has loaded if it has a report."""
TITLE = "fastgrad report"
LONGEST_NAME = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fastgrad")
    group.addoption(
        "--fastgrad-html",
        metavar="DIR",
        default=None,
        help="write a page about each gradient whose test failed (needs fastgrad[report])",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.excinfo is None or not report.failed or RESULTS not in sys.modules:
        return report
    checks = list(_refused(call.excinfo.value))
    message = str(call.excinfo.value)
    for number, check in enumerate(checks):
        text = str(check)
        if text.partition("\n")[0] not in message:  # raise_if_wrong has said it all
            report.sections.append((TITLE, text))
        folder = item.config.getoption("--fastgrad-html")
        if folder is not None:
            page = Path(folder) / _file_name(item.nodeid, number)
            report.sections.append(("fastgrad page", _written(check, page, item.nodeid)))
    return report


def _written(check: Any, page: Path, title: str) -> str:
    """Write a page, and return where it is, or why there is none."""
    try:
        text = check.to_html(title=title)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    except (ModuleNotFoundError, OSError) as error:
        return f"not written: {error}"
    return str(page)


def _refused(error: BaseException) -> Iterator[Any]:
    """Reports that do not agree in the innermost frame that has any.

    pytest keeps what an assertion is about in the frame that it fails in.
    """
    kind = sys.modules[RESULTS].GradientCheck
    for frame in reversed(list(_frames(error.__traceback__))):
        found = {id(value): value for value in frame.values() if isinstance(value, kind)}
        refused = [check for check in found.values() if not check]
        if refused:
            yield from refused
            return


def _frames(traceback: TracebackType | None) -> Iterator[dict[str, Any]]:
    while traceback is not None:
        yield traceback.tb_frame.f_locals
        traceback = traceback.tb_next


def _file_name(nodeid: str, number: int) -> str:
    name = re.sub(r"[^\w.-]+", "-", nodeid)[-LONGEST_NAME:].strip("-")
    return f"{name}.html" if number == 0 else f"{name}-{number + 1}.html"
